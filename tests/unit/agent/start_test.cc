// SPDX-License-Identifier: Apache-2.0
// Starting, failing to start, starting again over what an earlier lvsd left, stopping.
#include "agent/reset.h"
#include "tests/unit/agent/harness.h"

namespace xlvs::agent {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

const IpAddress kVip = *IpAddress::parse("198.51.100.10");

TEST_F(AgentTest, StartsEverything) {
  ASSERT_TRUE(ok(start()));
  EXPECT_EQ(machine_.attached().size(), 2U);
  EXPECT_EQ(machine_.maps.requests.at("lan0").mac.to_string(), "02:00:00:00:00:01");
  EXPECT_THAT(machine_.vips["lo"], UnorderedElementsAre(kVip));
  EXPECT_THAT(machine_.followed, UnorderedElementsAre(*IpAddress::parse("127.0.0.1")));
  ASSERT_EQ(machine_.desired().services.size(), 1U);
  EXPECT_TRUE(std::filesystem::exists(options_.socket_path()));
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(is_up(i)) << "before its first check";
  EXPECT_TRUE(wait_until_up());
  EXPECT_TRUE(wait_for([this] { return machine_.maps.sweeps >= 2; })) << "two sweeps";
}

// Every way in which a start fails, and the kind that main() turns into an exit code.
struct FailedStart {
  std::string name;
  std::function<void(FakeMachine&)> break_it;
  ErrorKind kind;
  std::string message;
};
void PrintTo(const FailedStart& test, std::ostream* out) {
  *out << test.name;
}
class FailedStartTest : public AgentTest, public ::testing::WithParamInterface<FailedStart> {};

TEST_P(FailedStartTest, LeavesNothing) {
  GetParam().break_it(machine_);
  const auto result = start();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, GetParam().kind);
  EXPECT_THAT(result.error().message, HasSubstr(GetParam().message));
  EXPECT_FALSE(machine_.pinned);
  EXPECT_THAT(machine_.attached(), IsEmpty());
  EXPECT_THAT(machine_.vips["lo"], IsEmpty());
  EXPECT_FALSE(std::filesystem::exists(options_.instance_run_dir()));
  EXPECT_FALSE(std::filesystem::exists(options_.state_path()));
}

TEST_P(FailedStartTest, LeavesWhatAnEarlierLvsdLeft) {
  if (GetParam().name == "interface") return;  // one that was there before may be missing
  ASSERT_TRUE(ok(start()));
  ASSERT_TRUE(wait_until_up());
  kill();
  const Desired before = machine_.desired();
  GetParam().break_it(machine_);
  machine_.maps.preattach({"eth9", 9, {}, 1500, XdpMode::automatic});  // not configured any more
  ASSERT_FALSE(start());
  EXPECT_TRUE(machine_.pinned);
  EXPECT_EQ(machine_.attached().size(), 3U);
  EXPECT_THAT(machine_.vips["lo"], UnorderedElementsAre(kVip));
  EXPECT_EQ(machine_.desired(), before);
}

INSTANTIATE_TEST_SUITE_P(
    All, FailedStartTest,
    ::testing::Values(
        FailedStart{"capability", [](FakeMachine& m) { m.open_error = Error{ErrorKind::permission, "needs CAP_BPF"}; },
                    ErrorKind::permission, "CAP_BPF"},
        FailedStart{"netlink", [](FakeMachine& m) { m.watch_error = Error{ErrorKind::unavailable, "no netlink"}; },
                    ErrorKind::unavailable, "no netlink"},
        FailedStart{"interface", [](FakeMachine& m) { m.links.pop_back(); }, ErrorKind::not_found,
                    "no such interface: wan0; this host has lan0, lo"},
        FailedStart{
            "foreign",
            [](FakeMachine& m) { m.maps.attach_errors["wan0"] = Error{ErrorKind::conflict, "wan0: XDP program id 7"}; },
            ErrorKind::conflict, "program id 7"},
        FailedStart{"apply",
                    [](FakeMachine& m) { m.maps.apply_error = Error{ErrorKind::invalid, "too many backends"}; },
                    ErrorKind::invalid, "too many"}),
    [](const auto& test) { return test.param.name; });

TEST_F(AgentTest, AFailingVipIsUndone) {
  machine_.vip_error = Error{ErrorKind::permission, "VIP"};
  ASSERT_FALSE(start());
  EXPECT_THAT(machine_.vips["lo"], IsEmpty());
  EXPECT_THAT(machine_.attached(), IsEmpty());
  EXPECT_FALSE(machine_.pinned);
}

TEST_F(AgentTest, ABadConfigurationNamesEveryError) {
  configure("interfaces: [lan0]\nservicez: []\nlog_level: loud\n");
  const auto result = start();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::invalid);
  EXPECT_THAT(result.error().message, HasSubstr("lvs.yaml:2:1"));
  EXPECT_THAT(result.error().message, HasSubstr("lvs.yaml:3:"));
  EXPECT_FALSE(machine_.pinned);
}

TEST_F(AgentTest, AMetricsPortInUseIsAConflict) {
  configure(config(fmt::format("metrics: {{listen: \"{}\"}}\n", servers_[0].endpoint())));
  const auto result = start();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::conflict);
  EXPECT_THAT(result.error().message, HasSubstr(servers_[0].endpoint()));
  EXPECT_FALSE(machine_.pinned);
}

