// SPDX-License-Identifier: Apache-2.0
// What the whole agent makes of tiers, maintenance files, forced states, withdrawn VIPs and hooks.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>

#include "agent/maintenance_dir.h"
#include "tests/unit/agent/harness.h"

namespace xlvs::agent {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

class LifeTest : public AgentTest {
 protected:
  void SetUp() override {
    machine_.maps.next_hops[*IpAddress::parse("127.0.0.1")] = dataplane::NextHop{false, {{2, 0, 0, 0, 0, 11}}, 2};
  }
  // `service`: further keys of it; `tier`: of the third server.
  [[nodiscard]] std::string with(const std::string& service, const std::string& global = "", int tier = 0) const {
    std::string text = config("metrics: {listen: off}\n" + global);
    text.replace(text.rfind("}"), 1, fmt::format(", tier: {}}}", tier));
    const auto at = text.find("    backends:");
    return text.insert(at, service);
  }
  [[nodiscard]] control::BackendChange change(int server) const { return {"web", servers_[server].endpoint()}; }
  [[nodiscard]] bool has_vip() const {
    const auto found = machine_.vips.find("lo");
    return found != machine_.vips.end() && found->second.contains(*IpAddress::parse("198.51.100.10"));
  }
  [[nodiscard]] std::string pool() { return operations().services().at(0).pool.state; }
};

TEST_F(LifeTest, DisableTakesOutAndEnableBrings) {
  ASSERT_TRUE(ok(start()));
  ASSERT_TRUE(wait_until_up());
  auto disable = change(0);
  disable.reason = "burns";
  ASSERT_TRUE(ok(operations().disable(disable)));
  EXPECT_FALSE(is_up(0));
  EXPECT_TRUE(machine_.find("web", servers_[0].endpoint())->failed);
  EXPECT_EQ(report(0).state, "disabled");
  EXPECT_EQ(report(0).why, "disabled by the operator: burns");
  ASSERT_TRUE(ok(restart()));
  EXPECT_EQ(report(0).why, "disabled by the operator: burns");
  EXPECT_FALSE(is_up(0));
  ASSERT_TRUE(ok(operations().enable(change(0))));
  EXPECT_TRUE(is_up(0));
  EXPECT_TRUE(agent_->balancer().overrides().empty());
}

TEST_F(LifeTest, ForcedStatesOverruleChecks) {
  ASSERT_TRUE(ok(start()));
  ASSERT_TRUE(wait_until_up());
  servers_[0].close();
  ASSERT_TRUE(wait_for([this] { return !is_up(0); }));
  auto force = change(0);
  force.forced = "up";
  ASSERT_TRUE(ok(operations().force(force)));
  EXPECT_TRUE(is_up(0));
  EXPECT_EQ(report(0).state, "up");
  EXPECT_THAT(report(0).why, HasSubstr("forced up"));
  force.forced = "down";
  force.address = servers_[1].endpoint();
  ASSERT_TRUE(ok(operations().force(force)));
  EXPECT_FALSE(is_up(1));
  EXPECT_EQ(report(1).state, "forced-down");
  ASSERT_TRUE(ok(restart()));
  EXPECT_TRUE(is_up(0));
  EXPECT_FALSE(is_up(1));
  ASSERT_TRUE(ok(operations().force(change(0))));
  EXPECT_FALSE(is_up(0)) << "as its checks find";
  force.forced = "sideways";
  EXPECT_FALSE(operations().force(force));
}

TEST_F(LifeTest, ABackupIsUsedWhenTheFirstTierIsGone) {
  configure(with("    panic: 10%\n", "", 1));
  ASSERT_TRUE(ok(start()));
  ASSERT_TRUE(wait_for([this] { return report(2).state == "standby" && pool() == "up"; }));
  EXPECT_TRUE(is_up(0) && is_up(1) && !is_up(2));
  EXPECT_EQ(report(2).state, "standby");
  EXPECT_EQ(pool(), "up");
  servers_[0].close();
  servers_[1].close();
  ASSERT_TRUE(wait_for([this] { return is_up(2) && !is_up(0) && !is_up(1); }));
  EXPECT_EQ(report(2).state, "up");
  EXPECT_EQ(pool(), "backup");
  servers_[2].close();
  ASSERT_TRUE(wait_for([this] { return is_up(0) && is_up(1); })) << "panic: nobody is fit";
  EXPECT_EQ(pool(), "panic");
  EXPECT_THAT(report(0).why, HasSubstr("panic"));
}

TEST_F(LifeTest, TheSorryServerIsPartOfTheServiceAndNotChecked) {
  configure(with("    sorry: {address: 127.0.0.1, port: 9}\n"));
  ASSERT_TRUE(ok(start()));
  ASSERT_TRUE(wait_until_up());
  EXPECT_FALSE(machine_.find("web", "127.0.0.1:9")->up);
  for (TcpServer& server : servers_) server.close();
  ASSERT_TRUE(wait_for([this] { return machine_.find("web", "127.0.0.1:9")->up; }));
  EXPECT_EQ(pool(), "sorry");
  EXPECT_THAT(operations().status().warnings, Contains(HasSubstr("sorry")));
}

// N2: a sorry server that is one of the backends was "listed twice".
TEST_F(LifeTest, ABackendMayBeTheSorryServerToo) {
  const std::string endpoint = servers_[1].endpoint();
  configure(with("    sorry: {address: 127.0.0.1, port: " + endpoint.substr(endpoint.find(':') + 1) + "}\n"));
  ASSERT_TRUE(ok(start()));
  ASSERT_TRUE(wait_until_up());
  EXPECT_EQ(pool(), "up");
  servers_[1].close();
  ASSERT_TRUE(wait_for([this] { return !is_up(1); })) << "its check counts as long as there are others";
  EXPECT_TRUE(is_up(0));
  servers_[0].close();
  servers_[2].close();
  ASSERT_TRUE(wait_for([this] { return !is_up(0) && !is_up(2) && is_up(1); })) << "the last resort";
  EXPECT_EQ(pool(), "sorry");
  EXPECT_FALSE(machine_.find("web", endpoint)->failed);
}

TEST_F(LifeTest, QuorumIsRememberedOverARestart) {
  configure(with("    quorum: {up: 3, down: 2}\n"));
  ASSERT_TRUE(ok(start()));
  ASSERT_TRUE(wait_until_up());
  EXPECT_EQ(pool(), "up");
  servers_[0].close();
  ASSERT_TRUE(wait_for([this] { return !is_up(0); }));
  EXPECT_EQ(pool(), "up") << "hysteresis";
  ASSERT_TRUE(ok(restart()));
  EXPECT_EQ(pool(), "up") << "2 of 3 would not gain it, but keep it";
  servers_[1].close();
  ASSERT_TRUE(wait_for([this] { return !is_up(1); }));
  EXPECT_EQ(pool(), "no-quorum");
  EXPECT_TRUE(is_up(2)) << "there is nothing better";
}

TEST_F(LifeTest, AVipIsWithdrawnWithTheLastBackend) {
  configure(with("    withdraw_vip: true\n"));
  ASSERT_TRUE(ok(start()));
  EXPECT_FALSE(has_vip()) << "nobody has passed a check yet";
  ASSERT_TRUE(wait_until_up());
  ASSERT_TRUE(wait_for([this] { return has_vip(); }));
  ASSERT_TRUE(ok(restart()));
  EXPECT_TRUE(has_vip());
  for (TcpServer& server : servers_) server.close();
  ASSERT_TRUE(wait_for([this] { return !has_vip(); }));
  EXPECT_TRUE(operations().services().at(0).pool.withdrawn);
}

TEST_F(LifeTest, MaintenanceFilesAreFollowed) {
  const std::string path = directory_ / "maintenance";
  configure(with("", "maintenance_dir: " + path + "\n"));
  ASSERT_TRUE(ok(start()));
  ASSERT_TRUE(wait_until_up());
  std::filesystem::create_directory(path);
  write_file(path + "/" + servers_[0].endpoint(), "new disk\nby Friday\n");
  ASSERT_TRUE(wait_for([this] { return !is_up(0); }));
  EXPECT_EQ(report(0).state, "disabled");
  EXPECT_THAT(report(0).why, HasSubstr("new disk"));
  EXPECT_FALSE(report(0).disabled) << "that is the operator's word";
  EXPECT_TRUE(is_up(1));
  std::filesystem::remove(path + "/" + servers_[0].endpoint());
  ASSERT_TRUE(wait_for([this] { return is_up(0); }));
  write_file(path + "/web", "");
  ASSERT_TRUE(wait_for([this] { return !is_up(0) && !is_up(1) && !is_up(2); }));
}

TEST(MaintenanceDir, ReadsNamesAndFirstLines) {
  const TemporaryDirectory directory;
  write_file(directory / "10.0.0.1", "one\ntwo");
  write_file(directory / "[2001:DB8:0::1]:80", "");
  write_file(directory / "2001:db8:0:0::2", "");
  write_file(directory / ".hidden", "");
  write_file(directory / "10.0.0.2~", "");
  mkfifo((directory / "10.0.0.3").c_str(), 0600);  // would block a reader that waits
  const Maintenance files = read_maintenance_dir(directory / "");
  EXPECT_EQ(files, (Maintenance{{"10.0.0.1", "one"}, {"10.0.0.3", ""}, {"2001:db8::2", ""}, {"[2001:db8::1]:80", ""}}));
  EXPECT_TRUE(read_maintenance_dir("").empty());
  EXPECT_TRUE(read_maintenance_dir(directory / "nothing").empty());
}

// A UNIX datagram socket that reads without waiting.
class Listener {
 public:
  explicit Listener(const std::string& path) : fd_(socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  ~Listener() { close(fd_); }
  std::string drain() const {
    std::string all;
    char buffer[4096];
    for (ssize_t n = 0; (n = recv(fd_, buffer, sizeof buffer, 0)) > 0;) all.append(buffer, static_cast<std::size_t>(n));
    return all;
  }

 private:
  int fd_;
};

TEST_F(LifeTest, HooksAreToldInOrder) {
  const Listener listener(directory_ / "events");
  const std::string written = directory_ / "written";
  configure(with("    quorum: {up: 1}\n", "hooks:\n  - {path: " + (directory_ / "events") + "}\n  - {user: \"" +
                                              std::to_string(getuid()) + "\"" +
                                              ", program: [/bin/sh, -c, 'echo $LVS_EVENT $LVS_SERVICE $LVS_STATE >> " +
                                              written + "'], events: [service, quorum]}\n"));
  ASSERT_TRUE(ok(start()));
  ASSERT_TRUE(wait_until_up());
  for (TcpServer& server : servers_) server.close();
  ASSERT_TRUE(wait_for([&] { return pool() == "down"; }));
  ASSERT_TRUE(wait_for([&] { return std::filesystem::exists(written) && read_file(written).ends_with("web down\n"); }));
  EXPECT_EQ(read_file(written), "quorum web gained\nservice web up\nquorum web lost\nservice web down\n");
  const std::string lines = listener.drain();
  EXPECT_THAT(lines, HasSubstr(R"("event":"backend","service":"web","state":"up")"));
  EXPECT_THAT(lines, HasSubstr("\"backend\":\"" + servers_[1].endpoint() + "\""));
  EXPECT_THAT(lines, HasSubstr(R"("event":"quorum","service":"web","state":"lost")"));
}

TEST_F(LifeTest, AHookThatCanNotRunIsAConfigurationError) {
  configure(with("", "hooks: [{program: [/nonexistent/hook]}]\n"));
  const auto result = start();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::invalid);
  EXPECT_THAT(result.error().message, HasSubstr("/nonexistent/hook"));
}

TEST_F(LifeTest, AReaderThatIsNotThereLosesEventsOnly) {
  configure(with("", "hooks: [{path: " + (directory_ / "nobody") + "}]\n"));
  ASSERT_TRUE(ok(start()));
  EXPECT_TRUE(wait_until_up());
}

}  // namespace
}  // namespace xlvs::agent
