// SPDX-License-Identifier: Apache-2.0
// What operators change at run time, and what they are shown.
#include "tests/unit/agent/harness.h"

namespace xlvs::agent {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class OperationsTest : public AgentTest {
 protected:
  void SetUp() override {
    ASSERT_TRUE(ok(start()));
    ASSERT_TRUE(wait_until_up());
    machine_.maps.next_hops[*IpAddress::parse("127.0.0.1")] = dataplane::NextHop{false, {{2, 0, 0, 0, 0, 11}}, 2};
  }
  [[nodiscard]] control::BackendChange change(int server, std::optional<std::uint32_t> weight = {}) const {
    return {"web", servers_[server].endpoint(), weight};
  }
  [[nodiscard]] std::uint32_t weight(int server) const {
    return machine_.find("web", servers_[server].endpoint())->weight;
  }
};

TEST_F(OperationsTest, DrainAndEnable) {
  auto result = operations().drain(change(0));
  ASSERT_TRUE(ok(result));
  EXPECT_TRUE(result->changed);
  ASSERT_THAT(result->backends, SizeIs(1));
  EXPECT_TRUE(result->backends[0].drained);
  EXPECT_EQ(result->backends[0].state, "drained");
  EXPECT_EQ(result->backends[0].weight, 0U);
  EXPECT_EQ(result->backends[0].configured_weight, 1U);
  EXPECT_EQ(weight(0), 0U);
  EXPECT_EQ(weight(1), 1U);

  const std::size_t applies = machine_.maps.applied.size();
  EXPECT_FALSE(operations().drain(change(0))->changed) << "again";
  EXPECT_EQ(machine_.maps.applied.size(), applies);

  result = operations().enable(change(0));
  ASSERT_TRUE(ok(result));
  EXPECT_TRUE(result->changed);
  EXPECT_EQ(result->backends[0].state, "up");
  EXPECT_EQ(weight(0), 1U);
}

TEST_F(OperationsTest, WeightsAreKeptUnderADrain) {
  ASSERT_TRUE(ok(operations().set_weight(change(0, 7))));
  EXPECT_EQ(weight(0), 7U);
  ASSERT_TRUE(ok(operations().drain(change(0))));
  EXPECT_EQ(weight(0), 0U);
  EXPECT_EQ(report(0).weight_override, 7U);
  ASSERT_TRUE(ok(operations().enable(change(0))));
  EXPECT_EQ(weight(0), 7U);
  ASSERT_TRUE(ok(operations().set_weight(change(0))));
  EXPECT_EQ(weight(0), 1U);
  EXPECT_EQ(report(0).weight_override, std::nullopt);
  EXPECT_TRUE(agent_->balancer().overrides().empty());
}

TEST_F(OperationsTest, AnAddressNamesEveryPortAndEveryService) {
  const auto result = operations().drain({std::nullopt, "127.0.0.1", std::nullopt});
  ASSERT_TRUE(ok(result));
  EXPECT_THAT(result->backends, SizeIs(3));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(weight(i), 0U);
  EXPECT_THAT(operations().status().warnings, Contains(HasSubstr("no backend takes new connections")));
}

TEST_F(OperationsTest, RefusesWhatItDoesNotKnow) {
  const auto service = operations().drain({"mail", "127.0.0.1", std::nullopt});
  ASSERT_FALSE(service);
  EXPECT_EQ(service.error().kind, ErrorKind::not_found);
  EXPECT_THAT(service.error().message, HasSubstr("there is web"));
  const auto backend = operations().drain({"web", "127.0.0.9", std::nullopt});
  ASSERT_FALSE(backend);
  EXPECT_EQ(backend.error().kind, ErrorKind::not_found);
  EXPECT_THAT(backend.error().message, HasSubstr(servers_[0].endpoint()));
  const auto text = operations().drain({"web", "server1", std::nullopt});
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().kind, ErrorKind::invalid);
  const auto weight = operations().set_weight(change(0, 65536));
  ASSERT_FALSE(weight);
  EXPECT_EQ(weight.error().kind, ErrorKind::invalid);
  EXPECT_TRUE(agent_->balancer().overrides().empty());
}

