// SPDX-License-Identifier: Apache-2.0
// Two lvsd's ends of flow synchronisation on the loopback interface, each with a table in memory.
#include "agent/flow_syncing.h"

#include <gmock/gmock.h>

#include <unistd.h>

#include <filesystem>
#include <thread>

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

// Before the role is given up.
class FlushTest : public FlowSyncingTest {
 protected:
  // The other router is one of another process, as far as this one's loop is concerned.
  void SetUp() override {
    begin(one, config(true), true);
    begin(other_, config(false), false);
    thread_ = std::thread([this] { other_loop_.run(); });
    ASSERT_TRUE(wait_for([&] { return in_step(one); }));
    for (std::uint16_t i = 1; i <= 300; ++i)
      one.dataplane.exchange.young.push_back({{*IpAddress::parse("203.0.113.2"), i}, 0, FlowState::established, {}});
  }
  void TearDown() override { stop_other(); }
  void stop_other() {
    other_loop_.stop();
    if (thread_.joinable()) thread_.join();
  }
  [[nodiscard]] std::size_t known() {
    stop_other();
    return other_.dataplane.exchange.told.size();
  }
  FlowSyncing::Flushed note() {
    return [this](const std::string& why) { ended_.push_back(why); };
  }

  boost::asio::io_context other_loop_;
  Router other_{other_loop_};
  std::thread thread_;
  std::vector<std::string> ended_;  // of each flush: what it fell short of
};

TEST_F(FlushTest, EndsWhenTheOtherRouterHasTheYoungestToo) {
  one.syncing.flush(note());
  EXPECT_TRUE(one.syncing.flushing());
  EXPECT_THAT(ended_, ElementsAre()) << "the loop goes on meanwhile";
  ASSERT_TRUE(wait_for([&] { return !ended_.empty(); }));
  EXPECT_THAT(ended_, ElementsAre(""));
  EXPECT_FALSE(one.syncing.flushing());
  EXPECT_EQ(known(), 800U);
}

TEST_F(FlushTest, WithoutALoop) {
  EXPECT_EQ(one.syncing.flush_now(), "");
  EXPECT_EQ(known(), 800U);
}

TEST_F(FlushTest, APeerThatFellSilentIsNotWaitedForLong) {
  stop_other();
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_THAT(one.syncing.flush_now(), HasSubstr("not acknowledged"));
  one.syncing.flush(note());
  ASSERT_TRUE(wait_for([&] { return !ended_.empty(); }));
  EXPECT_THAT(ended_, ElementsAre(HasSubstr("not acknowledged")));
  const auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_GE(took, 2 * FlowSyncing::kFlushLimit);
  EXPECT_LT(took, 2s);
}

TEST_F(FlushTest, WhereThereIsNothingToTellItEndsAtOnce) {
  two.syncing.flush(note());
  begin(two, std::nullopt, false);
  two.syncing.flush(note());
  one.syncing.set_active(false);
  one.syncing.flush(note());
  EXPECT_THAT(ended_, ElementsAre(HasSubstr("off"), HasSubstr("off"), HasSubstr("not active")));
}

TEST_F(FlushTest, EndsWithTheRole) {
  stop_other();
  one.syncing.flush(note());
  one.syncing.set_active(false);
  EXPECT_THAT(ended_, ElementsAre(HasSubstr("role")));
  one.syncing.set_active(true);
  one.syncing.flush(note());
  EXPECT_THAT(ended_.back(), HasSubstr("does not ask")) << "not yet, in this role";
}

TEST_F(FlushTest, ThatIsCancelledEndsNowhere) {
  stop_other();
  one.syncing.flush(note());
  one.syncing.cancel_flush();
  EXPECT_FALSE(one.syncing.flushing());
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(wait_for([&] { return std::chrono::steady_clock::now() - begin > 2 * FlowSyncing::kFlushLimit; }));
  EXPECT_THAT(ended_, ElementsAre());
  one.syncing.flush(note());
  this->begin(one, std::nullopt, true);
  EXPECT_THAT(ended_, ElementsAre(HasSubstr("anew")));
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
