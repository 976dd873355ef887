// SPDX-License-Identifier: Apache-2.0
// How long an active router may answer for its addresses, and who goes on after it.
#include "tests/unit/ha/vrrp_fixture.h"

namespace xlvs::ha {
namespace {

// The backup of the greatest priority that there can be waits longest of all no less than the lease.
TEST_F(VrrpTest, TheLeaseEndsBeforeAnyBackupTakesOver) {
  make_active(single(100));
  const double last = ms(group->lease_end()) - 300;
  EXPECT_LE(last, 2000);
  EXPECT_GT(last, 1900);
  Group backup(single(254));
  std::ignore = backup.start(at(0));
  Heard ignored{};
  std::ignore = backup.receive(at(last), 0, heard(255), ip("10.0.0.9"), ignored);
  EXPECT_GT(*backup.next_due(), group->lease_end());
}

TEST_F(VrrpTest, TheLeaseIsThatOfTheMemberWhoWasSilentLongest) {
  GroupConfig config = single(100);
  config.members.push_back(member(100, "10.0.1.2", 52));
  config.members[1].interval = milliseconds(40);
  make_active(std::move(config));
  EXPECT_LE(ms(group->lease_end()), 2000 + 120);
}

TEST_F(VrrpTest, ARouterThatSleptYieldsToWhoTookOver) {
  make_active(single(200));
  const Time woken = group->lease_end() + milliseconds(5000);
  ASSERT_TRUE(group->lapsed(woken));
  const Step step = receive(ms(woken), heard(50));
  EXPECT_EQ(step.changed, Role::backup);
  EXPECT_TRUE(step.send.empty()) << "without a word: the other one is active";
  EXPECT_FALSE(group->lapsed(woken));
  // The other goes on, and this one takes over again as a returning router does.
  EXPECT_GT(*group->next_due(), woken + milliseconds(300));
}

TEST_F(VrrpTest, ARouterThatSleptAloneGoesOn) {
  make_active(single(200));
  const Time woken = group->lease_end() + milliseconds(5000);
  const Step step = group->tick(woken);
  EXPECT_FALSE(step.changed);
  EXPECT_THAT(priorities(step), testing::ElementsAre(200));
  EXPECT_FALSE(group->lapsed(woken));
}

TEST_F(VrrpTest, OneWhoStopsHasNotTakenOver) {
  make_active(single(200));
  const Time woken = group->lease_end() + milliseconds(5000);
  EXPECT_FALSE(receive(ms(woken), heard(0)).changed);
  EXPECT_EQ(group->role(), Role::active);
}

TEST_F(VrrpTest, WhoTakesUpTheRoleIsActiveAtOnce) {
  make(single(100));
  const Step step = group->take_up(at(0));
  EXPECT_EQ(step.changed, Role::active);
  EXPECT_THAT(priorities(step), testing::ElementsAre(100));
  EXPECT_EQ(ms(group->lease_end()), 300);
}

TEST_F(VrrpTest, ARoleIsNotTakenUpWithALinkDown) {
  make(single(100));
  std::ignore = group->set_fault(at(0), 0, true, "wan0 is down");
  EXPECT_EQ(group->take_up(at(0)).changed, Role::init);
  EXPECT_EQ(group->set_fault(at(50), 0, false, "wan0 is up").changed, Role::backup);
}

// A backup waits for the process that takes up the role, and forgets that it did with the first advertisement of that.
TEST_F(VrrpTest, LeavingMakesBackupsWait) {
  make_active(single(150));
  const Step step = group->leave(at(2000));
  ASSERT_EQ(step.send.size(), 1U);
  EXPECT_EQ(group->role(), Role::active);
  EXPECT_EQ(ms(group->lease_end()), 2000 + 3000);
  EXPECT_EQ(step.send[0].advertisement.interval, kLeaveInterval);
  EXPECT_EQ(step.send[0].advertisement.priority, 150);

  Group backup(single(100));
  std::ignore = backup.start(at(1800));
  Heard ignored{};
  std::ignore = backup.receive(at(2000), 0, step.send[0].advertisement, ip("10.0.0.9"), ignored);
  EXPECT_GT(ms(*backup.next_due()), 5000);
  std::ignore = backup.receive(at(2500), 0, heard(150), ip("10.0.0.9"), ignored);
  EXPECT_LT(ms(*backup.next_due()), 2900);
}

TEST_F(VrrpTest, LeavingWithVersion2KeepsTheInterval) {
  GroupConfig config = single(150);
  config.members[0].version = VrrpVersion::v2;
  config.members[0].interval = milliseconds(1000);
  make_active(std::move(config), 5000);
  const Step step = group->leave(at(5000));
  ASSERT_EQ(step.send.size(), 1U);
  EXPECT_EQ(step.send[0].advertisement.interval, milliseconds(1000)) << "peers would refuse another";
}

TEST_F(VrrpTest, ABackupLeavesWithoutAWord) {
  make(single(100));
  std::ignore = group->start(at(0));
  EXPECT_TRUE(group->leave(at(100)).send.empty());
}

}  // namespace
}  // namespace xlvs::ha
