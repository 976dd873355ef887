// SPDX-License-Identifier: Apache-2.0
#include "health/life.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

namespace xlvs::health {
namespace {

constexpr std::uint32_t kWhole = 1000;

constexpr std::array<std::pair<LifeState, std::string_view>, 6> kNames{{{LifeState::unchecked, "unchecked"},
                                                                        {LifeState::down, "down"},
                                                                        {LifeState::flapping, "flapping"},
                                                                        {LifeState::reentry, "reentry"},
                                                                        {LifeState::slow_start, "slow-start"},
                                                                        {LifeState::up, "up"}}};

}  // namespace

std::string_view to_string(LifeState state) {
  for (const auto& [value, name] : kNames)
    if (value == state) return name;
  std::abort();
}

std::optional<LifeState> parse_life_state(std::string_view name) {
  for (const auto& [value, known] : kNames)
    if (known == name) return value;
  return std::nullopt;
}

Life::Life(const LifeRules& rules, const std::vector<Counts>& checks) : rules_(rules), advice_(checks.size()) {
  for (const Counts& counts : checks) checks_.emplace_back(counts.rise, counts.fall);
  if (rules.start == StartState::up)
    for (RiseFall& check : checks_) check.adopt(HealthState::up);
  healthy_ = all_up();
  if (healthy_) state_ = LifeState::up;
}

bool Life::any_down() const {
  return std::any_of(checks_.begin(), checks_.end(),
                     [](const RiseFall& check) { return check.decided() && check.state() == HealthState::down; });
}

bool Life::all_up() const {
  return std::all_of(checks_.begin(), checks_.end(),
                     [](const RiseFall& check) { return check.decided() && check.state() == HealthState::up; });
}

void Life::adopt(const Memory& memory, Time now) {
  if (checks_.empty() || memory.state == LifeState::unchecked) return;
  const bool passing = memory.state != LifeState::down && memory.state != LifeState::flapping;
  for (RiseFall& check : checks_) check.adopt(passing ? HealthState::up : HealthState::down);
  healthy_ = passing;
  state_ = memory.state;
  changes_ = memory.changes;
  passing_since_.reset();
  if (state_ == LifeState::reentry) passing_since_ = memory.mark;
  if (state_ == LifeState::slow_start) ramp_began_ = memory.mark;
  if (state_ == LifeState::flapping) hold_until_ = memory.mark;
  settle(now);
}

Life::Memory Life::memory() const {
  Memory memory{state_, {}, changes_};
  if (state_ == LifeState::reentry) memory.mark = passing_since_.value_or(Time{});
  if (state_ == LifeState::slow_start) memory.mark = ramp_began_;
  if (state_ == LifeState::flapping) memory.mark = hold_until_;
  return memory;
}

void Life::set_rules(const LifeRules& rules, Time now) {
  rules_ = rules;
  if (!rules_.flap) {
    changes_.clear();
    hold_until_ = now;
  }
  settle(now);
}

Life::Change Life::report(std::size_t check, bool passed, const std::optional<WeightAdvice>& advice, Time now) {
  const std::uint32_t permille_before = permille();
  const auto weight_before = weight();
  checks_[check].report(passed);
  if (passed) advice_[check] = advice;
  // Re-entry counts from the first pass after which nothing failed any more.
  if (!passed) passing_since_.reset();
  if (passed && !passing_since_ &&
      std::all_of(checks_.begin(), checks_.end(), [](const RiseFall& c) { return c.failures() == 0; })) {
    passing_since_ = now;
  }
  const Change change = settle(now);
  if (change != Change::none || (permille() == permille_before && weight() == weight_before)) return change;
  return Change::weight;
}

Life::Change Life::wake(Time now) {
  return settle(now);
}

LifeState Life::next_state(Time now) const {
  if (checks_.empty()) return LifeState::up;
  if (state_ == LifeState::flapping && now < hold_until_) return LifeState::flapping;
  if (any_down()) return LifeState::down;
  if (!healthy_) return state_;  // some check has not answered yet
  if (usable())
    return now < ramp_began_ + rules_.slow_start && state_ == LifeState::slow_start ? state_ : LifeState::up;
  const bool returns = state_ != LifeState::unchecked;
  const bool waits = !passing_since_ || now < *passing_since_ + rules_.reentry_delay;
  if (returns && rules_.reentry_delay.count() > 0 && waits) return LifeState::reentry;
  return (returns || cold_) && rules_.slow_start.count() > 0 ? LifeState::slow_start : LifeState::up;
}

// A change of what it gets counts as one towards flapping; the one that is too many ends in the hold.
void Life::enter(LifeState state, Time now) {
  const bool comes = state == LifeState::up || state == LifeState::slow_start;
  if (rules_.flap && decided() && comes != usable()) {
    changes_.push_back(now);
    while (now - changes_.front() > rules_.flap->within) changes_.pop_front();
    if (changes_.size() >= rules_.flap->changes) {
      state = LifeState::flapping;
      hold_until_ = now + rules_.flap->hold;
      changes_.clear();
    }
  }
  if (state == LifeState::slow_start) ramp_began_ = now;
  if (comes) cold_ = false;
  state_ = state;
}

std::chrono::milliseconds Life::ramp_step() const {
  return std::max(rules_.slow_start / kRampSteps, kLeastRampStep);
}

Life::Change Life::settle(Time now) {
  const LifeState before = state_;
  const std::uint32_t ramp_before = ramp_;
  const bool was_healthy = std::exchange(healthy_, all_up());
  if (state_ == LifeState::flapping && rules_.flap && healthy_ != was_healthy) hold_until_ = now + rules_.flap->hold;
  if (const LifeState next = next_state(now); next != state_) enter(next, now);
  ramp_ = kWhole;
  if (state_ == LifeState::slow_start) {
    const auto steps = (rules_.slow_start + ramp_step() - std::chrono::milliseconds{1}) / ramp_step();
    const auto done = (now - ramp_began_) / ramp_step();
    ramp_ = static_cast<std::uint32_t>(std::min<long>(kWhole, (done + 1) * kWhole / std::max<long>(steps, 1)));
  }
  plan_wake(now);
  if (state_ != before) return Change::state;
  return ramp_ != ramp_before ? Change::weight : Change::none;
}

std::optional<Life::Time> Life::ends() const {
  if (state_ == LifeState::flapping) return hold_until_;
  if (state_ == LifeState::slow_start) return ramp_began_ + rules_.slow_start;
  if (state_ == LifeState::reentry && passing_since_) return *passing_since_ + rules_.reentry_delay;
  return std::nullopt;
}

void Life::plan_wake(Time now) {
  wake_ = ends();
  if (state_ != LifeState::slow_start) return;
  const Time next_step = ramp_began_ + ((now - ramp_began_) / ramp_step() + 1) * ramp_step();
  wake_ = std::min(*wake_, next_step);
}

std::uint32_t Life::permille() const {
  std::uint32_t percent = 100;
  bool advised = false;
  for (const auto& advice : advice_) {
    if (!advice || advice->unit != WeightAdvice::Unit::percent) continue;
    percent = advised ? std::min(percent, advice->value) : advice->value;
    advised = true;
  }
  return percent == 0 ? 0
                      : std::max<std::uint32_t>(1, static_cast<std::uint32_t>(std::uint64_t{ramp_} * percent / 100));
}

std::optional<std::uint32_t> Life::weight() const {
  std::optional<std::uint32_t> least;
  for (const auto& advice : advice_) {
    if (advice && advice->unit == WeightAdvice::Unit::absolute)
      least = std::min(least.value_or(advice->value), advice->value);
  }
  return least;
}

bool Life::advised() const {
  return std::any_of(advice_.begin(), advice_.end(), [](const auto& advice) { return advice.has_value(); });
}

bool Life::undecided(std::size_t check) const {
  const RiseFall& counts = checks_[check];
  if (!counts.decided()) return true;
  return counts.state() == HealthState::up ? counts.failures() > 0 : counts.passes() > 0;
}

}  // namespace xlvs::health