TEST_F(AgentTest, ASecondOneIsRefused) {
  ASSERT_TRUE(ok(start()));
  Agent second(loop_, options_, host_);
  const auto result = second.start();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::conflict);
  EXPECT_EQ(machine_.attached().size(), 2U);
  EXPECT_TRUE(std::filesystem::exists(options_.socket_path()));
}

TEST_F(AgentTest, ARestartGoesOnWithTheHealthItFinds) {
  servers_[2].close();
  ASSERT_TRUE(ok(start()));
  ASSERT_TRUE(wait_for([this] { return is_up(0) && is_up(1) && report(2).state == "down"; }));
  const double since = report(0).health.since;
  const std::size_t applies = machine_.maps.applied.size();
  ASSERT_TRUE(ok(restart()));
  EXPECT_EQ(machine_.maps.applied.size(), applies + 1);
  EXPECT_TRUE(is_up(0) && is_up(1)) << "without waiting for a check";
  EXPECT_FALSE(is_up(2));
  EXPECT_NEAR(report(0).health.since, since, 0.002);
  EXPECT_EQ(report(2).state, "down");
}

TEST_F(AgentTest, AfterABootHealthIsLearnedAnewButOverridesHold) {
  ASSERT_TRUE(ok(start()));
  ASSERT_TRUE(wait_until_up());
  ASSERT_TRUE(ok(operations().drain({std::nullopt, servers_[1].endpoint(), std::nullopt})));
  kill();
  machine_ = FakeMachine{};
  machine_.boot = "boot-2";
  ASSERT_TRUE(ok(start()));
  EXPECT_FALSE(is_up(0));
  EXPECT_EQ(report(0).state, "unchecked");
  EXPECT_EQ(report(1).state, "drained");
  EXPECT_THAT(machine_.vips["lo"], UnorderedElementsAre(kVip));
}

TEST_F(AgentTest, WithoutItsStateFileARestartTrustsWhatIsInstalled) {
  ASSERT_TRUE(ok(start()));
  ASSERT_TRUE(wait_until_up());
  kill();
  write_file(options_.state_path(), "{\"format\": 1");
  ASSERT_TRUE(ok(start()));
  EXPECT_TRUE(is_up(0) && is_up(1) && is_up(2));
  EXPECT_TRUE(std::filesystem::exists(options_.state_path() + ".corrupt"));
}

TEST_F(AgentTest, ARestartDetachesAnInterfaceThatLeftTheConfiguration) {
  ASSERT_TRUE(ok(start()));
  std::string text = config();
  text.replace(text.find("lan0, wan0"), 10, "wan0");
  configure(text);
  ASSERT_TRUE(ok(restart()));
  EXPECT_EQ(machine_.attached().size(), 1U);
  EXPECT_TRUE(machine_.attached().contains("wan0"));
}

TEST_F(AgentTest, AStopLeavesTrafficGoing) {
  ASSERT_TRUE(ok(start()));
  ASSERT_TRUE(wait_until_up());
  const Desired before = machine_.desired();
  agent_->stop();
  kill();
  EXPECT_EQ(machine_.desired(), before);
  EXPECT_EQ(machine_.attached().size(), 2U);
  EXPECT_THAT(machine_.vips["lo"], UnorderedElementsAre(kVip));
  EXPECT_FALSE(std::filesystem::exists(options_.instance_run_dir()));
}

TEST_F(AgentTest, DetachOnExitLeavesOnlyOverrides) {
  options_.detach_on_exit = true;
  ASSERT_TRUE(ok(start()));
  ASSERT_TRUE(wait_until_up());
  ASSERT_TRUE(ok(operations().drain({std::nullopt, servers_[1].endpoint(), std::nullopt})));
  machine_.vips["lo"].insert(*IpAddress::parse("192.0.2.1"));  // somebody else's
  agent_->stop();
  kill();
  EXPECT_FALSE(machine_.pinned);
  EXPECT_THAT(machine_.attached(), IsEmpty());
  EXPECT_THAT(machine_.vips["lo"], UnorderedElementsAre(*IpAddress::parse("192.0.2.1")));
  ASSERT_TRUE(ok(start()));
  EXPECT_EQ(report(0).state, "unchecked") << "nothing was installed that its health could go on for";
  EXPECT_EQ(report(1).state, "drained");
}

TEST_F(AgentTest, AResetLeavesNothing) {
  ASSERT_TRUE(ok(start()));
  ASSERT_TRUE(wait_until_up());
  ASSERT_TRUE(ok(operations().drain({std::nullopt, servers_[1].endpoint(), std::nullopt})));
  const auto while_it_runs = reset_instance(options_, host_);
  ASSERT_FALSE(while_it_runs);
  EXPECT_EQ(while_it_runs.error().kind, ErrorKind::conflict);
  EXPECT_TRUE(machine_.pinned);
  kill();
  write_file(options_.socket_path(), "");  // as kill -9 leaves it
  ASSERT_TRUE(ok(reset_instance(options_, host_)));
  EXPECT_FALSE(machine_.pinned);
  EXPECT_THAT(machine_.vips["lo"], IsEmpty());
  EXPECT_FALSE(std::filesystem::exists(options_.instance_run_dir()));
  EXPECT_FALSE(std::filesystem::exists(options_.instance_state_dir()));
  ASSERT_TRUE(ok(reset_instance(options_, host_))) << "again";
  ASSERT_TRUE(ok(start()));
  EXPECT_FALSE(report(1).drained);
}

}  // namespace
}  // namespace xlvs::agent
