// SPDX-License-Identifier: Apache-2.0
// Rise and fall of one check, pure.
#pragma once

namespace xlvs::health {

enum class HealthState { up, down };

// A check starts down and comes up on the first pass (as keepalived's first check does); from then on `rise` passes in
// a row bring it up and `fall` failures in a row take it down.
class RiseFall {
 public:
  RiseFall(unsigned rise, unsigned fall) : rise_(rise), fall_(fall) {}
  // Returns true when this result changed the state.
  bool report(bool passed);
  void adopt(HealthState state);  // as if it had been reached by checks
  [[nodiscard]] HealthState state() const { return state_; }
  [[nodiscard]] bool decided() const { return decided_; }
  [[nodiscard]] unsigned passes() const { return passes_; }
  [[nodiscard]] unsigned failures() const { return failures_; }
  [[nodiscard]] unsigned fall() const { return fall_; }

 private:
  unsigned rise_;
  unsigned fall_;
  HealthState state_ = HealthState::down;
  bool decided_ = false;
  unsigned passes_ = 0;
  unsigned failures_ = 0;
};

}  // namespace xlvs::health
