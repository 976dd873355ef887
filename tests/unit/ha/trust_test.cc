// SPDX-License-Identifier: Apache-2.0
// Advertisements are not authenticated: what a forged one, or a neighbour's, can do to a router. Times are
// milliseconds.
#include "tests/unit/ha/vrrp_fixture.h"

namespace xlvs::ha {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kStranger = "10.0.0.99";
constexpr double kSkew = 100 * 156 / 256.0;

// Version and family of a group, with the addresses to match.
struct Kind {
  const char* name;
  VrrpVersion version;
  const char* own;
  const char* other;
  const char* vip;
  const char* foreign;
  int interval;
};

class Trust : public VrrpTest, public ::testing::WithParamInterface<Kind> {
 protected:
  static GroupConfig config(std::uint8_t priority = 100) {
    GroupConfig group = single(priority);
    MemberConfig& member = group.members[0];
    member.version = GetParam().version;
    member.interval = milliseconds(GetParam().interval);
    member.source = ip(GetParam().own);
    member.vips = {ip(GetParam().vip)};
    return group;
  }
  static Advertisement advert(int priority, std::vector<IpAddress> addresses = {ip(GetParam().vip)}) {
    return {GetParam().version,   51, static_cast<std::uint8_t>(priority), milliseconds(GetParam().interval),
            std::move(addresses), {}};
  }
  double interval() const { return GetParam().interval; }
  Step hear(double now, const Advertisement& advertisement) { return receive(now, advertisement, GetParam().other); }
};

TEST_P(Trust, AnotherGroupWithOurVridDoesNotTakeTheRoleAway) {
  make_active(config(), 10 * interval());
  const double now = 11 * interval();
  EXPECT_FALSE(hear(now, advert(200, {ip(GetParam().foreign)})).changed);
  EXPECT_EQ(how, Heard::addresses);
  EXPECT_EQ(group->role(), Role::active);
  ASSERT_TRUE(group->oddities(0).addresses);
  EXPECT_TRUE(group->oddities(0).addresses->foreign);
  EXPECT_EQ(group->oddities(0).addresses->source, ip(GetParam().other));
  EXPECT_THAT(hear(now, advert(0, {ip(GetParam().foreign)})).send, IsEmpty()) << "nor is it answered";
  EXPECT_THAT(hear(now, advert(200, {})).send, IsEmpty());
  EXPECT_EQ(group->role(), Role::active);
}

TEST_P(Trust, AnotherGroupWithOurVridDoesNotKeepABackupRouterWaiting) {
  make(config());
  std::ignore = group->start(at(0));
  for (int i = 0; i < 30; ++i) hear(i * interval() / 10, advert(200, {ip(GetParam().foreign)}));
  EXPECT_LT(run_until(5 * interval()), 4 * interval());
  EXPECT_EQ(group->role(), Role::active);
}

TEST_P(Trust, ListsThatOverlapAreADriftOfThePairWhichKeepsOneOwner) {
  make_active(config(), 10 * interval());
  EXPECT_EQ(hear(11 * interval(), advert(200, {ip(GetParam().foreign), ip(GetParam().vip)})).changed, Role::backup);
  EXPECT_EQ(how, Heard::taken);
  ASSERT_TRUE(group->oddities(0).addresses);
  EXPECT_FALSE(group->oddities(0).addresses->foreign);
  EXPECT_THAT(group->oddities(0).addresses->unknown, ElementsAre(ip(GetParam().foreign)));
  EXPECT_THAT(group->oddities(0).addresses->missing, IsEmpty());
  hear(12 * interval(), advert(200));
  EXPECT_FALSE(group->oddities(0).addresses) << "it was reloaded, too";
}

TEST_P(Trust, StrangersAreCountedAndNotHeard) {
  GroupConfig only = config();
  only.members[0].peers = {ip(GetParam().foreign)};
  make_active(only, 10 * interval());
  EXPECT_FALSE(hear(11 * interval(), advert(200)).changed);
  EXPECT_EQ(how, Heard::stranger);
  EXPECT_EQ(receive(11 * interval(), advert(200), GetParam().foreign).changed, Role::backup);
}

TEST_P(Trust, AFloodOfLowerPriorityIsAnsweredTenTimesAnInterval) {
  make_active(config(), 10 * interval());
  const double begin = ms(*group->next_due()) - interval() + 1;
  std::size_t answers = 0;
  for (int i = 0; i < 10'000; ++i) answers += hear(begin + i * interval() / 10'000, advert(1)).send.size();
  EXPECT_GE(answers, 1U);
  EXPECT_LE(answers, 10U);
  EXPECT_EQ(group->role(), Role::active);
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, Trust,
    ::testing::Values(Kind{"v3", VrrpVersion::v3, "10.0.0.2", "10.0.0.1", "198.51.100.10", "203.0.113.9", 100},
                      Kind{"v3_ipv6", VrrpVersion::v3, "fe80::2", "fe80::1", "2001:db8::10", "2001:db8:9::9", 100},
                      Kind{"v2", VrrpVersion::v2, "10.0.0.2", "10.0.0.1", "198.51.100.10", "203.0.113.9", 1000}),
    [](const auto& parameter) { return std::string(parameter.param.name); });

class OneDatagram : public VrrpTest {};

// The field story: one advertisement with an interval of 40.95 s left a pair of 100 ms without a router for 140 s.
TEST_F(OneDatagram, WithALongIntervalDoesNotSilenceTheRouterForMinutes) {
  make_active(single(100));
  EXPECT_EQ(receive(2000, heard(200, 40'950), kStranger).changed, Role::backup);
  EXPECT_EQ(group->active_down_interval(0), 3 * milliseconds(1100) + Duration(milliseconds(1100)) * 156 / 256);
  ASSERT_TRUE(group->oddities(0).interval);
  EXPECT_EQ(group->oddities(0).interval->source, ip(kStranger));
  EXPECT_EQ(group->oddities(0).interval->advertised, milliseconds(40'950));
  EXPECT_LT(run_until(60'000), 2000 + 4 * 1100 + 1);
  EXPECT_EQ(group->role(), Role::active);
}

TEST_F(OneDatagram, WithALongIntervalDoesNotKeepABackupRouterWaitingEither) {
  make(single(100));
  std::ignore = group->start(at(0));
  receive(50, heard(200, 40'950), kStranger);
  EXPECT_LT(run_until(60'000), 50 + 4 * 1100);
}

TEST_F(OneDatagram, OfARestartIsWithinWhatIsAdopted) {
  for (const int own : {10, 100, 1000}) {
    GroupConfig config = single(100);
    config.members[0].interval = milliseconds(own);
    make(std::move(config));
    std::ignore = group->start(at(0));
    receive(5, heard(200, 1000));
    EXPECT_FALSE(group->oddities(0).interval);
    EXPECT_GE(group->active_down_interval(0), milliseconds(3000));
  }
}

// The same number on two links: each instance hears its own link only.
TEST_F(OneDatagram, OfAnotherLinkIsNotThisOnes) {
  GroupConfig config;
  config.members = {member(100), member(100, "10.1.0.2")};
  make(config);
  std::ignore = group->start(at(0));
  std::ignore = group->receive(at(50), 1, heard(200), ip("10.1.0.1"), how);
  EXPECT_EQ(how, Heard::taken);
  EXPECT_TRUE(group->is_silent(0, at(400)));
  EXPECT_FALSE(group->is_silent(1, at(400)));
}

class PeerKnows : public VrrpTest {
 protected:
  void make_backup(bool before = false, std::vector<IpAddress> peers = {}) {
    GroupConfig config = single(100);
    config.members[0].peers = std::move(peers);
    make(config);
    std::ignore = group->start(at(0));
    view = peer(Role::backup);
    view.before = before;
    group->see_peer(at(0), view);
  }
  // Somebody advertises priority 200 and our addresses, every 10 ms in [begin, end); the time of the last change, or
  // -1.
  double flood(int begin, int end, const char* source = kStranger) {
    double changed = -1;
    for (int now = begin; now < end; now += 10) {
      changed = std::max(changed, run_until(now));
      if (receive(now, heard(200), source).changed) changed = now;
    }
    return changed;
  }
  PeerView view;
};

TEST_F(PeerKnows, ThatNobodyOfThePairIsActiveAndElectsByTheLink) {
  make_backup();
  const double active = flood(0, 5000);
  EXPECT_NEAR(active, 300 + kSkew, 10);
  EXPECT_EQ(group->role(), Role::active) << "and stays so";
  ASSERT_TRUE(group->oddities(0).overruled);
  EXPECT_EQ(group->oddities(0).overruled->source, ip(kStranger));
  EXPECT_EQ(group->oddities(0).overruled->priority, 200);
}

TEST_F(PeerKnows, AndSaysWhoAdvertised) {
  make_backup();
  for (int now = 0; now < 360; now += 10) receive(now, heard(200), kStranger);
  const Step step = group->tick(at(370));
  EXPECT_THAT(step.reason, HasSubstr("no router of the pair is active"));
  EXPECT_THAT(step.reason, HasSubstr("10.0.0.99 advertises priority 200"));
}

TEST_F(PeerKnows, TheOtherOneOfTheTwoWaitsForIt) {
  make_backup(true);
  EXPECT_EQ(flood(0, 800), -1);
  view.active = true;
  view.takes_part = false;
  group->see_peer(at(800), view);
  EXPECT_EQ(flood(800, 5000), -1);
}

TEST_F(PeerKnows, ButNotForEver) {
  make_backup(true);
  EXPECT_NEAR(flood(0, 5000), 900 + kSkew, 10);
}

TEST_F(PeerKnows, AThirdRouterThatIsConfiguredIsHeardAsAlways) {
  make_backup(false, {ip("10.0.0.1"), ip("10.0.0.3")});
  EXPECT_EQ(flood(0, 5000, "10.0.0.3"), -1);
  EXPECT_NEAR(run_until(60'000), 4990 + 300 + kSkew, 0.001);
}

TEST_F(PeerKnows, ThePeersOwnAddressIsNoProof) {
  make_backup(false, {ip("10.0.0.1"), ip("10.0.0.3")});
  EXPECT_NEAR(flood(0, 5000, "10.0.0.1"), 300 + kSkew, 10);
  EXPECT_EQ(group->role(), Role::active);
}

TEST_F(PeerKnows, WithoutALinkAdvertisementsAreAllThereIs) {
  make_backup();
  group->see_peer(at(1), {});
  EXPECT_EQ(flood(1, 5000), -1);
}

TEST_F(PeerKnows, WhenTheLinkEndsAdvertisementsCountAgain) {
  make_backup();
  EXPECT_GT(flood(0, 1000), 0);
  group->see_peer(at(1000), {});
  EXPECT_EQ(receive(1000, heard(200), kStranger).changed, Role::backup);
}

TEST_F(PeerKnows, ALowerRouterThatIsActiveInSpiteOfAllStillYieldsByTheLink) {
  make_backup();
  EXPECT_GT(flood(0, 1000), 0);
  EXPECT_EQ(group->yield(at(1000), "the peer is active").changed, Role::backup);
  view.active = true;
  group->see_peer(at(1001), view);
  EXPECT_EQ(flood(1001, 3000), -1);
}

}  // namespace
}  // namespace xlvs::ha
