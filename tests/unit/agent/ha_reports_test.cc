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
  EXPECT_THAT(ha_warnings(report), IsEmpty());
}

TEST(HaReports, WithoutAPeerLinkThereIsNothingToSay) {
  const control::HaReport report = report_ha(ha::SpeakerReport{}, {});
  EXPECT_FALSE(report.peer);
  EXPECT_THAT(ha_warnings(report), IsEmpty());
}

TEST(HaReports, WarnOfWhatIsWrongBetweenTheTwo) {
  ha::SpeakerReport unheard = backup_beside(ha::Role::active);
  unheard.peer_link->alive = false;
  unheard.peer_link->peer.reset();
  unheard.peer_link->heard_at.reset();
  EXPECT_THAT(ha_warnings(report_ha(unheard, {})),
              ElementsAre(HasSubstr("nothing has been heard of the peer 192.168.7.2")));

  ha::SpeakerReport silent = backup_beside(ha::Role::active);
  silent.peer_link->alive = false;
  silent.peer_link->heard_at = ha::Clock::now() - std::chrono::seconds(7);
  silent.instances[0].silent = true;  // and VRRP, too: nothing strange
  EXPECT_THAT(ha_warnings(report_ha(silent, {})), ElementsAre(HasSubstr("192.168.7.2 has been silent for 7s")));

  ha::SpeakerReport cut = backup_beside(ha::Role::active);
  cut.instances[0].silent = true;
  EXPECT_THAT(ha_warnings(report_ha(cut, {})),
              ElementsAre("the peer is active, but its advertisements are not heard on wan0"));
  cut.peer_link->peer->role = ha::Role::backup;
  EXPECT_THAT(ha_warnings(report_ha(cut, {})), IsEmpty());

  ha::SpeakerReport both = backup_beside(ha::Role::active);
  both.role = ha::Role::active;
  EXPECT_THAT(ha_warnings(report_ha(both, {})), ElementsAre("this router and the peer are both active"));

  ha::SpeakerReport drift = backup_beside(ha::Role::active);
  drift.peer_link->peer->facts.config = "bb";
  EXPECT_THAT(ha_warnings(report_ha(drift, {})),
              ElementsAre(HasSubstr("the configuration of the peer 192.168.7.2 differs")));
  drift.peer_link->peer->facts.config = "";
  EXPECT_EQ(report_ha(drift, {}).peer->config, "unknown");
}

}  // namespace
}  // namespace xlvs::agent
