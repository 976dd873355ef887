// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/reports.h"

namespace xlvs::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

ha::SpeakerReport backup_beside(ha::Role peer) {
  ha::SpeakerReport report;
  report.role = ha::Role::backup;
  ha::InstanceReport& instance = report.instances.emplace_back();
  instance.interface = "wan0";
  ha::PeerLinkReport& link = report.peer_link.emplace();
  link.config.address = *IpAddress::parse("192.168.7.2");
  link.alive = true;
  link.heard_at = ha::Clock::now();
  link.own.config = "aa";
  link.peer.emplace().role = peer;
  link.peer->facts.config = "aa";
  link.peer->priority = 150;
  return report;
}

TEST(HaReports, OfThePeerLink) {
  ha::SpeakerReport from = backup_beside(ha::Role::active);
  from.peer_link->counts.sealed = 10;
  from.peer_link->send_errors = 3;
  from.peer_link->counts.opened = 4;
  from.peer_link->counts.refused[static_cast<std::size_t>(ha::PeerRefusal::hello)] = 1;
  from.peer_link->counts.refused[static_cast<std::size_t>(ha::PeerRefusal::replay)] = 2;
  const control::HaReport report = report_ha(from, {});
  ASSERT_TRUE(report.peer);
  EXPECT_EQ(report.peer->address, "192.168.7.2");
  EXPECT_EQ(report.peer->state, "up");
  EXPECT_EQ(report.peer->takeover, "both_silent");
  EXPECT_EQ(report.peer->role, "active");
  EXPECT_EQ(report.peer->priority, 150U);
  EXPECT_EQ(report.peer->config, "same");
  EXPECT_EQ(report.peer->sent, 7U);
  EXPECT_EQ(report.peer->received, 4U);
  EXPECT_THAT(report.peer->rejected, ElementsAre(Pair("replay", 2U)));
  EXPECT_THAT(report.warnings, IsEmpty());
}

TEST(HaReports, WithoutAPeerLinkThereIsNothingToSay) {
  const control::HaReport report = report_ha(ha::SpeakerReport{}, {});
  EXPECT_FALSE(report.peer);
  EXPECT_THAT(report.warnings, IsEmpty());
}

TEST(HaReports, WarnOfWhatIsWrongBetweenTheTwo) {
  ha::SpeakerReport unheard = backup_beside(ha::Role::active);
  unheard.peer_link->alive = false;
  unheard.peer_link->peer.reset();
  unheard.peer_link->heard_at.reset();
  EXPECT_THAT(report_ha(unheard, {}).warnings,
              ElementsAre(HasSubstr("nothing has been heard of the peer 192.168.7.2")));

  ha::SpeakerReport silent = backup_beside(ha::Role::active);
  silent.peer_link->alive = false;
  silent.peer_link->heard_at = ha::Clock::now() - std::chrono::seconds(7);
  silent.instances[0].silent = true;  // and VRRP, too: nothing strange
  EXPECT_THAT(report_ha(silent, {}).warnings, ElementsAre(HasSubstr("192.168.7.2 has been silent for 7s")));

  ha::SpeakerReport cut = backup_beside(ha::Role::active);
  cut.instances[0].silent = true;
  EXPECT_THAT(report_ha(cut, {}).warnings,
              ElementsAre("the peer is active, but its advertisements are not heard on wan0"));
  cut.peer_link->peer->role = ha::Role::backup;
  EXPECT_THAT(report_ha(cut, {}).warnings, ElementsAre("no router of the pair is active"));

  ha::SpeakerReport both = backup_beside(ha::Role::active);
  both.role = ha::Role::active;
  EXPECT_THAT(report_ha(both, {}).warnings, ElementsAre("this router and the peer are both active"));

  ha::SpeakerReport drift = backup_beside(ha::Role::active);
  drift.peer_link->peer->facts.config = "bb";
  EXPECT_THAT(report_ha(drift, {}).warnings,
              ElementsAre(HasSubstr("the configuration of the peer 192.168.7.2 differs")));
  drift.peer_link->peer->facts.config = "";
  EXPECT_EQ(report_ha(drift, {}).peer->config, "unknown");
}

