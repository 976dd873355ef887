// SPDX-License-Identifier: Apache-2.0
// Two whole lvsd as a pair on the loopback interface: one pushes its configuration, the other takes it, or does not.
#include <unistd.h>

#include <fmt/ranges.h>

#include "agent/config_files.h"
#include "agent/durable_file.h"
#include "agent/pushed_config.h"
#include "tests/unit/agent/harness.h"

namespace xlvs::agent {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

class Router {
 public:
  Router(boost::asio::io_context& loop, const std::string& folder) : loop_(loop) {
    options.config_path = folder + "/lvs.yaml";
    options.run_dir = folder + "/run";
    options.state_dir = folder + "/state";
    options.version = "test";
    machine.speaker_report.peer_link.emplace();
  }
  [[nodiscard]] std::string part(const std::string& name) const { return path_of(options.config_path, name); }
  Result<void> start() {
    agent.emplace(loop_, options, host);
    auto result = agent->start();
    if (!result) agent.reset();
    return result;
  }
  [[nodiscard]] control::Operations& operations() { return agent->operations(); }
  [[nodiscard]] std::vector<std::string> services() {
    std::vector<std::string> names;
    for (const control::ServiceReport& service : operations().services()) names.push_back(service.name);
    return names;
  }
  [[nodiscard]] std::map<std::string, std::uint64_t> received() { return operations().ha()->peer->pushes_received; }

  Options options;
  FakeMachine machine;
  FakeHost host{machine};
  std::optional<Agent> agent;

 private:
  boost::asio::io_context& loop_;
};

class ConfigPushTest : public ::testing::Test {
 protected:
  ConfigPushTest() {
    write_file(directory_ / "peer.key", std::string(64, 'k'));
    std::filesystem::permissions(directory_ / "peer.key", std::filesystem::perms::owner_read);
    write_file(one.options.config_path, own(true, ""));
    write_file(two.options.config_path, own(false, ", accept_config: true"));
    write_file(one.part("services.yaml"), service("web", 10));
    write_file(two.part("services.yaml"), service("web", 10));
  }
  [[nodiscard]] std::string own(bool first, const std::string& more) const {
    const auto pid = static_cast<unsigned>(getpid());
    const auto address = [&](bool is_first) {
      return fmt::format("127.{}.{}.{}", (is_first ? 64 : 128) + (pid >> 16) % 64, pid >> 8 & 255, pid & 255);
    };
    return fmt::format(
        "interfaces: [lan0, wan0]\nmetrics: {{listen: off}}\nha:\n  instances: [{{name: lan, interface: lan0, vrid: "
        "1}}]\n"
        "  peer: {{local: {}, address: {}, port: 26394, key_file: {}{}}}\n",
        address(first), address(!first), directory_ / "peer.key", more);
  }
  static std::string service(const std::string& name, int last) {
    return fmt::format(
        "services:\n  - name: {}\n    listen: [\"198.51.100.{}:80/tcp\"]\n    check: {{type: none}}\n"
        "    backends: [{{address: 127.0.0.1, port: 8080}}]\n",
        name, last);
  }
  void start() {
    ASSERT_TRUE(ok(one.start()));
    ASSERT_TRUE(ok(two.start()));
  }
  // A second service at the first router, in force there.
  void change() {
    write_file(one.part("more.yaml"), service("dns", 11));
    ASSERT_TRUE(ok(one.operations().apply_config()));
  }
  [[nodiscard]] control::ConfigPush push(bool dry_run = false) {
    const auto begun = one.operations().push_config({dry_run});
    if (!begun) {
      ADD_FAILURE() << begun.error().message;
      return {};
    }
    const auto end = std::chrono::steady_clock::now() + 20s;
    while (std::chrono::steady_clock::now() < end) {
      if (const auto now = one.operations().config_push(); now.state == "done" || now.state == "failed") return now;
      loop_.run_one_for(100ms);
      loop_.restart();
    }
    ADD_FAILURE() << "does not end";
    return {};
  }

