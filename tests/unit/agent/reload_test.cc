// SPDX-License-Identifier: Apache-2.0
// A reload applies the difference; one that fails has changed nothing and says so.
#include "tests/unit/agent/harness.h"

namespace xlvs::agent {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

const IpAddress kVip = *IpAddress::parse("198.51.100.10");

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

struct FailedReload {
  std::string name;
  std::function<std::string(std::string config)> edit;
  std::function<void(FakeMachine&)> break_it;
  ErrorKind kind;
  std::string message;
};
void PrintTo(const FailedReload& test, std::ostream* out) {
  *out << test.name;
}
class FailedReloadTest : public AgentTest, public ::testing::WithParamInterface<FailedReload> {};

TEST_P(FailedReloadTest, ChangesNothingAndSaysSo) {
  ASSERT_TRUE(ok(start()));
  ASSERT_TRUE(wait_until_up());
  const Desired desired = machine_.desired();
  const std::string state = read_file(options_.state_path());
  const control::ConfigReport before = operations().status().config;
  configure(GetParam().edit(config()));
  GetParam().break_it(machine_);

  const auto result = operations().apply_config();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, GetParam().kind);
  EXPECT_THAT(result.error().message, HasSubstr(GetParam().message));
  EXPECT_EQ(machine_.desired(), desired);
  EXPECT_THAT(machine_.vips["lo"], UnorderedElementsAre(kVip));
  EXPECT_EQ(machine_.attached().size(), 2U);
  EXPECT_FALSE(machine_.attached().contains("eth5"));
  EXPECT_EQ(machine_.maps.requests.at("lan0").mode, XdpMode::automatic);
  EXPECT_EQ(read_file(options_.state_path()), state);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(report(i).health.state, "up") << i;

  const control::Status status = operations().status();
  EXPECT_EQ(status.config.generation, before.generation);
  EXPECT_EQ(status.config.hash, before.hash);
  EXPECT_EQ(status.config.loaded_at, before.loaded_at);
  EXPECT_TRUE(status.config.stale);
  EXPECT_THAT(status.config.stale_reason, HasSubstr(GetParam().message));
  EXPECT_THAT(status.warnings, Contains(HasSubstr(GetParam().message)));

  machine_.maps.attach_errors.clear();
  machine_.maps.apply_error.reset();
  machine_.maps.via_error.reset();
  configure(config());
  ASSERT_TRUE(ok(operations().apply_config()));
  EXPECT_FALSE(operations().status().config.stale);
}

const auto kAddInterface = [](std::string text) {
  return replaced(std::move(text), "[lan0, wan0]", "[lan0, eth5, wan0]");
};
const auto kAddVip = [](std::string text) {
  return replaced(std::move(text), "[\"198.51.100.10:80/tcp\"]",
                  "[\"198.51.100.10:80/tcp\", \"198.51.100.11:80/tcp\"]");
};
const auto kNothing = [](FakeMachine&) {};
const auto kEth5 = [](FakeMachine& m) { m.links.push_back({"eth5", 5, {}, 1500, true}); };

INSTANTIATE_TEST_SUITE_P(
    All, FailedReloadTest,
    ::testing::Values(
        FailedReload{"syntax", [](std::string text) { return text + "  nonsense"; }, kNothing, ErrorKind::invalid,
                     "lvs.yaml:"},
        FailedReload{"limits", [](std::string text) { return text + "limits: {services: 77}\n"; }, kNothing,
                     ErrorKind::invalid, "limits.services (1024 to 77) cannot change"},
        FailedReload{"interface", kAddInterface, kNothing, ErrorKind::invalid, "no such interface: eth5"},
        FailedReload{"vip_interface", [](std::string text) { return text + "vip_interface: vip0\n"; }, kNothing,
                     ErrorKind::invalid, "vip0"},
        FailedReload{"attach", kAddInterface,
                     [](FakeMachine& m) {
                       kEth5(m);
                       m.maps.attach_errors["eth5"] = Error{ErrorKind::conflict, "eth5: another XDP program"};
                     },
                     ErrorKind::conflict, "another XDP program"},
        FailedReload{"vip", kAddVip,
                     [](FakeMachine& m) { m.vip_error = Error{ErrorKind::unavailable, "adding VIP failed"}; },
                     ErrorKind::unavailable, "adding VIP failed"},
        FailedReload{"apply", [](std::string text) { return kAddVip(kAddInterface(std::move(text))); },
                     [](FakeMachine& m) {
                       kEth5(m);
                       m.maps.apply_error = Error{ErrorKind::unavailable, "out of memory"};
                     },
                     ErrorKind::unavailable, "out of memory"},
        FailedReload{"via", [](std::string text) { return kAddVip(std::move(text)); },
                     [](FakeMachine& m) { m.maps.via_error = Error{ErrorKind::unsupported, "lan0: no classifier"}; },
                     ErrorKind::unsupported, "lan0: no classifier"},
        FailedReload{"mode",
                     [](std::string text) {
                       return kAddVip(replaced(std::move(text), "[lan0, wan0]", "[{name: lan0, mode: generic}, wan0]"));
                     },
                     [](FakeMachine& m) { m.maps.apply_error = Error{ErrorKind::unavailable, "out of memory"}; },
                     ErrorKind::unavailable, "out of memory"}),
    [](const auto& test) { return test.param.name; });

