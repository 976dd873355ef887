// SPDX-License-Identifier: Apache-2.0
#include "core/pool.h"

#include <ostream>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

namespace xlvs {
namespace {

// Members as words: TIER:WEIGHT and a sign, "+" fit, "-" not, "x" taken out by the operator. "sorry" is the tier's
// name; an "s" behind the sign: a backend that is the sorry server, too, of weight 1.
std::vector<PoolMember> members_of(const std::string& text) {
  std::vector<PoolMember> members;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    PoolMember member;
    const bool sorry = word.starts_with("sorry");
    member.tier = sorry ? kSorryTier : static_cast<unsigned>(word[0] - '0');
    member.weight = sorry ? 1 : static_cast<std::uint32_t>(std::stoul(word.substr(2)));
    if (word.back() == 's') {
      word.pop_back();
      member.sorry_weight = 1;
    }
    member.fit = word.back() == '+';
    member.out = word.back() == 'x';
    members.push_back(member);
  }
  return members;
}

struct Case {
  const char* name;
  const char* members;
  PoolRules rules;
  bool had_quorum;
  const char* used;    // 1 or 0 for each member
  const char* status;  // tier ("none"), then "panic", "no-quorum", "withdrawn" as they apply
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.name;
}

class PoolTest : public ::testing::TestWithParam<Case> {};

TEST_P(PoolTest, Decides) {
  const Case& c = GetParam();
  const PoolDecision decision = decide_pool(members_of(c.members), c.rules, c.had_quorum);
  std::string used;
  for (const bool it : decision.used) used += it ? '1' : '0';
  EXPECT_EQ(used, c.used);
  const PoolStatus& status = decision.status;
  std::string text = !status.tier ? "none" : *status.tier == kSorryTier ? "sorry" : std::to_string(*status.tier);
  if (status.panic) text += " panic";
  if (!status.quorum) text += " no-quorum";
  if (status.withdrawn) text += " withdrawn";
  EXPECT_EQ(text, c.status);
}

const PoolRules kPlain{};
const PoolRules kPanic{50, {}, false};
const PoolRules kQuorum{0, Quorum{3, 2}, false};
const PoolRules kBoth{50, Quorum{3, 2}, false};
const PoolRules kWithdraw{0, Quorum{3, 2}, true};

INSTANTIATE_TEST_SUITE_P(
    All, PoolTest,
    ::testing::Values(Case{"Empty", "", kPlain, false, "", "none"},
                      Case{"AllFit", "0:1+ 0:1+", kPlain, false, "11", "0"},
                      Case{"FailedIsOut", "0:1+ 0:1-", kPlain, false, "10", "0"},
                      Case{"NobodyFit", "0:1- 0:1-", kPlain, false, "00", "none"},
                      Case{"DrainedStaysInTheTable", "0:1+ 0:0+", kPlain, false, "11", "0"},
                      Case{"AllDrained", "0:0+ 0:0-", kPlain, false, "10", "none"},
                      // tiers
                      Case{"BackupWaits", "0:1+ 1:1+", kPlain, false, "10", "0"},
                      Case{"BackupTakesOver", "0:1- 1:1+", kPlain, false, "01", "1"},
                      Case{"BackupOfADrainedPool", "0:0+ 1:1+", kPlain, false, "01", "1"},
                      Case{"BackupOfADisabledPool", "0:1x 1:1+", kPlain, false, "01", "1"},
                      Case{"SecondBackup", "0:1- 1:1- 2:1+", kPlain, false, "001", "2"},
                      Case{"TiersInAnyOrder", "2:1+ 1:1+ 0:1-", kPlain, false, "010", "1"},
                      Case{"DrainedBackup", "0:1- 1:0+", kPlain, false, "00", "none"},
                      // sorry
                      Case{"SorryWaits", "0:1+ sorry+", kPlain, false, "10", "0"},
                      Case{"SorryAfterTheBackup", "0:1- 1:1+ sorry+", kPlain, false, "010", "1"},
                      Case{"SorryWhenNobodyIsLeft", "0:1- 1:1- sorry+", kPlain, false, "001", "sorry"},
                      Case{"SorryOutOfService", "0:1- sorryx", kPlain, false, "00", "none"},
                      Case{"OnlySorry", "sorry+", kPlain, false, "1", "sorry"},
                      // a backend that says sorry, too
                      Case{"ItServesAsABackend", "0:1+ 0:1+s", kPlain, false, "11", "0"},
                      Case{"ItFailsAsABackend", "0:1+ 0:1-s", kPlain, false, "10", "0"},
                      Case{"AndIsTheLastResort", "0:1- 0:1-s 1:1-", kPlain, false, "010", "sorry"},
                      Case{"AfterTheBackup", "0:1- 0:1-s 1:1+", kPlain, false, "001", "1"},
                      Case{"UnlessTheOperatorTookItOut", "0:1- 0:1xs", kPlain, false, "00", "none"},
                      Case{"AlsoWhenItIsDrainedAsABackend", "0:1- 0:0-s", kPlain, false, "01", "sorry"},
                      Case{"RatherThanAPanic", "0:1- 0:1-s", kPanic, false, "01", "sorry"},
                      Case{"WithoutQuorumAlone", "0:1+ 0:1+s 0:1-", kQuorum, false, "010", "sorry no-quorum"},
                      // panic below 50 %
                      Case{"NoPanicAtTheThreshold", "0:1+ 0:1-", kPanic, false, "10", "0"},
                      Case{"Panic", "0:1+ 0:1- 0:1-", kPanic, false, "111", "0 panic"},
                      Case{"PanicGoesByWeight", "0:3+ 0:1- 0:1-", kPanic, false, "100", "0"},
                      Case{"PanicWithNobodyFit", "0:1- 0:1-", kPanic, false, "11", "0 panic"},
                      Case{"PanicLeavesTheDisabledOut", "0:1- 0:1- 0:1x", kPanic, false, "110", "0 panic"},
                      Case{"TheDisabledDoNotCount", "0:1+ 0:1- 0:1x", kPanic, false, "100", "0"},
                      Case{"AGoodBackupPreventsPanic", "0:1+ 0:1- 0:1- 1:1+", kPanic, false, "0001", "1"},
                      Case{"PanicInAllTiersTakesTheLowestWithSomebody", "0:1- 0:1- 1:1+ 1:1- 1:1-", kPanic, false,
                           "00111", "1 panic"},
                      Case{"PanicRatherThanSorry", "0:1+ 0:1- 0:1- sorry+", kPanic, false, "1110", "0 panic"},
                      Case{"SorryRatherThanPanicWithNobody", "0:1- 0:1- sorry+", kPanic, false, "001", "sorry"},
                      // quorum: gained at 3, lost below 2
                      Case{"QuorumNotYet", "0:1+ 0:1+ 0:1-", kQuorum, false, "110", "0 no-quorum"},
                      Case{"QuorumGained", "0:1+ 0:2+", kQuorum, false, "11", "0"},
                      Case{"QuorumKept", "0:1+ 0:1+ 0:1-", kQuorum, true, "110", "0"},
                      Case{"QuorumLost", "0:1+ 0:1- 0:1-", kQuorum, true, "100", "0 no-quorum"},
                      Case{"NoQuorumFallsToTheBackup", "0:1+ 0:1- 1:1+", kQuorum, true, "001", "1 no-quorum"},
                      Case{"NoQuorumFallsToSorry", "0:1+ 0:1- sorry+", kQuorum, true, "001", "sorry no-quorum"},
                      Case{"TheDisabledGiveNoQuorum", "0:1+ 0:1x 0:1x", kQuorum, true, "100", "0 no-quorum"},
                      Case{"NoQuorumAndPanic", "0:1+ 0:1- 0:1-", kBoth, true, "111", "0 panic no-quorum"},
                      Case{"NoQuorumAndPanicAndSorry", "0:1+ 0:1- 0:1- sorry+", kBoth, true, "0001", "sorry no-quorum"},
                      // withdrawing the VIP
                      Case{"NotWithdrawn", "0:3+", kWithdraw, false, "1", "0"},
                      Case{"WithdrawnWithoutQuorum", "0:1+", kWithdraw, true, "1", "0 no-quorum withdrawn"},
                      Case{"WithdrawnWithNobody", "0:1-", kWithdraw, true, "0", "none no-quorum withdrawn"},
                      Case{"TheBackupKeepsIt", "0:1- 1:1+", kWithdraw, true, "01", "1 no-quorum"},
                      Case{"SorryKeepsIt", "0:1- sorry+", kWithdraw, true, "01", "sorry no-quorum"},
                      Case{"WithdrawnInAPanicWithNobody", "0:1-", PoolRules{50, {}, true}, true, "1",
                           "0 panic withdrawn"}),
    [](const auto& c) { return c.param.name; });

TEST(Pool, StatusHasTheWeightsOfTheFirstTier) {
  const PoolStatus status = decide_pool(members_of("1:9+ 0:3+ 0:4- 0:5x"), {}, true).status;
  EXPECT_EQ(status.weight, 7U);
  EXPECT_EQ(status.fit_weight, 3U);
}

}  // namespace
}  // namespace xlvs