  TemporaryDirectory directory_;
  boost::asio::io_context loop_;
  Router one{loop_, directory_ / "one"}, two{loop_, directory_ / "two"};
};

TEST_F(ConfigPushTest, WhatIsInForceHereIsInForceThere) {
  start();
  change();
  const auto push = this->push();
  EXPECT_EQ(push.state, "done") << fmt::format("{}", fmt::join(push.errors, "; "));
  EXPECT_EQ(push.generation, 2U);
  EXPECT_THAT(push.changes, Contains("service dns added with 1 backend"));
  EXPECT_THAT(push.files, ElementsAre(one.part("more.yaml"), one.part("services.yaml")));
  EXPECT_EQ(push.acknowledged, push.bytes);
  EXPECT_THAT(two.services(), ElementsAre("dns", "web"));
  EXPECT_EQ(read_file(two.part("more.yaml")), service("dns", 11));
  EXPECT_THAT(two.received(), ElementsAre(Pair("applied", 1U)));
  EXPECT_THAT(one.operations().ha()->peer->pushes_sent, ElementsAre(Pair("applied", 1U)));
  EXPECT_FALSE(two.operations().status().config.stale);

  // And a file that is gone here goes there.
  std::filesystem::remove(one.part("more.yaml"));
  ASSERT_TRUE(ok(one.operations().apply_config()));
  EXPECT_EQ(this->push().state, "done");
  EXPECT_THAT(two.services(), ElementsAre("web"));
  EXPECT_FALSE(std::filesystem::exists(two.part("more.yaml")));
  EXPECT_EQ(read_file(push_folder(two.options.instance_state_dir()) + "/conf.d/more.yaml"), service("dns", 11));
  const auto again = this->push();
  EXPECT_EQ(again.state, "done");
  EXPECT_THAT(again.changes, IsEmpty());
}

TEST_F(ConfigPushTest, ADryRunChangesNothing) {
  start();
  change();
  const auto push = this->push(true);
  EXPECT_EQ(push.state, "done");
  EXPECT_TRUE(push.dry_run);
  EXPECT_THAT(push.changes, Contains("service dns added with 1 backend"));
  EXPECT_THAT(two.services(), ElementsAre("web"));
  EXPECT_FALSE(std::filesystem::exists(two.part("more.yaml")));
  EXPECT_FALSE(std::filesystem::exists(push_folder(two.options.instance_state_dir())));
}

TEST_F(ConfigPushTest, OnlyWhoAllowsItIsChanged) {
  write_file(two.options.config_path, own(false, ""));
  start();
  change();
  const auto push = this->push();
  EXPECT_EQ(push.state, "failed");
  EXPECT_EQ(push.error_kind, "permission");
  EXPECT_THAT(push.errors, ElementsAre(HasSubstr("accept_config")));
  EXPECT_THAT(two.services(), ElementsAre("web"));
  EXPECT_THAT(two.received(), ElementsAre(Pair("refused", 1U)));
}

TEST_F(ConfigPushTest, WhatIsNotValidThereChangesNothing) {
  start();
  change();
  write_file(two.part("services.yaml"), service("web", 10) + "interfaces: [lan0]\n");
  const auto push = this->push();
  EXPECT_EQ(push.state, "failed");
  EXPECT_EQ(push.error_kind, "invalid");
  EXPECT_THAT(push.errors, ElementsAre(HasSubstr("has both 'interfaces'")));
  EXPECT_THAT(two.services(), ElementsAre("web"));
  EXPECT_FALSE(std::filesystem::exists(two.part("more.yaml")));
}

TEST_F(ConfigPushTest, DiagnosticsOfThePeerComeBackWithItsFiles) {
  write_file(two.options.config_path, own(false, ", accept_config: true") + "limits: {services: 1}\n");
  start();
  change();
  const auto push = this->push();
  EXPECT_EQ(push.state, "failed");
  EXPECT_EQ(push.error_kind, "invalid");
  ASSERT_FALSE(push.errors.empty());
  EXPECT_THAT(push.errors[0], HasSubstr(directory_ / "two"));
  EXPECT_THAT(two.services(), ElementsAre("web"));
  EXPECT_THAT(two.received(), ElementsAre(Pair("invalid", 1U)));
}

TEST_F(ConfigPushTest, WhatCanNotBeLoadedThereIsTakenBack) {
  start();
  change();
  two.machine.maps.apply_error = Error{ErrorKind::unavailable, "no room in the maps"};
  const auto push = this->push();
  EXPECT_EQ(push.state, "failed");
  EXPECT_EQ(push.error_kind, "unavailable");
  EXPECT_THAT(push.errors, ElementsAre(HasSubstr("no room in the maps")));
  EXPECT_FALSE(std::filesystem::exists(two.part("more.yaml"))) << "on disk is what runs";
  EXPECT_THAT(two.services(), ElementsAre("web"));
}

TEST_F(ConfigPushTest, WhatIsOnDiskMustBeInForce) {
  start();
  write_file(one.part("more.yaml"), service("dns", 11));
  const auto push = one.operations().push_config({});
  ASSERT_FALSE(push);
  EXPECT_EQ(push.error().kind, ErrorKind::conflict);
  EXPECT_THAT(push.error().message, HasSubstr("config apply"));
  EXPECT_EQ(one.operations().config_push().state, "none");
}

TEST_F(ConfigPushTest, NobodyThereIsSaidAndOnePushAtATime) {
  ASSERT_TRUE(ok(one.start()));
  ASSERT_TRUE(ok(one.operations().push_config({})));
  const auto second = one.operations().push_config({});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::conflict);
  const auto end = std::chrono::steady_clock::now() + 20s;
  while (one.operations().config_push().state == "sending" && std::chrono::steady_clock::now() < end) {
    loop_.run_one_for(100ms);
    loop_.restart();
  }
  const auto push = one.operations().config_push();
  EXPECT_EQ(push.state, "failed");
  EXPECT_THAT(push.errors, ElementsAre(HasSubstr("does not answer")));
  EXPECT_TRUE(ok(one.operations().push_config({}))) << "and may be tried again";
}