TEST_F(OperationsTest, AChangeThatCannotBeAppliedIsNotRemembered) {
  machine_.maps.apply_error = Error{ErrorKind::unavailable, "out of memory"};
  EXPECT_FALSE(operations().drain(change(0)));
  EXPECT_FALSE(report(0).drained);
  machine_.maps.apply_error.reset();
  ASSERT_TRUE(ok(restart()));
  EXPECT_FALSE(report(0).drained);
}

TEST_F(OperationsTest, OverridesSurviveKillAndReload) {
  ASSERT_TRUE(ok(operations().drain(change(0))));
  ASSERT_TRUE(ok(operations().set_weight(change(1, 9))));
  ASSERT_TRUE(ok(restart()));
  EXPECT_EQ(weight(0), 0U);
  EXPECT_EQ(weight(1), 9U);
  ASSERT_TRUE(ok(operations().apply_config()));
  EXPECT_EQ(weight(0), 0U);
}

TEST_F(OperationsTest, OverridesWaitForABackendThatIsNotConfigured) {
  ASSERT_TRUE(ok(operations().drain(change(2))));
  const std::string three = read_file(options_.config_path);
  configure(config("metrics: {listen: off}\n", "{type: tcp, interval: 100ms, timeout: 100ms, rise: 1, fall: 1}", 2));
  ASSERT_TRUE(ok(operations().apply_config()));
  ASSERT_TRUE(ok(restart()));
  configure(three);
  ASSERT_TRUE(ok(operations().apply_config()));
  EXPECT_TRUE(report(2).drained);

  configure(config("metrics: {listen: off}\n", "{type: tcp, interval: 100ms, timeout: 100ms, rise: 1, fall: 1}", 2));
  ASSERT_TRUE(ok(operations().apply_config()));
  const auto cleared = operations().enable(change(2));
  ASSERT_TRUE(ok(cleared));
  EXPECT_TRUE(cleared->changed);
  EXPECT_THAT(cleared->backends, IsEmpty());
  EXPECT_TRUE(agent_->balancer().overrides().empty());
}

TEST_F(OperationsTest, TheStateWordSaysWhatDecides) {
  EXPECT_EQ(report(0).state, "up");
  EXPECT_EQ(report(0).next_hop, "02:00:00:00:00:0b dev lan0");
  machine_.maps.next_hops.clear();
  EXPECT_EQ(report(0).state, "no-route");
  EXPECT_THAT(operations().status().warnings, Contains(HasSubstr("no next hop")));
  servers_[0].close();
  ASSERT_TRUE(wait_for([this] { return !is_up(0); }));
  EXPECT_EQ(report(0).state, "down");
  EXPECT_EQ(report(0).health.reason, "refused");
  EXPECT_GT(report(0).health.checks_failed, 0U);
  ASSERT_TRUE(ok(operations().drain(change(0))));
  EXPECT_EQ(report(0).state, "drained");
  EXPECT_EQ(report(0).health.state, "down");
}

TEST_F(OperationsTest, ALocalBackendIsCalledLocal) {
  machine_.maps.next_hops[*IpAddress::parse("127.0.0.1")] = dataplane::NextHop{true, {}, 1};
  EXPECT_EQ(report(0).forward, "local");
  EXPECT_EQ(report(0).next_hop, "local");
  EXPECT_EQ(report(0).state, "up");
}

TEST_F(OperationsTest, WithoutChecksABackendIsUp) {
  configure(config("metrics: {listen: off}\n", "{type: none}"));
  ASSERT_TRUE(ok(operations().apply_config()));
  servers_[0].close();
  EXPECT_TRUE(is_up(0));
  EXPECT_EQ(report(0).state, "up");
}

