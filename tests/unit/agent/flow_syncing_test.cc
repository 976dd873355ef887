// SPDX-License-Identifier: Apache-2.0
// Two lvsd's ends of flow synchronisation on the loopback interface, each with a table in memory.
#include "agent/flow_syncing.h"

#include <gmock/gmock.h>

#include <unistd.h>

#include <filesystem>

#include "tests/support/fake_dataplane.h"
#include "tests/unit/agent/temporary.h"

namespace xlvs::agent {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class FlowSyncingTest : public ::testing::Test {
 protected:
  struct Router {
    explicit Router(boost::asio::io_context& loop)
        : syncing(loop, dataplane, [this](bool held) { holds.push_back(held); }) {}
    dataplane::FakeDataplane dataplane;
    std::vector<bool> holds;
    FlowSyncing syncing;
  };

  FlowSyncingTest() {
    write_file(key_, std::string(64, 'k'));
    std::filesystem::permissions(key_, std::filesystem::perms::owner_read);
    one.dataplane.exchange.targets = {
        {"web", *Listener::parse("198.51.100.10:80/tcp"), *Endpoint::parse("10.0.0.11:80")}};
    for (std::uint16_t i = 1; i <= 500; ++i)
      one.dataplane.exchange.to_tell.push_back(
          {{*IpAddress::parse("203.0.113.1"), i}, 0, FlowState::established, std::chrono::duration<std::uint16_t>(i)});
  }
  // The loopback network has addresses enough for both, of every test that runs at this moment.
  [[nodiscard]] static IpAddress address(bool first) {
    const auto pid = static_cast<unsigned>(getpid());
    return IpAddress::v4({127, static_cast<std::uint8_t>((first ? 64 : 128) + (pid >> 16) % 64),
                          static_cast<std::uint8_t>(pid >> 8), static_cast<std::uint8_t>(pid)});
  }
  [[nodiscard]] HaConfig config(bool first) const {
    HaConfig ha;
    PeerConfig& peer = ha.peer.emplace();
    peer.local = address(first);
    peer.address = address(!first);
    peer.port = 25394;
    peer.key_file = key_;
    return ha;
  }
  void begin(Router& router, const std::optional<HaConfig>& config, bool active) {
    auto next = router.syncing.prepare(config);
    ASSERT_TRUE(next) << next.error().message;
    router.syncing.use(*std::move(next), active);
  }
  [[nodiscard]] bool wait_for(const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + 20s;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      loop_.run_one_for(100ms);
      loop_.restart();
    }
    return true;
  }
  [[nodiscard]] static bool in_step(const Router& router) { return router.syncing.report()->state == "in-step"; }

  TemporaryDirectory directory_;
  std::string key_ = directory_ / "peer.key";
  boost::asio::io_context loop_;
  Router one{loop_}, two{loop_};
};

TEST_F(FlowSyncingTest, TheTableComesOverAndTheRoleIsHeldUntilThen) {
  begin(one, config(true), true);
  begin(two, config(false), false);
  EXPECT_THAT(one.holds, ElementsAre());
  EXPECT_THAT(two.holds, ElementsAre(true));
  ASSERT_TRUE(wait_for([&] { return in_step(one) && in_step(two); }));
  EXPECT_EQ(two.dataplane.exchange.told, one.dataplane.exchange.to_tell);
  EXPECT_EQ(two.dataplane.exchange.told_targets.at(0), one.dataplane.exchange.targets[0]);
  EXPECT_TRUE(two.dataplane.exchange.replaced);
  EXPECT_THAT(two.holds, ElementsAre(true, false));
  EXPECT_TRUE(one.syncing.report()->sends);
  EXPECT_EQ(one.syncing.report()->sent, 500U);
  EXPECT_EQ(two.syncing.report()->imported.at("created"), 500U);
  EXPECT_EQ(two.syncing.report()->snapshot_flows, 500U);

  one.syncing.set_active(false);
  two.syncing.set_active(true);
  EXPECT_THAT(one.holds, ElementsAre(true));
  ASSERT_TRUE(wait_for([&] { return in_step(one) && in_step(two); }));
  EXPECT_THAT(one.holds, ElementsAre(true, false)) << "the other has nothing to tell, and has told that";
}

TEST_F(FlowSyncingTest, AnotherKeyIsNoPeer) {
  const std::string other = directory_ / "other.key";
  write_file(other, std::string(64, 'o'));
  std::filesystem::permissions(other, std::filesystem::perms::owner_read);
  HaConfig stranger = config(false);
  stranger.peer->key_file = other;
  begin(one, config(true), true);
  begin(two, stranger, false);
  ASSERT_TRUE(wait_for([&] { return two.holds.size() == 2; })) << "nobody is waited for long";
  EXPECT_EQ(one.syncing.report()->state, "no-peer");
  EXPECT_GT(one.syncing.report()->rejected["key"], 0U);
  EXPECT_EQ(two.syncing.report()->received, 0U);

  begin(two, config(false), false);  // a reload with the right one
  ASSERT_TRUE(wait_for([&] { return in_step(two); }));
}

TEST_F(FlowSyncingTest, OnlyWithAPeerAndUnlessSwitchedOff) {
  begin(one, std::nullopt, true);
  EXPECT_FALSE(one.syncing.report());
  HaConfig off = config(true);
  off.peer->flows.on = false;
  begin(one, off, false);
  EXPECT_FALSE(one.syncing.report());
  begin(one, config(true), false);
  EXPECT_EQ(one.syncing.report()->state, "asking");
  begin(one, HaConfig{}, false);
  EXPECT_FALSE(one.syncing.report());
  EXPECT_THAT(one.holds, ElementsAre(true, false));
}

TEST_F(FlowSyncingTest, ErrorsNameTheThingAndChangeNothing) {
  begin(one, config(true), true);
  HaConfig bad = config(true);
  bad.peer->key_file = "/nonexistent/peer.key";
  const auto no_key = one.syncing.prepare(bad);
  ASSERT_FALSE(no_key);
  EXPECT_THAT(no_key.error().message, HasSubstr("/nonexistent/peer.key"));
  const auto taken = two.syncing.prepare(config(true));
  ASSERT_FALSE(taken);
  EXPECT_THAT(taken.error().message, HasSubstr(address(true).to_string() + ":25395"));
  begin(two, config(false), false);
  EXPECT_TRUE(wait_for([&] { return in_step(two); })) << "the first goes on";
}

}  // namespace
}  // namespace xlvs::agent