TEST_F(ConfigPushTest, WithoutAPeerThereIsNobodyToPushTo) {
  write_file(one.options.config_path, "interfaces: [lan0, wan0]\nmetrics: {listen: off}\n");
  ASSERT_TRUE(ok(one.start()));
  const auto push = one.operations().push_config({});
  ASSERT_FALSE(push);
  EXPECT_EQ(push.error().kind, ErrorKind::not_found);
}

// A13: a secret of mode 0600 arrived for all the world to read.
TEST_F(ConfigPushTest, ASecretArrivesAsOne) {
  start();
  write_file(one.part("secret.yaml"), service("dns", 11));
  std::filesystem::permissions(one.part("secret.yaml"), std::filesystem::perms(0600));
  ASSERT_TRUE(ok(one.operations().apply_config()));
  EXPECT_EQ(push().state, "done");
  EXPECT_EQ(rights_of(two.part("secret.yaml"))->mode, 0600U);
}

// A12: a push was not undone, the operator has put the files right and applied them; weeks later lvsd is restarted.
TEST_F(ConfigPushTest, WhatIsAppliedByHandIsNotUndoneAtTheNextStart) {
  ASSERT_TRUE(ok(two.start()));
  ConfigStore store(push_folder(two.options.instance_state_dir()));
  ASSERT_TRUE(ok(store.replace({{two.part("services.yaml"), service("pushed", 12)}})));
  const auto warned = [&] {
    const auto warnings = two.operations().status().warnings;
    return std::any_of(warnings.begin(), warnings.end(), [](const std::string& warning) {
      return warning.find("neither taken whole nor undone") != std::string::npos;
    });
  };
  EXPECT_TRUE(warned());
  ASSERT_TRUE(ok(two.operations().apply_config()));
  EXPECT_FALSE(warned());
  EXPECT_FALSE(store.unfinished());
  two.agent.reset();
  ASSERT_TRUE(ok(two.start()));
  EXPECT_THAT(two.services(), ElementsAre("pushed"));
}

// lvsd was killed while it changed the files.
TEST_F(ConfigPushTest, AnInterruptedPushIsUndoneAtTheNextStart) {
  ConfigStore store(push_folder(two.options.instance_state_dir()));
  ASSERT_TRUE(ok(store.replace({{two.part("services.yaml"), "services: [broken"}})));
  ASSERT_TRUE(ok(two.start()));
  EXPECT_THAT(two.services(), ElementsAre("web"));
  EXPECT_EQ(read_file(two.part("services.yaml")), service("web", 10));
}

}  // namespace
}  // namespace xlvs::agent