TEST_F(OperationsTest, FlowsArePassedOnAndFiltered) {
  dataplane::Flow flow;
  flow.client = *Endpoint::parse("192.0.2.7:40000");
  flow.destination = *Endpoint::parse("198.51.100.10:80");
  flow.service = "web";
  flow.backend = *Endpoint::parse(servers_[0].endpoint());
  flow.state = "ESTABLISHED";
  flow.expires_in = 899s;
  machine_.maps.flow_table.assign(5, flow);
  const auto list = operations().flows({{"service", "web"}, {"state", "ESTABLISHED"}, {"limit", "2"}});
  ASSERT_TRUE(ok(list));
  EXPECT_EQ(list->total, 5U);
  ASSERT_THAT(list->flows, SizeIs(2));
  EXPECT_EQ(list->flows[0].client, "192.0.2.7:40000");
  EXPECT_EQ(list->flows[0].protocol, "tcp");
  EXPECT_EQ(list->flows[0].expires_in, 899);
  EXPECT_EQ(operations().flows({{"state", "CLOSE"}})->total, 0U);
  EXPECT_EQ(operations().flows({{"service", "mail"}}).error().kind, ErrorKind::not_found);
  EXPECT_EQ(operations().flows({{"state", "OPEN"}}).error().kind, ErrorKind::invalid);
}

TEST_F(OperationsTest, StatusCarriesTheNumbers) {
  const BackendRef first{"web", *Endpoint::parse(servers_[0].endpoint())};
  machine_.maps.traffic[first] = {3, 30, 3000, 20, 2000};
  machine_.maps.retired["web"] = {4, 40, 4000, 40, 4000};
  machine_.maps.connections[first] = {2, 1};
  machine_.maps.reasons = {{"no_backend", "drop", "no backend", 5}};
  const control::Status status = operations().status();
  EXPECT_EQ(status.version.version, "test");
  EXPECT_EQ(status.version.instance, "default");
  ASSERT_THAT(status.interfaces, SizeIs(2));
  EXPECT_EQ(status.interfaces[0].mode, "native");
  EXPECT_EQ(status.interfaces[0].program_id, 1U);
  EXPECT_THAT(status.vips, Contains("198.51.100.10"));
  ASSERT_THAT(status.services, SizeIs(1));
  EXPECT_EQ(status.services[0].traffic.in_bytes, 7000U);
  EXPECT_EQ(status.services[0].backends[0].traffic.out_packets, 20U);
  EXPECT_EQ(status.services[0].backends[0].active, 2U);
  ASSERT_THAT(status.reasons, SizeIs(1));
  EXPECT_EQ(status.reasons[0].packets, 5U);
  EXPECT_THAT(status.warnings, IsEmpty());
}

TEST_F(OperationsTest, ABackendBehindAnInterfaceWithoutOurProgramIsAWarning) {
  machine_.maps.next_hops[*IpAddress::parse("127.0.0.1")] = dataplane::NextHop{false, {{2}}, 1};
  EXPECT_THAT(operations().status().warnings, Contains(HasSubstr("reached through lo")));
}

// All that changes while the loop is busy with something else goes to the data plane at once.
TEST_F(OperationsTest, ManyHealthChangesAreOneApply) {
  const std::size_t applies = machine_.maps.applied.size();
  for (TcpServer& server : servers_) server.close();
  std::this_thread::sleep_for(300ms);  // every check is overdue
  ASSERT_TRUE(wait_for([this] { return !is_up(0) && !is_up(1) && !is_up(2); }));
  EXPECT_EQ(machine_.maps.applied.size(), applies + 1);
}

TEST_F(OperationsTest, AHealthChangeThatCannotBeAppliedIsRetried) {
  machine_.maps.apply_error = Error{ErrorKind::unavailable, "out of memory"};
  servers_[0].close();
  ASSERT_TRUE(wait_for([this] { return !agent_->balancer().apply_error().empty(); }));
  EXPECT_THAT(operations().status().warnings, Contains(HasSubstr("out of memory")));
  EXPECT_TRUE(is_up(0));
  machine_.maps.apply_error.reset();
  EXPECT_TRUE(wait_for([this] { return !is_up(0); }));
  EXPECT_THAT(operations().status().warnings, Each(Not(HasSubstr("out of memory"))));
}

}  // namespace
}  // namespace xlvs::agent