class HaWarnings : public ::testing::Test {
 protected:
  HaWarnings() {
    report.role = ha::Role::active;
    instance.name = "pair";
    instance.interface = "wan0";
    instance.vrid = 51;
    instance.interval = std::chrono::milliseconds(100);
  }
  std::vector<std::string> warnings(std::chrono::seconds later = {}) const {
    return election_warnings(report, now + later);
  }

  ha::Time now = ha::Clock::now();
  IpAddress stranger = *IpAddress::parse("198.51.100.100");
  IpAddress vip = *IpAddress::parse("198.51.100.10");
  IpAddress other = *IpAddress::parse("203.0.113.9");
  ha::SpeakerReport report;
  ha::InstanceReport& instance = report.instances.emplace_back();
};

TEST_F(HaWarnings, OfAnIntervalThatNobodyShouldHave) {
  instance.oddities.interval = {stranger, std::chrono::milliseconds(40'950), now};
  EXPECT_THAT(warnings(), ElementsAre(HasSubstr("198.51.100.100 advertises every 40.95s, this router every 100ms")));
  EXPECT_THAT(warnings(std::chrono::seconds(119)), ::testing::SizeIs(1));
  EXPECT_THAT(warnings(std::chrono::seconds(121)), IsEmpty()) << "it is over";
}

TEST_F(HaWarnings, OfAnotherGroupAndOfListsThatDrift) {
  instance.oddities.addresses = {stranger, {vip}, {other}, true, now};
  EXPECT_THAT(warnings(), ElementsAre(HasSubstr("VRID 51 is used by 198.51.100.100 for other addresses on wan0 "
                                                "(203.0.113.9)")));
  instance.oddities.addresses->foreign = false;
  EXPECT_THAT(warnings(),
              ElementsAre(HasSubstr("198.51.100.100 advertises 203.0.113.9, which this router does not have, "
                                    "and not 198.51.100.10, which this router has")));
  instance.oddities.addresses->missing.clear();
  EXPECT_THAT(warnings(), ElementsAre(HasSubstr("advertises 203.0.113.9, which this router does not have: the")));
}

TEST_F(HaWarnings, OfWhoIsOverruled) {
  instance.oddities.overruled = {stranger, 200, now};
  EXPECT_THAT(warnings(), ElementsAre(HasSubstr("198.51.100.100 advertises priority 200 for VRID 51")));
}

// N1: 150/100 on one router, 100/150 on the other.
TEST_F(HaWarnings, OfPrioritiesThatCross) {
  ha::SpeakerReport two;
  for (const auto& [name, vrid, own] : {std::tuple("vi1", 51, 150), std::tuple("vi2", 52, 100)}) {
    ha::InstanceReport& added = two.instances.emplace_back();
    added.name = name;
    added.vrid = static_cast<std::uint8_t>(vrid);
    added.configured = static_cast<std::uint8_t>(own);
  }
  EXPECT_THAT(election_warnings(two, now), IsEmpty());
  two.instances[0].peer = ha::PeerReport{stranger, 100, now};
  EXPECT_THAT(election_warnings(two, now), IsEmpty());
  two.instances[1].peer = ha::PeerReport{stranger, 150, now};
  EXPECT_THAT(election_warnings(two, now),
              ElementsAre(HasSubstr("priorities cross: vi1 has 150 here and 100 at the other "
                                    "router, vi2 has 100 here and 150 there")));
  two.instances[1].peer->priority = 0;  // it stops
  EXPECT_THAT(election_warnings(two, now), IsEmpty());

  ha::PeerLinkReport& link = two.peer_link.emplace();  // by it the router that nobody sends to knows, too
  link.alive = true;
  link.peer.emplace().role = ha::Role::active;
  link.peer->instances = {{52, 150, stranger}, {51, 100, stranger}};
  EXPECT_THAT(election_warnings(two, now), ElementsAre(HasSubstr("priorities cross")));
  link.peer->instances = {{52, 90, stranger}, {51, 100, stranger}};
  EXPECT_THAT(election_warnings(two, now), IsEmpty());
}

}  // namespace
}  // namespace xlvs::agent
