// SPDX-License-Identifier: Apache-2.0
#include <ostream>
#include <string>

#include <gtest/gtest.h>

#include "health/rise_fall.h"

namespace xlvs::health {
namespace {

struct Case {
  const char* name;
  unsigned rise;
  unsigned fall;
  const char* adopted;  // "", "up", "down"
  std::string results;  // P passed, F failed
  std::string states;   // after each: U up, d down; "!" where report() said that it changed
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.name;
}

class RiseFallTest : public ::testing::TestWithParam<Case> {};

TEST_P(RiseFallTest, FollowsResults) {
  const Case& c = GetParam();
  RiseFall machine(c.rise, c.fall);
  if (*c.adopted != '\0') machine.adopt(std::string(c.adopted) == "up" ? HealthState::up : HealthState::down);
  EXPECT_EQ(machine.decided(), *c.adopted != '\0');
  std::string states;
  for (const char result : c.results) {
    const bool changed = machine.report(result == 'P');
    states += machine.state() == HealthState::up ? "U" : "d";
    if (changed) states += "!";
    EXPECT_TRUE(machine.decided());
  }
  EXPECT_EQ(states, c.states);
}

INSTANTIATE_TEST_SUITE_P(All, RiseFallTest,
                         ::testing::Values(Case{"FirstPassBringsUp", 3, 3, "", "P", "U!"},
                                           Case{"FirstFailureDecides", 3, 3, "", "FF", "d!d"},
                                           Case{"RiseCountsAfterThat", 3, 3, "", "FPPP", "d!ddU!"},
                                           Case{"FallCountsInARow", 2, 3, "", "PFFPFFF", "U!UUUUUd!"},
                                           Case{"RiseCountsInARow", 3, 1, "", "PFPPFPPP", "U!d!dddddU!"},
                                           Case{"OneOne", 1, 1, "", "PFPF", "U!d!U!d!"},
                                           Case{"StaysUp", 2, 2, "", "PPPP", "U!UUU"},
                                           Case{"StaysDown", 2, 2, "", "FFFF", "d!ddd"},
                                           Case{"AdoptedUpNeedsFallFailures", 2, 2, "up", "FF", "Ud!"},
                                           Case{"AdoptedUpPasses", 2, 2, "up", "PFPF", "UUUU"},
                                           Case{"AdoptedDownNeedsRisePasses", 2, 2, "down", "PP", "dU!"}),
                         [](const auto& c) { return c.param.name; });

TEST(RiseFall, CountsInARow) {
  RiseFall machine(2, 2);
  machine.report(true);
  machine.report(true);
  EXPECT_EQ(machine.passes(), 2U);
  EXPECT_EQ(machine.failures(), 0U);
  machine.report(false);
  EXPECT_EQ(machine.passes(), 0U);
  EXPECT_EQ(machine.failures(), 1U);
}

TEST(RiseFall, AdoptingStartsTheCountAfresh) {
  RiseFall machine(3, 3);
  machine.report(true);
  machine.report(false);
  machine.report(false);
  machine.adopt(HealthState::up);
  EXPECT_FALSE(machine.report(false));
  EXPECT_EQ(machine.state(), HealthState::up);
}

}  // namespace
}  // namespace xlvs::health
