// SPDX-License-Identifier: Apache-2.0
// What the peer link changes in the election. Times are milliseconds since the start.
#include "tests/unit/ha/vrrp_fixture.h"

namespace xlvs::ha {
namespace {

constexpr double kSkew = 100 * 156 / 256.0;

class Veto : public VrrpTest {
 protected:
  void make_backup(GroupConfig config = single(100)) {
    make(std::move(config));
    std::ignore = group->start(at(0));
  }
  // Advertisements every 100 ms in [begin, end), with ticks between them; the time of the last change of role, or -1.
  double hear(int begin, int end, int priority, std::uint8_t vrid = 51) {
    double changed = -1;
    for (int now = begin; now < end; now += 100) {
      changed = std::max(changed, run_until(now));
      receive(now, heard(priority, 100, vrid));
    }
    return changed;
  }
};

TEST_F(Veto, SilenceIsNoReasonToTakeOver) {
  make_backup();
  group->see_peer(at(0), peer(Role::active));
  EXPECT_EQ(run_until(60'000), -1);
  EXPECT_FALSE(group->next_due());
  EXPECT_FALSE(group->tick(at(60'000)).changed);
}

TEST_F(Veto, ASearchIsBesideWhatIsDue) {
  make(single(150));
  std::ignore = group->take_up(at(0));
  const Time due = *group->next_due();
  const Step step = group->search(at(25));
  ASSERT_EQ(step.send.size(), 1U);
  EXPECT_EQ(step.send[0].advertisement.priority, 150);
  EXPECT_FALSE(step.changed);
  EXPECT_EQ(*group->next_due(), due);
  EXPECT_EQ(group->lease_end(), at(25 + 300)) << "whoever heard it waits so long";
  make_backup();
  EXPECT_TRUE(group->search(at(25)).send.empty());
}

TEST_F(Veto, SilenceAfterAdvertisementsIsNone) {
  for (const int priority : {150, 100}) {
    make_backup();
    group->see_peer(at(0), peer(Role::active));
    EXPECT_EQ(hear(0, 1000, priority), -1);
    EXPECT_EQ(run_until(60'000), -1);
  }
}

TEST_F(Veto, WhenItEndsTheRouterTakesOverAtOnce) {
  make_backup();
  group->see_peer(at(0), peer(Role::active));
  EXPECT_EQ(run_until(5000), -1);
  group->see_peer(at(5000), {});
  EXPECT_LE(*group->next_due(), at(5000));
  EXPECT_EQ(group->tick(at(5000)).changed, Role::active);
}

TEST_F(Veto, AndNotBeforeSilenceHasLastedLongEnough) {
  make_backup();
  group->see_peer(at(0), peer(Role::active));
  EXPECT_EQ(hear(0, 500, 150), -1);
  group->see_peer(at(500), {});
  EXPECT_NEAR(run_until(5000), 400 + 300 + kSkew, 0.001);
}

// Its better peer is active, and is not heard; somebody else sends what one would preempt.
TEST_F(Veto, NobodyPreemptsABetterPeer) {
  make_backup();
  PeerView view = peer(Role::active);
  view.before = true;
  group->see_peer(at(0), view);
  EXPECT_EQ(hear(50, 5000, 50), -1);
}

// A returning router of higher priority hears the active one, on both paths.
TEST_F(Veto, WhoHearsLowerPriorityPreempts) {
  make_backup();
  group->see_peer(at(0), peer(Role::active));
  EXPECT_NEAR(hear(50, 1000, 50), 300 + kSkew, 0.001);
}

TEST_F(Veto, WhoHeardLowerPriorityOnceAndThenNothingDoesNot) {
  make_backup();
  group->see_peer(at(0), peer(Role::active));
  receive(10, heard(50));
  EXPECT_EQ(run_until(60'000), -1);
}

TEST_F(Veto, WithoutPreemptionLowerPriorityIsLeftAlone) {
  GroupConfig config = single(100);
  config.preempt = false;
  make_backup(config);
  group->see_peer(at(0), peer(Role::active));
  EXPECT_EQ(hear(0, 5000, 50), -1);
  EXPECT_EQ(run_until(60'000), -1);
}

TEST_F(Veto, AnActiveRouterThatStopsIsFollowedOnceTheLinkSaysSoToo) {
  make_backup();
  group->see_peer(at(0), peer(Role::active));
  EXPECT_EQ(hear(0, 1000, 150), -1);
  receive(950, heard(0));
  EXPECT_EQ(run_until(5000), -1) << "anybody can send such a datagram";
  EXPECT_EQ(hear(5000, 6000, 150), -1);
  receive(5950, heard(0));
  group->see_peer(at(5951), peer(Role::init));
  EXPECT_NEAR(run_until(9000), 5950 + kSkew, 0.001);
}

// One of two links is cut: the other one's advertisements alone are no reason to preempt.
TEST_F(Veto, EveryMemberMustHear) {
  GroupConfig config;
  config.members = {member(100), member(100, "10.1.0.2", 52)};
  make_backup(config);
  group->see_peer(at(0), peer(Role::active));
  EXPECT_EQ(hear(0, 5000, 50), -1);
  group->see_peer(at(5000), {});
  EXPECT_EQ(group->tick(at(5000)).changed, Role::active);
}

// Silence does not become something else when tracking moves the priority, and with it the skew.
TEST_F(Veto, AChangeOfPriorityIsNoReasonEither) {
  for (const std::uint8_t priority : std::array<std::uint8_t, 2>{1, 254}) {
    make_backup();
    group->see_peer(at(0), peer(Role::active));
    EXPECT_EQ(hear(0, 1000, 150), -1);
    group->set_priority(0, priority);
    EXPECT_EQ(run_until(60'000), -1) << static_cast<int>(priority);
  }
}

TEST_F(Veto, ItEndsNoRole) {
  make_active(single(100));
  group->see_peer(at(0), peer(Role::active));
  EXPECT_EQ(run_until(10'000), -1);
  EXPECT_EQ(group->role(), Role::active);
  EXPECT_GT(sent, 90U);
}

TEST_F(Veto, TheOwnerOfTheAddressIsNotHeldUp) {
  make(single(255));
  group->see_peer(at(0), peer(Role::active));
  EXPECT_EQ(group->start(at(0)).changed, Role::active);
}

TEST_F(Veto, YieldingIsSilentAndForTheWholeDownInterval) {
  make_active(single(100), 2000);
  const Step step = group->yield(at(2000), "because");
  EXPECT_EQ(step.changed, Role::backup);
  EXPECT_EQ(step.reason, "because");
  EXPECT_TRUE(step.send.empty());
  EXPECT_NEAR(ms(*group->next_due()), 2300 + kSkew, 0.001);
  EXPECT_FALSE(group->yield(at(2000), "again").changed);
}

TEST_F(Veto, SilentIsWhoHearsNobodyForAsLongAsItWaits) {
  make_backup();
  EXPECT_FALSE(group->is_silent(0, at(300)));
  EXPECT_TRUE(group->is_silent(0, at(400)));
  receive(400, heard(50));
  EXPECT_FALSE(group->is_silent(0, at(700)));
  EXPECT_TRUE(group->is_silent(0, at(800)));
  make_active(single(100));
  EXPECT_FALSE(group->is_silent(0, at(10'000)));
}

}  // namespace
}  // namespace xlvs::ha
