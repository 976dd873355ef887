// SPDX-License-Identifier: Apache-2.0
// The virtual addresses follow the role that the VRRP speaker finds.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/configuration.h"
#include "tests/unit/agent/harness.h"

namespace xlvs::agent {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

const IpAddress kVip = *IpAddress::parse("198.51.100.10");
const IpAddress kGateway = *IpAddress::parse("10.0.0.254");

class PairTest : public AgentTest {
 protected:
  PairTest() { configure(with_ha()); }
  [[nodiscard]] std::string with_ha(const std::string& priority = "150", int vrid = 51) const {
    return config(
        fmt::format("metrics: {{listen: off}}\nha:\n  instances:\n    - {{name: outside, interface: wan0, vrid: {}, "
                    "priority: {}}}\n    - {{name: inside, interface: lan0, vrid: 52, addresses: [10.0.0.254]}}\n",
                    vrid, priority));
  }
  // What an lvsd that was active until a moment ago has left in the maps.
  void leave_lease(std::chrono::seconds rest) {
    const auto loaded = load_configuration(options_.config_path);
    machine_.maps.fence().answer_until(ha::Clock::now() + rest, ha::role_number(*loaded->config.ha));
  }
  // As from the speaker's thread.
  void become(ha::Role role) {
    machine_.role_changed(role, "because");
    loop_.poll();
    loop_.restart();
  }
  [[nodiscard]] const std::set<IpAddress>& vips() { return machine_.vips["lo"]; }
};

TEST_F(PairTest, AddressesAreThereWhileActive) {
  ASSERT_TRUE(ok(start()));
  EXPECT_THAT(machine_.speaker_log, ElementsAre("started with 2 instances"));
  EXPECT_THAT(vips(), IsEmpty());
  become(ha::Role::backup);
  EXPECT_THAT(vips(), IsEmpty());
  become(ha::Role::active);
  EXPECT_THAT(vips(), UnorderedElementsAre(kVip, kGateway));
  become(ha::Role::init);
  EXPECT_THAT(vips(), IsEmpty());
}

// What keepalived's notify_master and notify_fifo are for.
TEST_F(PairTest, HooksAreToldOfRoles) {
  const std::string fifo = directory_ / "events";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  const int reader = open(fifo.c_str(), O_RDONLY | O_NONBLOCK);
  configure(with_ha() + "hooks: [{path: " + fifo + ", events: [role]}]\n");
  ASSERT_TRUE(ok(start()));
  become(ha::Role::backup);
  become(ha::Role::active);
  char text[4096];
  const ssize_t size = read(reader, text, sizeof text);
  close(reader);
  ASSERT_GT(size, 0);
  std::istringstream lines(std::string(text, static_cast<std::size_t>(size)));
  for (const char* role : {"backup", "active"}) {
    std::string line;
    ASSERT_TRUE(std::getline(lines, line));
    EXPECT_THAT(line, HasSubstr(fmt::format(R"("event":"role","service":"","state":"{}","reason":"because")", role)));
  }
}

TEST_F(PairTest, NotifyScriptsGetKeepalivedsArguments) {
  const std::string written = directory_ / "written";
  configure(with_ha() + "hooks:\n  - {program: [/bin/sh, -c, 'echo \"$@\" = $LVS_VRRP $LVS_STATE $LVS_PRIORITY >> " +
            written + "', notify], user: \"" + std::to_string(getuid()) +
            "\", events: [role], keepalived_arguments: true}\n");
  for (const auto& [name, priority] : {std::pair("outside", 150), std::pair("inside", 100)}) {
    ha::InstanceReport& instance = machine_.speaker_report.instances.emplace_back();
    instance.name = name;
    instance.priority = static_cast<std::uint8_t>(priority);
  }
  ASSERT_TRUE(ok(start()));
  const auto text = [&] { return std::filesystem::exists(written) ? read_file(written) : ""; };
  const auto lines = [&] {
    const std::string all = text();
    return std::count(all.begin(), all.end(), '\n');
  };
  become(ha::Role::backup);
  become(ha::Role::active);
  become(ha::Role::init);
  ASSERT_TRUE(wait_for([&] { return lines() == 6; })) << text();
  EXPECT_EQ(text(),
            "INSTANCE outside BACKUP 150 = outside backup 150\nINSTANCE inside BACKUP 100 = inside backup 100\n"
            "INSTANCE outside MASTER 150 = outside active 150\nINSTANCE inside MASTER 100 = inside active 100\n"
            "INSTANCE outside FAULT 150 = outside init 150\nINSTANCE inside FAULT 100 = inside init 100\n");
}

TEST_F(PairTest, AStopHandsOver) {
  ASSERT_TRUE(ok(start()));
  become(ha::Role::active);
  agent_->stop();
  EXPECT_THAT(machine_.speaker_log, Contains("stopped"));
  EXPECT_THAT(vips(), IsEmpty());
}

TEST_F(PairTest, ASpeakerThatHangsIsNotAlive) {
  ASSERT_TRUE(ok(start()));
  EXPECT_TRUE(agent_->pair().alive());
  machine_.speaker_hangs = true;
  EXPECT_FALSE(agent_->pair().alive());
  configure(config());
  ASSERT_TRUE(ok(operations().apply_config()));
  EXPECT_TRUE(agent_->pair().alive()) << "alone there is none";
}

TEST_F(PairTest, LinksAreTracked) {
  ASSERT_TRUE(ok(start()));
  machine_.events.link_changed({"wan0", 3, {{2, 0, 0, 0, 0, 2}}, 1500, false});
  EXPECT_THAT(machine_.speaker_log, Contains("wan0 down"));
}

TEST_F(PairTest, AStopForARestartKeepsTheRole) {
  ASSERT_TRUE(ok(start()));
  become(ha::Role::active);
  agent_->stop(Agent::Stop::for_restart);
  EXPECT_THAT(machine_.speaker_log, ElementsAre("started with 2 instances", "left"));
  EXPECT_THAT(vips(), UnorderedElementsAre(kVip, kGateway));
}

TEST_F(PairTest, ARestartedLvsdTakesUpTheRole) {
  ASSERT_TRUE(ok(start()));
  become(ha::Role::active);
  leave_lease(60s);
  ASSERT_TRUE(ok(restart()));
  EXPECT_THAT(machine_.speaker_log, Contains("took up the role with 2 instances"));
  EXPECT_THAT(vips(), UnorderedElementsAre(kVip, kGateway));
  become(ha::Role::backup);  // they are still known as lvsd's own
  EXPECT_THAT(vips(), IsEmpty());
}

TEST_F(PairTest, ARoleWhoseLeaseHasEndedIsNotTakenUp) {
  ASSERT_TRUE(ok(start()));
  become(ha::Role::active);
  leave_lease(-1s);
  ASSERT_TRUE(ok(restart()));
  EXPECT_THAT(machine_.speaker_log, Not(Contains("took up the role with 2 instances")));
  EXPECT_THAT(vips(), IsEmpty());
}

TEST_F(PairTest, TheRoleOfOtherVirtualRoutersIsNotTakenUp) {
  leave_lease(60s);
  configure(with_ha("150", 53));
  ASSERT_TRUE(ok(start()));
  EXPECT_THAT(machine_.speaker_log, ElementsAre("started with 2 instances"));
  EXPECT_THAT(vips(), IsEmpty());
}

TEST_F(PairTest, TracksLowerThePriority) {
  const std::string before = with_ha();
  configure(std::string(before).replace(
      before.find("  instances"), 0,
      "  track: [{name: back, interface: lan0, weight: 0}, {name: pools, services: true}]\n"));
  ASSERT_TRUE(ok(start()));
  EXPECT_EQ(machine_.speaker_log.back(), "penalty 50: pools: no backend: web") << "nothing has been checked yet";
  machine_.events.link_changed({"lan0", 2, {{2, 0, 0, 0, 0, 1}}, 1500, false});
  EXPECT_EQ(machine_.speaker_log.back(), "penalty 50 and fault: back: lan0 is down; pools: no backend: web");
  machine_.events.link_changed({"lan0", 2, {{2, 0, 0, 0, 0, 1}}, 1500, true});
  ASSERT_TRUE(wait_for([&] { return machine_.speaker_log.back() == "penalty 0: "; })) << "backends are up";
  ASSERT_TRUE(operations().status().ha);
  EXPECT_EQ(operations().status().ha->tracks.at(1).name, "pools");
  EXPECT_TRUE(operations().status().ha->tracks.at(1).good);
}

TEST_F(PairTest, WarnsOfWhoClaimsAnAddress) {
  machine_.speaker_report.instances.resize(1);
  ha::InstanceReport& instance = machine_.speaker_report.instances[0];
  instance.name = "outside";
  instance.interface = "wan0";
  instance.conflict = {kVip, {{2, 0, 0, 0, 0, 9}}, ha::Clock::now()};
  ASSERT_TRUE(ok(start()));
  EXPECT_THAT(operations().status().warnings,
              Contains("ha instance outside: 198.51.100.10 is claimed by 02:00:00:00:00:09 on wan0: somebody else has "
                       "the address"));
}

TEST_F(PairTest, AddressesOfTheRoleAreFenced) {
  ASSERT_TRUE(ok(start()));
  EXPECT_THAT(machine_.maps.fenced, UnorderedElementsAre(kVip, kGateway));
  configure(config());
  ASSERT_TRUE(ok(operations().apply_config()));
  EXPECT_THAT(machine_.maps.fenced, IsEmpty());
}

TEST_F(PairTest, AReloadKeepsTheRoleUnlessTheVirtualRoutersChange) {
  ASSERT_TRUE(ok(start()));
  become(ha::Role::active);
  ASSERT_TRUE(ok(operations().apply_config()));
  EXPECT_EQ(machine_.speaker_log.size(), 1U);
  EXPECT_THAT(vips(), UnorderedElementsAre(kVip, kGateway));

  configure(with_ha("90"));
  ASSERT_TRUE(ok(operations().apply_config()));
  EXPECT_THAT(machine_.speaker_log,
              ElementsAre("started with 2 instances", "left", "took up the role with 2 instances"));
  EXPECT_THAT(vips(), UnorderedElementsAre(kVip, kGateway));

  machine_.speaker_leaves_role = false;  // lost between its last report and now
  configure(with_ha("91"));
  ASSERT_TRUE(ok(operations().apply_config()));
  EXPECT_EQ(machine_.speaker_log.back(), "started with 2 instances");
  EXPECT_THAT(vips(), IsEmpty());
  become(ha::Role::active);

  configure(with_ha("90", 53));
  const auto earlier = machine_.role_changed;
  machine_.speaker_log.clear();
  ASSERT_TRUE(ok(operations().apply_config()));
  EXPECT_THAT(machine_.speaker_log, ElementsAre("stopped", "started with 2 instances"));
  EXPECT_THAT(vips(), IsEmpty());
  earlier(ha::Role::active, "too late");  // of the speaker that is no more
  loop_.poll();
  loop_.restart();
  EXPECT_THAT(vips(), IsEmpty());

  configure(config());  // alone again
  ASSERT_TRUE(ok(operations().apply_config()));
  EXPECT_THAT(vips(), UnorderedElementsAre(kVip));
}

TEST_F(PairTest, AReloadThatFailsLeavesTheSpeaker) {
  ASSERT_TRUE(ok(start()));
  become(ha::Role::active);
  configure(with_ha("90"));
  machine_.speaker_error = Error{ErrorKind::invalid, "no address to send from"};
  const auto result = operations().apply_config();
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().message, HasSubstr("no address to send from"));
  EXPECT_EQ(machine_.speaker_log.size(), 1U);
  EXPECT_THAT(vips(), UnorderedElementsAre(kVip, kGateway));
}

