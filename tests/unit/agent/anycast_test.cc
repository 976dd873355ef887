// SPDX-License-Identifier: Apache-2.0
// `ha: {mode: anycast}`: every router announces the addresses of its healthy services, once it knows all their
// backends.
#include "agent/reset.h"
#include "tests/unit/agent/harness.h"

namespace xlvs::agent {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

const IpAddress kVip = *IpAddress::parse("198.51.100.10");

class AnycastTest : public AgentTest {
 protected:
  AnycastTest() { configure(anycast()); }
  // `more` of `ha`; `backends`: further lines of them.
  [[nodiscard]] std::string anycast(const std::string& more = "", const std::string& backends = "") const {
    return config("metrics: {listen: off}\nha: {mode: anycast" + more + "}\n",
                  "{type: tcp, interval: 100ms, timeout: 100ms, rise: 1, fall: 1}", 2) +
           backends;
  }
  // A backend whose first check gets no answer as long as a test lasts.
  [[nodiscard]] std::string silent() const {
    return fmt::format(
        "      - {{address: 127.0.0.1, port: {}, check: {{type: http, interval: 100s, timeout: 100s}}}}\n",
        servers_[2].port());
  }
  [[nodiscard]] const std::set<IpAddress>& vips() { return machine_.vips["lo"]; }
  [[nodiscard]] const std::set<IpAddress>& routes(std::uint32_t table) { return machine_.vip_routes[table]; }
  [[nodiscard]] bool wait_for_vip() {
    return wait_for([this] { return vips().contains(kVip); });
  }
  [[nodiscard]] control::HaReport ha() { return operations().ha().value(); }
};

TEST_F(AnycastTest, AnAddressIsAnnouncedWhileSomebodyMayTakeFlows) {
  ASSERT_TRUE(ok(start()));
  EXPECT_THAT(vips(), IsEmpty()) << "nobody has passed a check yet";
  ASSERT_TRUE(wait_for_vip());
  EXPECT_THAT(machine_.speaker_log, IsEmpty()) << "VRRP has no part in it";
  EXPECT_EQ(ha().role, "active");
  EXPECT_EQ(ha().mode, "anycast");
  EXPECT_THAT(ha().vips, ElementsAre(AllOf(Field(&control::HaVipReport::announced, true),
                                           Field(&control::HaVipReport::address, "198.51.100.10"))));
  servers_[0].close();
  ASSERT_TRUE(wait_for([this] { return !is_up(0); }));
  EXPECT_THAT(vips(), UnorderedElementsAre(kVip));
  servers_[1].close();
  ASSERT_TRUE(wait_for([this] { return vips().empty(); }));
  EXPECT_EQ(ha().role, "active");
  EXPECT_FALSE(ha().vips.at(0).announced);
  EXPECT_EQ(ha().vips.at(0).reason, "service web: no backend may take flows");
}

// Otherwise its first table would lack the backend, and flows that the network moves here would go elsewhere.
TEST_F(AnycastTest, ANewRouterAnnouncesNothingBeforeItKnowsAllBackends) {
  configure(anycast("", silent()));
  ASSERT_TRUE(ok(start()));
  ASSERT_TRUE(wait_for([this] { return is_up(0) && is_up(1); }));
  EXPECT_THAT(vips(), IsEmpty());
  EXPECT_THAT(ha().vips.at(0).reason, HasSubstr(servers_[2].endpoint() + " has not been checked yet"));
  configure(anycast());
  ASSERT_TRUE(ok(operations().apply_config()));
  EXPECT_THAT(vips(), UnorderedElementsAre(kVip));
  EXPECT_EQ(ha().vips.at(0).reason, "");
}

TEST_F(AnycastTest, ABackendThatIsAddedDoesNotWithdrawTheAddress) {
  ASSERT_TRUE(ok(start()));
  ASSERT_TRUE(wait_for_vip());
  configure(anycast("", silent()));
  ASSERT_TRUE(ok(operations().apply_config()));
  EXPECT_THAT(vips(), UnorderedElementsAre(kVip));
  EXPECT_TRUE(ha().vips.at(0).announced);
}

TEST_F(AnycastTest, ANameWithoutAnAddressIsABackendThatIsNotKnown) {
  configure("names: {min_ttl: 1s, max_ttl: 1s}\n" +
            anycast("", "      - {address: web.test, port: 80, check: {type: none}}\n"));
  ASSERT_TRUE(ok(start()));
  ASSERT_TRUE(wait_for([this] { return is_up(0) && is_up(1); }));
  agent_->set_released(true);  // looks again
  agent_->set_released(false);
  EXPECT_THAT(vips(), IsEmpty());
  EXPECT_EQ(ha().vips.at(0).reason, "service web: name web.test has not been resolved yet");
  NameReply& reply = machine_.dns["web.test"];
  reply.addresses = {*IpAddress::parse("192.0.2.1")};
  ASSERT_TRUE(wait_for_vip());
}

// A link that was cut takes all backends away, and gives them back one by one.
TEST_F(AnycastTest, AnAddressThatWasWithdrawnWaitsForBackendsThatAreComingBack) {
  configure(config("metrics: {listen: off}\nha: {mode: anycast}\n",
                   "{type: tcp, interval: 100ms, timeout: 100ms, rise: 1, fall: 1}", 1) +
            fmt::format("      - {{address: 127.0.0.1, port: {}, check: {{type: tcp, interval: 100ms, timeout: 100ms, "
                        "rise: 20, fall: 1}}}}\n",
                        servers_[1].port()));
  ASSERT_TRUE(ok(start()));
  ASSERT_TRUE(wait_for_vip());
  servers_[0].close();
  servers_[1].close();
  ASSERT_TRUE(wait_for([this] { return vips().empty(); }));
  {
    const TcpServer second(servers_[1].port());
    ASSERT_TRUE(wait_for([this] { return report(1).health.checks.at(0).passes > 0; }));
    const TcpServer first(servers_[0].port());
    ASSERT_TRUE(wait_for([this] { return is_up(0); }));
    EXPECT_FALSE(is_up(1));
    EXPECT_THAT(vips(), IsEmpty());
    EXPECT_EQ(ha().vips.at(0).reason, "service web: backend " + servers_[1].endpoint() + " may be coming back");
    ASSERT_TRUE(wait_for_vip());
    EXPECT_TRUE(is_up(1));
  }
  ASSERT_TRUE(wait_for([this] { return vips().empty(); }));
  const TcpServer first(servers_[0].port());
  ASSERT_TRUE(wait_for_vip()) << "the other failed again: it is out for everybody";
  EXPECT_FALSE(is_up(1));
}

// web is known, but the service beside it on the same address is not.
TEST_F(AnycastTest, AnAddressWaitsForAllItsServices) {
  const std::string other = "  - name: other\n    listen: [\"198.51.100.10:81/tcp\"]\n    backends:\n";
  configure(anycast() + other + silent());
  ASSERT_TRUE(ok(start()));
  ASSERT_TRUE(wait_for([this] { return is_up(0) && is_up(1); }));
  agent_->set_released(true);
  agent_->set_released(false);
  EXPECT_THAT(vips(), IsEmpty());
  EXPECT_THAT(ha().vips.at(0).reason, HasSubstr("service other: backend"));
}

TEST_F(AnycastTest, ReleaseWithdrawsAndOutlivesLvsdAndTheMachine) {
  ASSERT_TRUE(ok(start()));
  ASSERT_TRUE(wait_for_vip());
  ASSERT_TRUE(ok(operations().release_ha()));
  EXPECT_THAT(vips(), IsEmpty());
  EXPECT_EQ(ha().role, "released");
  EXPECT_EQ(ha().vips.at(0).reason, "released by the operator");
  ASSERT_TRUE(ok(operations().apply_config()));
  EXPECT_THAT(vips(), IsEmpty());
  machine_.boot = "boot-2";
  ASSERT_TRUE(ok(restart()));
  ASSERT_TRUE(wait_for([this] { return is_up(0) && is_up(1); }));
  EXPECT_THAT(vips(), IsEmpty());
  EXPECT_TRUE(ha().released);
  ASSERT_TRUE(ok(operations().resume_ha()));
  EXPECT_THAT(vips(), UnorderedElementsAre(kVip));
  EXPECT_EQ(ha().role, "active");
  ASSERT_TRUE(ok(restart()));
  EXPECT_THAT(vips(), UnorderedElementsAre(kVip));
}

TEST_F(AnycastTest, OnlyAStopForGoodWithdraws) {
  ASSERT_TRUE(ok(start()));
  ASSERT_TRUE(wait_for_vip());
  kill();  // which address is lvsd's own is on disk already
  EXPECT_THAT(vips(), UnorderedElementsAre(kVip));
  ASSERT_TRUE(ok(start()));
  EXPECT_THAT(vips(), UnorderedElementsAre(kVip)) << "what it adopts is known";
  agent_->stop(Agent::Stop::for_restart);
  EXPECT_THAT(vips(), UnorderedElementsAre(kVip));
  ASSERT_TRUE(ok(start()));
  EXPECT_THAT(vips(), UnorderedElementsAre(kVip)) << "what it adopts is known";
  agent_->stop(Agent::Stop::for_good);
  EXPECT_THAT(vips(), IsEmpty());
}

TEST_F(AnycastTest, WithATableRoutesComeAndGoAndTheAddressStays) {
  configure(anycast(", table: 100"));
  ASSERT_TRUE(ok(start()));
  EXPECT_THAT(vips(), UnorderedElementsAre(kVip));
  EXPECT_THAT(routes(100), IsEmpty());
  ASSERT_TRUE(wait_for([this] { return routes(100).contains(kVip); }));
  EXPECT_EQ(ha().table, 100U);
  ASSERT_TRUE(ok(operations().release_ha()));
  EXPECT_THAT(routes(100), IsEmpty());
  EXPECT_THAT(vips(), UnorderedElementsAre(kVip));
  ASSERT_TRUE(ok(operations().resume_ha()));
  EXPECT_THAT(routes(100), UnorderedElementsAre(kVip));

  ASSERT_TRUE(ok(restart()));  // without a word: the next lvsd knows what is its own
  configure(anycast(", table: 101"));
  ASSERT_TRUE(ok(operations().apply_config()));
  EXPECT_THAT(routes(100), IsEmpty());
  EXPECT_THAT(routes(101), UnorderedElementsAre(kVip));
  configure(anycast());
  ASSERT_TRUE(ok(operations().apply_config()));
  EXPECT_THAT(routes(101), IsEmpty());
  EXPECT_THAT(vips(), UnorderedElementsAre(kVip));
}

TEST_F(AnycastTest, ARouteThatCanNotBePlacedIsTriedAgainAndTakesNothingWithIt) {
  configure(anycast(", table: 100"));
  machine_.route_error = Error{ErrorKind::unavailable, "no room"};
  ASSERT_TRUE(ok(start()));
  ASSERT_TRUE(wait_for([this] { return !machine_.route_error.has_value(); }));
  EXPECT_THAT(vips(), UnorderedElementsAre(kVip));
  ASSERT_TRUE(ok(operations().release_ha()));  // looks again
  ASSERT_TRUE(ok(operations().resume_ha()));
  EXPECT_THAT(routes(100), UnorderedElementsAre(kVip));
}

TEST_F(AnycastTest, AnAddressOfSomebodyElseIsAWarning) {
  machine_.vips["lo"] = {kVip};
  ASSERT_TRUE(ok(start()));
  ASSERT_TRUE(wait_for([this] { return ha().vips.at(0).announced; }));
  const std::string warning = "VIP 198.51.100.10 was on lo before lvsd, which can not withdraw it: remove it there";
  EXPECT_THAT(operations().status().warnings, Contains(warning));
  ASSERT_TRUE(ok(operations().release_ha()));
  EXPECT_THAT(operations().status().warnings, Contains(warning)) << "now it matters";
  EXPECT_TRUE(ha().vips.at(0).announced);
  ASSERT_TRUE(ok(operations().resume_ha()));
  configure(anycast(", table: 100"));
  ASSERT_TRUE(ok(operations().apply_config()));
  EXPECT_THAT(operations().status().warnings, Not(Contains(warning))) << "the route is the announcement";
  EXPECT_THAT(routes(100), UnorderedElementsAre(kVip));
}

TEST_F(AnycastTest, AResetTakesTheRoutesOfADeadLvsd) {
  configure(anycast(", table: 100"));
  ASSERT_TRUE(ok(start()));
  ASSERT_TRUE(wait_for([this] { return routes(100).contains(kVip); }));
  kill();
  ASSERT_TRUE(ok(reset_instance(options_, host_)));
  EXPECT_THAT(routes(100), IsEmpty());
  EXPECT_THAT(vips(), IsEmpty());
}

TEST_F(AnycastTest, ChangingTheMode) {
  ASSERT_TRUE(ok(start()));
  ASSERT_TRUE(wait_for_vip());
  ASSERT_TRUE(ok(operations().release_ha()));
  const std::string pair = "ha: {instances: [{name: a, interface: wan0, vrid: 1}]}\n";
  configure(config("metrics: {listen: off}\n" + pair));
  ASSERT_TRUE(ok(operations().apply_config()));
  EXPECT_THAT(machine_.speaker_log, ElementsAre("started with 1 instances"));
  EXPECT_THAT(vips(), IsEmpty());
  machine_.role_changed(ha::Role::active, "alone");
  ASSERT_TRUE(wait_for_vip());
  configure(anycast());
  ASSERT_TRUE(ok(operations().apply_config()));
  EXPECT_THAT(machine_.speaker_log, ElementsAre("started with 1 instances", "stopped"));
  EXPECT_FALSE(ha().released) << "that was another life";
  EXPECT_THAT(vips(), UnorderedElementsAre(kVip));
  ASSERT_TRUE(ok(operations().release_ha()));
  configure(config());
  ASSERT_TRUE(ok(operations().apply_config()));
  EXPECT_THAT(vips(), UnorderedElementsAre(kVip));
}

TEST(Anycast, WarnsOfServicesThatLoseConnections) {
  Config config;
  config.ha.emplace().mode = HaMode::anycast;
  const auto add = [&](const char* name, const char* listener, Scheduler scheduler) {
    ServiceConfig& service = config.services.emplace_back();
    service.name = name;
    service.listeners = {*Listener::parse(listener)};
    service.scheduler = scheduler;
  };
  add("hashed", "198.51.100.10:80/tcp", Scheduler::mh);
  add("short", "198.51.100.10:53/udp", Scheduler::rr);
  add("long", "198.51.100.10:22/tcp", Scheduler::wlc);
  EXPECT_THAT(anycast_warnings(config), ElementsAre(HasSubstr("service long")));
  config.ha->mode = HaMode::vrrp;
  EXPECT_THAT(anycast_warnings(config), IsEmpty());
}

}  // namespace
}  // namespace xlvs::agent
