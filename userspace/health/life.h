// SPDX-License-Identifier: Apache-2.0
// The life of a backend: from what its checks find to whether, and with how much of its weight, it gets new flows.
// Pure: time comes in with every call, and the machine says when it wants to be woken. Thread rule: any one thread.
//
//   unchecked --all pass--> up                      the first time at once: no re-entry delay, no slow start
//   unchecked --one fails--> down
//   up, slow_start --`fall` failures of one check--> down, or flapping after too many changes
//   down --every check passed `rise` times--> reentry --`reentry_delay` of passes only--> slow_start --> up
//   flapping --health unchanged for `hold`--> as from down
//
// States of no duration (no re-entry delay, no slow start) are passed through.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>
#include <vector>

#include "core/model.h"
#include "health/rise_fall.h"

namespace xlvs::health {

// Some servers say with a passed check how much they can bear: an agent "75%" of the configured weight, a program an
// absolute weight. It holds until the next passed check says something else or nothing.
struct WeightAdvice {
  enum class Unit { percent, absolute };
  Unit unit = Unit::percent;
  std::uint32_t value = 100;  // percent: 0..10,000 of the configured weight; absolute: 0..65535; 0: drained
  friend bool operator==(const WeightAdvice&, const WeightAdvice&) = default;
};

enum class LifeState : std::uint8_t { unchecked, down, flapping, reentry, slow_start, up };
[[nodiscard]] std::string_view to_string(LifeState state);  // "unchecked", "down", ..., "slow-start", "up"
[[nodiscard]] std::optional<LifeState> parse_life_state(std::string_view name);

class Life {
 public:
  using Time = std::chrono::steady_clock::time_point;
  struct Counts {
    unsigned rise = 2;
    unsigned fall = 3;
  };
  // What a later machine needs to go on from here.
  struct Memory {
    LifeState state = LifeState::unchecked;
    Time mark;                   // reentry: since when all pass; slow_start: its begin; flapping: when it ends
    std::deque<Time> changes{};  // that count for flap damping
  };
  enum class Change { none, weight, state };

  // One entry of `checks` for each check; none at all: always up.
  Life(const LifeRules& rules, const std::vector<Counts>& checks);

  // The backend was added to a pool that is at work: its first coming up is a slow start, too.
  void join_running_pool() { cold_ = true; }
  void adopt(const Memory& memory, Time now);
  void set_rules(const LifeRules& rules, Time now);
  // A result of check number `check`.
  Change report(std::size_t check, bool passed, const std::optional<WeightAdvice>& advice, Time now);
  // What the passing of time has changed; to be called at next_wake().
  Change wake(Time now);

  [[nodiscard]] LifeState state() const { return state_; }
  [[nodiscard]] bool usable() const { return state_ == LifeState::up || state_ == LifeState::slow_start; }
  [[nodiscard]] bool decided() const { return state_ != LifeState::unchecked; }
  // Thousandths of its weight: slow start, and the percentage it asked for. 0 only if it asked for 0.
  [[nodiscard]] std::uint32_t permille() const;
  // The absolute weight it asked for.
  [[nodiscard]] std::optional<std::uint32_t> weight() const;
  // Whether it asked for a share or a weight at all.
  [[nodiscard]] bool advised() const;
  [[nodiscard]] std::optional<Time> next_wake() const { return wake_; }
  // When the present state will have lasted its time, if it has one and nothing fails.
  [[nodiscard]] std::optional<Time> ends() const;
  // Whether results of this check point away from its state, or there are none yet: it is worth asking more often.
  [[nodiscard]] bool undecided(std::size_t check) const;
  [[nodiscard]] const RiseFall& check(std::size_t check) const { return checks_[check]; }
  [[nodiscard]] std::size_t flap_changes() const { return changes_.size(); }
  [[nodiscard]] Memory memory() const;

 private:
  [[nodiscard]] LifeState next_state(Time now) const;
  [[nodiscard]] bool any_down() const;
  [[nodiscard]] bool all_up() const;
  [[nodiscard]] std::chrono::milliseconds ramp_step() const;
  void enter(LifeState state, Time now);
  void plan_wake(Time now);
  Change settle(Time now);

  LifeRules rules_;
  std::vector<RiseFall> checks_;
  std::vector<std::optional<WeightAdvice>> advice_;  // of each check
  LifeState state_ = LifeState::unchecked;
  bool cold_ = false;                    // its next coming up is a slow start
  bool healthy_ = false;                 // as all_up() was at the last call
  std::optional<Time> passing_since_{};  // since when no check has failed
  Time ramp_began_{};
  std::uint32_t ramp_ = 1000;  // permille
  Time hold_until_{};
  std::deque<Time> changes_;
  std::optional<Time> wake_;
};

// In how many steps a slow start reaches the whole weight; a step takes kLeastRampStep at least.
inline constexpr unsigned kRampSteps = 20;
inline constexpr std::chrono::milliseconds kLeastRampStep{100};

}  // namespace xlvs::health
