// SPDX-License-Identifier: Apache-2.0
#include "health/rise_fall.h"

namespace xlvs::health {

bool RiseFall::report(bool passed) {
  passes_ = passed ? passes_ + 1 : 0;
  failures_ = passed ? 0 : failures_ + 1;
  if (!decided_) {
    decided_ = true;
    state_ = passed ? HealthState::up : HealthState::down;
    return true;
  }
  const HealthState before = state_;
  if (passed && passes_ >= rise_) state_ = HealthState::up;
  if (!passed && failures_ >= fall_) state_ = HealthState::down;
  return state_ != before;
}

void RiseFall::adopt(HealthState state) {
  state_ = state;
  decided_ = true;
  passes_ = 0;
  failures_ = 0;
}

}  // namespace xlvs::health
