// SPDX-License-Identifier: Apache-2.0
// Every transition of a backend's life, on a fake clock.
#include <ostream>
#include <string>

#include <gtest/gtest.h>

#include "health/life.h"

namespace xlvs::health {
namespace {

using namespace std::chrono_literals;
using Time = Life::Time;

// Steps: "P"/"F" a result of check 0, "p"/"f" of check 1, "." nothing; each is one second after the one before, and the
// machine is woken whenever it wants to be in between. Letters of the states after each step:
// ? unchecked, d down, x flapping, r reentry, s slow-start, U up.
struct Case {
  const char* name;
  LifeRules rules;
  std::size_t checks;
  std::string steps;
  std::string states;
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.name;
}

char letter(LifeState state) {
  switch (state) {
    case LifeState::unchecked:
      return '?';
    case LifeState::down:
      return 'd';
    case LifeState::flapping:
      return 'x';
    case LifeState::reentry:
      return 'r';
    case LifeState::slow_start:
      return 's';
    case LifeState::up:
      return 'U';
  }
  return '!';
}

LifeRules rules(Milliseconds reentry = 0ms, Milliseconds slow = 0ms, std::optional<FlapRule> flap = {}) {
  LifeRules rules;
  rules.reentry_delay = reentry;
  rules.slow_start = slow;
  rules.flap = flap;
  return rules;
}

LifeRules starting_up() {
  LifeRules rules;
  rules.start = StartState::up;
  return rules;
}

// Wakes the machine at every time it asks for up to `until`; a machine that asks for the past would hang here.
void wake_until(Life& life, Time until) {
  Time last = Time::min();
  while (life.next_wake() && *life.next_wake() <= until) {
    const Time now = *life.next_wake();
    ASSERT_GT(now, last) << "woken twice for nothing";
    last = now;
    life.wake(now);
  }
}

class LifeTest : public ::testing::TestWithParam<Case> {};

TEST_P(LifeTest, Lives) {
  const Case& c = GetParam();
  Life life(c.rules, std::vector<Life::Counts>(c.checks, Life::Counts{2, 2}));
  Time now{1000s};
  std::string states;
  for (const char step : c.steps) {
    now += 1s;
    ASSERT_NO_FATAL_FAILURE(wake_until(life, now));
    const LifeState before = life.state();
    if (step != '.') {
      const std::size_t check = step == 'p' || step == 'f' ? 1 : 0;
      const Life::Change change = life.report(check, step == 'P' || step == 'p', {}, now);
      EXPECT_EQ(change == Life::Change::state, life.state() != before);
    }
    states += letter(life.state());
    EXPECT_EQ(life.usable(), states.back() == 'U' || states.back() == 's');
    EXPECT_EQ(life.decided(), states.back() != '?');
  }
  EXPECT_EQ(states, c.states);
}

constexpr FlapRule kFlap{4, 10s, 5s};

INSTANTIATE_TEST_SUITE_P(
    All, LifeTest,
    ::testing::Values(
        // rise and fall, one check
        Case{"FirstPassBringsUp", rules(), 1, "P", "U"}, Case{"FirstFailureTakesDown", rules(), 1, "F", "d"},
        Case{"FallAndRise", rules(), 1, "PFPFFPFPP", "UUUUddddU"},
        Case{"NothingHappensByItself", rules(), 1, "...P...", "???UUUU"},
        Case{"UncheckedIsAlwaysUp", rules(15s, 60s, kFlap), 0, "...", "UUU"},
        Case{"StartsUpUntilFallFailures", starting_up(), 1, "..FFPP", "UUUddU"},
        Case{"StartsUpAndPasses", starting_up(), 1, "PFPFF", "UUUUd"},
        // several checks
        Case{"AllMustHavePassed", rules(), 2, "PPp", "??U"},
        Case{"OneFailureDecidesAtTheStart", rules(), 2, "Pf", "?d"},
        Case{"OneCheckTakesDown", rules(), 2, "PpffPP", "?UUddd"},
        Case{"TheFailedOneMustRise", rules(), 2, "PpffPpp", "?UUdddU"},
        Case{"EachCountsForItself", rules(), 2, "PpFfPpFf", "?UUUUUUU"},
        Case{"BothFailedBothMustRise", rules(), 2, "FfPPpp", "dddddU"},
        // re-entry: the delay counts from the first of the passes
        Case{"NoReentryDelayAtTheStart", rules(5s), 1, "P", "U"},
        Case{"ReentryAfterAFailedStart", rules(5s), 1, "FPPPPPP", "ddrrrrU"},
        Case{"ReentryWaits", rules(5s), 1, "PFFPPPPPP", "UUddrrrrU"},
        Case{"ReentryStartsAgainWithAFailure", rules(5s), 1, "FPPPFPPPPPP", "ddrrrrrrrrU"},
        Case{"ReentryFallsDown", rules(5s), 1, "FPPFFPP", "ddrrddr"},
        Case{"ReentryEndsWithoutAResult", rules(5s), 1, "FPP....", "ddrrrrU"},
        Case{"ReentryOfTwoChecks", rules(4s), 2, "PpFFPpPpPp", "?UUdddrrUU"},
        Case{"AnyCheckStartsReentryAgain", rules(4s), 2, "PpFFPPfpPpPp",
             "?UUdd"
             "rrrrrrU"},
        // slow start
        Case{"NoSlowStartAtTheStart", rules(0s, 3s), 1, "P", "U"},
        Case{"SlowStart", rules(0s, 3s), 1, "FPPPPPP", "ddsssUU"},
        Case{"SlowStartFails", rules(0s, 3s), 1, "FPPFF", "ddssd"},
        Case{"ReentryThenSlowStart", rules(3s, 3s), 1, "FPPPPPPP", "ddrrsssU"},
        // flapping: up, down, up, down are four changes
        Case{"FlapsAndIsHeldOut", rules(0s, 0s, kFlap), 1, "FPPFFPPFF",
             "ddUUdd"
             "UUx"},
        Case{"ComesBackWhenItIsSteady", rules(0s, 0s, kFlap), 1, "FPPFFPPFFPP.....P",
             "ddUUddUUx"
             "xx"
             "xxxxUU"},
        Case{"AChangeProlongsTheHold", rules(0s, 0s, kFlap), 1, "FPPFFPPFFPPFF....PP", "ddUUddUUxxxxxxxxxdU"},
        Case{"DownAfterTheHold", rules(0s, 0s, kFlap), 1, "FPPFFPPFF......",
             "ddUUddUUx"
             "xxxxdd"},
        Case{"SlowChangesDoNotFlap", rules(0s, 0s, FlapRule{4, 3s, 5s}), 1, "FPPFFPPFFPPFF", "ddUUddUUddUUd"},
        Case{"FlapsOnItsWayUp", rules(0s, 0s, FlapRule{3, 10s, 5s}), 1, "FPPFFPP", "ddUUddx"},
        Case{"AfterTheHoldComesReentryAndSlowStart", rules(2s, 2s, FlapRule{3, 20s, 3s}), 1, "PFFPPPPFFPPPPPPP",
             "UUddrssUxxxxxssU"}),
    [](const auto& c) { return c.param.name; });

class OneLife : public ::testing::Test {
 protected:
  static std::vector<Life::Counts> one() { return {{1, 1}}; }
  Time begin_{5000s};
};

// A down backend that has just passed: its slow start began at begin_.
TEST_F(OneLife, TheRampIsLinearInTwentySteps) {
  Life life(rules(0s, 60s), one());
  life.report(0, false, {}, begin_);
  ASSERT_EQ(life.report(0, true, {}, begin_), Life::Change::state);
  std::vector<std::uint32_t> shares{life.permille()};
  Time now = begin_;
  while (life.next_wake()) {
    EXPECT_EQ(*life.next_wake() - now, 3s);
    now = *life.next_wake();
    EXPECT_NE(life.wake(now), Life::Change::none);
    shares.push_back(life.permille());
  }
  EXPECT_EQ(now, begin_ + 60s);
  EXPECT_EQ(life.state(), LifeState::up);
  std::vector<std::uint32_t> expected;
  for (std::uint32_t step = 1; step <= 20; ++step) expected.push_back(step * 50);
  expected.push_back(1000);
  EXPECT_EQ(shares, expected);
}

TEST_F(OneLife, AShortRampHasFewerSteps) {
  Life life(rules(0s, 250ms), one());
  life.report(0, false, {}, begin_);
  life.report(0, true, {}, begin_);
  EXPECT_EQ(life.permille(), 333U);
  EXPECT_EQ(life.next_wake(), begin_ + 100ms);
  EXPECT_EQ(life.wake(begin_ + 100ms), Life::Change::weight);
  EXPECT_EQ(life.permille(), 666U);
  life.wake(begin_ + 200ms);
  EXPECT_EQ(life.next_wake(), begin_ + 250ms);
  EXPECT_EQ(life.wake(begin_ + 250ms), Life::Change::state);
  EXPECT_EQ(life.permille(), 1000U);
  EXPECT_EQ(life.next_wake(), std::nullopt);
}

TEST_F(OneLife, ABackendThatJoinsARunningPoolStartsSlowly) {
  Life life(rules(30s, 60s), one());
  life.join_running_pool();
  life.report(0, true, {}, begin_);
  EXPECT_EQ(life.state(), LifeState::slow_start) << "and without a re-entry delay: it has never failed";
}

TEST_F(OneLife, AdviceCountsUntilTheNextPassSaysOtherwise) {
  Life life(rules(), one());
  const WeightAdvice half{WeightAdvice::Unit::percent, 50};
  life.report(0, true, half, begin_);
  EXPECT_TRUE(life.advised());
  EXPECT_EQ(life.permille(), 500U);
  EXPECT_EQ(life.report(0, true, half, begin_ + 1s), Life::Change::none);
  EXPECT_EQ(life.report(0, true, WeightAdvice{WeightAdvice::Unit::percent, 0}, begin_ + 2s), Life::Change::weight);
  EXPECT_EQ(life.permille(), 0U);
  EXPECT_TRUE(life.usable()) << "drained is not down";
  EXPECT_EQ(life.report(0, true, WeightAdvice{WeightAdvice::Unit::absolute, 7}, begin_ + 3s), Life::Change::weight);
  EXPECT_EQ(life.weight(), 7U);
  EXPECT_EQ(life.permille(), 1000U);
  EXPECT_EQ(life.report(0, true, {}, begin_ + 4s), Life::Change::weight);
  EXPECT_EQ(life.weight(), std::nullopt);
  EXPECT_FALSE(life.advised());
}

TEST_F(OneLife, TheLeastAdviceOfSeveralChecksCounts) {
  Life life(rules(), {{1, 1}, {1, 1}, {1, 1}});
  life.report(0, true, WeightAdvice{WeightAdvice::Unit::percent, 150}, begin_);
  life.report(1, true, {}, begin_);
  life.report(2, true, {}, begin_);
  EXPECT_EQ(life.permille(), 1500U) << "more than its weight is possible";
  life.report(1, true, WeightAdvice{WeightAdvice::Unit::percent, 80}, begin_);
  EXPECT_EQ(life.permille(), 800U);
}

TEST_F(OneLife, AdviceAndRampMultiply) {
  Life life(rules(0s, 20s), one());
  life.report(0, false, {}, begin_);
  life.report(0, true, WeightAdvice{WeightAdvice::Unit::percent, 50}, begin_);
  life.wake(begin_ + 9s);
  EXPECT_EQ(life.permille(), 250U);
  life.report(0, true, WeightAdvice{WeightAdvice::Unit::percent, 1}, begin_ + 9s);
  EXPECT_EQ(life.permille(), 5U) << "small, but not drained";
}

TEST_F(OneLife, UndecidedWhileResultsPointElsewhere) {
  Life life(rules(), {{2, 2}});
  EXPECT_TRUE(life.undecided(0)) << "no result yet";
  life.report(0, true, {}, begin_);
  EXPECT_FALSE(life.undecided(0));
  life.report(0, false, {}, begin_);
  EXPECT_TRUE(life.undecided(0));
  life.report(0, false, {}, begin_);
  EXPECT_FALSE(life.undecided(0)) << "down, and certain of it";
  life.report(0, true, {}, begin_);
  EXPECT_TRUE(life.undecided(0));
  life.report(0, true, {}, begin_);
  EXPECT_FALSE(life.undecided(0));
}

// What a later machine makes of the memory of an earlier one, at the same time.
TEST_F(OneLife, GoesOnFromMemory) {
  const LifeRules all = rules(10s, 60s, FlapRule{3, 100s, 20s});
  Life first(all, one());
  first.report(0, false, {}, begin_);
  first.report(0, true, {}, begin_);
  const auto go_on = [&](Time now) {
    Life next(all, one());
    next.adopt(first.memory(), now);
    EXPECT_EQ(next.state(), first.state());
    EXPECT_EQ(next.ends(), first.ends());
    EXPECT_EQ(next.permille(), first.permille());
    EXPECT_EQ(next.flap_changes(), first.flap_changes());
    first = next;
  };
  ASSERT_EQ(first.state(), LifeState::reentry);
  go_on(begin_ + 4s);
  first.wake(begin_ + 10s);
  ASSERT_EQ(first.state(), LifeState::slow_start);
  first.wake(begin_ + 30s);
  go_on(begin_ + 30s);
  EXPECT_EQ(first.permille(), 350U);
  first.report(0, false, {}, begin_ + 40s);
  ASSERT_EQ(first.state(), LifeState::down);
  ASSERT_EQ(first.flap_changes(), 2U);
  go_on(begin_ + 40s);
  first.report(0, true, {}, begin_ + 41s);
  first.wake(begin_ + 51s);
  ASSERT_EQ(first.state(), LifeState::flapping) << "the third change";
  go_on(begin_ + 60s);
  first.wake(begin_ + 71s);
  EXPECT_NE(first.state(), LifeState::flapping);
}

TEST_F(OneLife, AdoptedUpNeedsFallFailures) {
  Life life(rules(10s, 60s), {{2, 2}});
  life.adopt({LifeState::up, {}, {}}, begin_);
  EXPECT_EQ(life.report(0, false, {}, begin_), Life::Change::none);
  EXPECT_EQ(life.report(0, false, {}, begin_), Life::Change::state);
}

TEST_F(OneLife, NewRulesHoldAtOnce) {
  Life life(rules(600s), one());
  life.report(0, false, {}, begin_);
  life.report(0, true, {}, begin_);
  ASSERT_EQ(life.state(), LifeState::reentry);
  life.set_rules(rules(5s), begin_ + 2s);
  EXPECT_EQ(life.next_wake(), begin_ + 5s);
  life.set_rules(rules(), begin_ + 3s);
  EXPECT_EQ(life.state(), LifeState::up);
}

TEST_F(OneLife, WithoutAFlapRuleNobodyIsHeld) {
  Life life(rules(0s, 0s, FlapRule{2, 100s, 100s}), one());
  for (const bool passed : {true, false, true}) life.report(0, passed, {}, begin_);
  ASSERT_EQ(life.state(), LifeState::flapping);
  life.set_rules(rules(), begin_ + 1s);
  EXPECT_EQ(life.state(), LifeState::up);
}

TEST(LifeState, NamesAreReadBack) {
  for (const LifeState state : {LifeState::unchecked, LifeState::down, LifeState::flapping, LifeState::reentry,
                                LifeState::slow_start, LifeState::up})
    EXPECT_EQ(parse_life_state(to_string(state)), state);
  EXPECT_EQ(parse_life_state("dead"), std::nullopt);
}

}  // namespace
}  // namespace xlvs::health