TEST_F(AgentTest, AReloadWithABusyMetricsPortKeepsTheOldOne) {
  TcpServer old;
  old.close();
  configure(config(fmt::format("metrics: {{listen: \"{}\"}}\n", old.endpoint())));
  ASSERT_TRUE(ok(start()));
  configure(config(fmt::format("metrics: {{listen: \"{}\"}}\n", servers_[0].endpoint())));
  const auto result = operations().apply_config();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::conflict);
  boost::asio::ip::tcp::socket client(loop_);
  boost::system::error_code error;
  client.connect({boost::asio::ip::address_v4::loopback(), old.port()}, error);
  EXPECT_FALSE(error) << error.message();
}

TEST_F(AgentTest, AReloadAppliesTheDifference) {
  configure(config("metrics: {listen: off}\n", "{type: tcp, interval: 100ms, timeout: 100ms, rise: 1, fall: 1}", 2));
  ASSERT_TRUE(ok(start()));
  ASSERT_TRUE(wait_for([this] { return is_up(0) && is_up(1); }));
  machine_.links.push_back({"eth5", 5, {}, 1500, true});
  configure(kAddVip(replaced(config(), "[lan0, wan0]", "[eth5, wan0]")));
  const auto applied = operations().apply_config();
  ASSERT_TRUE(ok(applied));
  EXPECT_EQ(applied->generation, 2U);
  EXPECT_THAT(applied->changes, Contains(HasSubstr(servers_[2].endpoint())));
  EXPECT_TRUE(is_up(0) && is_up(1));
  EXPECT_FALSE(is_up(2)) << "a new backend waits for its first check";
  EXPECT_TRUE(machine_.attached().contains("eth5"));
  EXPECT_FALSE(machine_.attached().contains("lan0"));
  EXPECT_EQ(machine_.vips["lo"].size(), 2U);
  EXPECT_TRUE(wait_until_up());
}

TEST_F(AgentTest, AnotherWayToCheckDoesNotTakeABackendDown) {
  ASSERT_TRUE(ok(start()));
  ASSERT_TRUE(wait_until_up());
  configure(config("metrics: {listen: off}\n", "{type: tcp, interval: 200ms, timeout: 100ms, rise: 3, fall: 2}"));
  ASSERT_TRUE(ok(operations().apply_config()));
  EXPECT_TRUE(is_up(0) && is_up(1) && is_up(2));
  EXPECT_EQ(report(0).state, report(1).state);
}

TEST_F(AgentTest, VipsMoveToAnotherInterfaceAndGo) {
  ASSERT_TRUE(ok(start()));
  configure(config("metrics: {listen: off}\nvip_interface: lan0\n"));
  ASSERT_TRUE(ok(operations().apply_config()));
  EXPECT_THAT(machine_.vips["lo"], IsEmpty());
  EXPECT_THAT(machine_.vips["lan0"], UnorderedElementsAre(kVip));
  ASSERT_TRUE(ok(restart()));
  configure(config("metrics: {listen: off}\nvip_interface: lan0\nmanage_vips: false\n"));
  ASSERT_TRUE(ok(operations().apply_config()));
  EXPECT_THAT(machine_.vips["lan0"], IsEmpty());
}

TEST_F(AgentTest, DiffAndCheckChangeNothing) {
  ASSERT_TRUE(ok(start()));
  const std::size_t applies = machine_.maps.applied.size();
  configure(kAddVip(config()));
  const auto diff = operations().diff_config();
  EXPECT_TRUE(diff.valid);
  EXPECT_THAT(diff.changes, Contains(HasSubstr("198.51.100.11")));

  const auto missing = operations().check_config({"new.yaml", kAddInterface(config())});
  EXPECT_FALSE(missing.valid);
  EXPECT_THAT(missing.errors, Contains(HasSubstr("eth5")));
  const auto bad = operations().check_config({"new.yaml", "interfaces: [lan0]\nx: 1\ny: 2\n"});
  EXPECT_FALSE(bad.valid);
  EXPECT_THAT(bad.errors, Contains(HasSubstr("new.yaml:2:1")));
  EXPECT_THAT(bad.errors, Contains(HasSubstr("new.yaml:3:1")));
  EXPECT_TRUE(operations().check_config({"new.yaml", config()}).changes.empty());
  EXPECT_EQ(machine_.maps.applied.size(), applies);
  EXPECT_FALSE(operations().status().config.stale);
}

}  // namespace
}  // namespace xlvs::agent