TEST_F(PairTest, ThePeerIsToldWhatThisRouterHas) {
  ASSERT_TRUE(ok(start()));
  const ha::RouterFacts before = machine_.speaker_facts;
  EXPECT_EQ(before.generation, 1U);
  EXPECT_EQ(before.config.size(), 64U);
  EXPECT_EQ(before.health.services, 1U);
  EXPECT_GE(before.health.backends, 1U);
  configure(with_ha("90"));  // another speaker, and nothing that the peer must have in common
  ASSERT_TRUE(ok(operations().apply_config()));
  EXPECT_EQ(machine_.speaker_facts.generation, 2U);
  EXPECT_EQ(machine_.speaker_facts.config, before.config);
  configure(with_ha("90", 52));
  ASSERT_TRUE(ok(operations().apply_config()));
  EXPECT_NE(machine_.speaker_facts.config, before.config);
}

TEST_F(PairTest, OperatorsSeeTheRoleAndHandOver) {
  machine_.speaker_report.role = ha::Role::active;
  machine_.speaker_report.instances.resize(1);
  machine_.speaker_report.instances[0].name = "outside";
  machine_.speaker_report.instances[0].rejected["checksum"] = 3;
  ASSERT_TRUE(ok(start()));
  ASSERT_TRUE(operations().status().ha);
  EXPECT_EQ(operations().status().ha->role, "active");
  EXPECT_EQ(operations().status().ha->instances.at(0).rejected.at("checksum"), 3U);
  ASSERT_TRUE(ok(operations().release_ha()));
  ASSERT_TRUE(ok(operations().resume_ha()));
  EXPECT_THAT(machine_.speaker_log, ElementsAre("started with 2 instances", "released", "resumed"));

  configure(config());
  ASSERT_TRUE(ok(operations().apply_config()));
  EXPECT_FALSE(operations().status().ha);
  EXPECT_EQ(operations().release_ha().error().kind, ErrorKind::not_found);
}

}  // namespace
}  // namespace xlvs::agent
