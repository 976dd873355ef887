// SPDX-License-Identifier: Apache-2.0
// Two routers, two tables in memory, and a link between them that loses, repeats and reorders as a test wants. Time is
// what the test says.
#include "ha/flow_sync.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

namespace xlvs::ha {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A router's table: told of as the real one is, and told the same way. 64 flows to a bucket.
class Table final : public FlowSource, public FlowSink {
 public:
  std::map<Endpoint, std::pair<std::uint32_t, FlowState>> flows;  // client -> backend, state
  std::set<Endpoint> young;                                       // too young for what `after` says
  std::uint64_t told_twice = 0;                                   // what a walk told without a need
  bool wrong_target = false;
  std::size_t resting = 0;

  void tell_all() override {
    told_.clear();
    walk_.reset();
    targets_.clear();
  }
  bool collect(std::size_t& buckets, std::size_t limit, milliseconds after, std::vector<FlowRecord>& out) override {
    const std::size_t most = buckets * kPerBucket;
    std::size_t looks = most;
    auto next = walk_ ? flows.upper_bound(*walk_) : flows.begin();
    for (; next != flows.end(); ++next) {
      if (looks == 0 || limit == 0) {
        buckets = (looks + kPerBucket - 1) / kPerBucket;
        return false;
      }
      --looks;
      walk_ = next->first;
      if (after > milliseconds(0) && young.contains(next->first)) continue;
      const auto before = told_.find(next->first);
      if (before != told_.end() && before->second == next->second) continue;
      told_[next->first] = next->second;
      out.push_back({next->first, number_of(next->second.first), next->second.second, {}});
      --limit;
    }
    walk_.reset();
    buckets -= std::min(buckets, (most - looks) / kPerBucket + 1);
    return true;
  }
  [[nodiscard]] std::size_t bucket_count() const override { return flows.size() / kPerBucket + 1; }
  [[nodiscard]] const FlowTarget& target(std::uint32_t number) const override { return targets_.at(number); }
  void rest() override { ++resting; }

  void forget_targets() override { theirs_.clear(); }
  void set_target(std::uint32_t number, const FlowTarget& target) override { theirs_[number] = target.backend.port; }
  FlowImports import(std::span<const FlowRecord> told, bool) override {
    FlowImports out;
    for (const FlowRecord& flow : told) {
      wrong_target |= !theirs_.contains(flow.target);
      flows[flow.client] = {theirs_[flow.target], flow.state};
      ++out.created;
    }
    return out;
  }

 private:
  static constexpr std::size_t kPerBucket = 64;
  std::uint32_t number_of(std::uint32_t backend) {
    for (std::uint32_t i = 0; i < targets_.size(); ++i)
      if (targets_[i].backend.port == backend) return i;
    targets_.push_back({"web", {}, {{}, static_cast<std::uint16_t>(backend)}});
    return static_cast<std::uint32_t>(targets_.size() - 1);
  }
  std::vector<FlowTarget> targets_;
  std::map<std::uint32_t, std::uint32_t> theirs_;
  std::map<Endpoint, std::pair<std::uint32_t, FlowState>> told_;
  std::optional<Endpoint> walk_;
};

struct Link {
  unsigned lost = 0, repeated = 0;  // per cent
  milliseconds least{1}, most{1};   // how long one is under way
  bool cut = false;
};

class FlowSyncTest : public ::testing::Test {
 protected:
  struct Router {
    Table table;
    std::unique_ptr<FlowSync> sync;
    std::uint64_t bodies = 0;
  };
  void SetUp() override {
    start(0);
    start(1);
  }
  // Its lvsd is a new one; its table is what it was.
  void start(std::size_t which) {
    Router& router = routers[which];
    router.sync = std::make_unique<FlowSync>(
        FlowExchange{router.table, router.table}, config,
        [this, which](std::span<const std::uint8_t> body) { send(1 - which, body); }, [this] { return engine() | 1; });
  }
  void send(std::size_t to, std::span<const std::uint8_t> body) {
    ++routers[1 - to].bodies;
    EXPECT_LE(body.size(), kMaxFlowBody);
    if (link.cut || chance() < link.lost) return;
    for (unsigned copies = chance() < link.repeated ? 2 : 1; copies > 0; --copies) {
      const auto range = static_cast<std::uint64_t>((link.most - link.least).count()) + 1;
      const Time at = now + link.least + milliseconds(static_cast<std::int64_t>(engine() % range));
      wire.emplace(at, std::pair(to, std::vector<std::uint8_t>(body.begin(), body.end())));
    }
  }
  unsigned chance() { return static_cast<unsigned>(engine() % 100); }
  void run(milliseconds time, const std::function<void()>& each = nullptr) {
    for (const Time end = now + time; now < end; now += milliseconds(1)) {
      while (!wire.empty() && wire.begin()->first <= now) {
        const auto [to, body] = std::move(wire.begin()->second);
        wire.erase(wire.begin());
        EXPECT_TRUE(routers[to].sync->receive(now, body));
      }
      if ((now.time_since_epoch() / milliseconds(1)) % kFlowTick.count() != 0) continue;
      if (each) each();
      for (Router& router : routers) router.sync->tick(now);
    }
  }
  void roles(std::size_t active) {
    routers[active].sync->set_active(now, true);
    routers[1 - active].sync->set_active(now, false);
  }
  static Endpoint client(unsigned i) {
    return {IpAddress::v4({203, 0, static_cast<std::uint8_t>(i >> 16), 1}), static_cast<std::uint16_t>(i)};
  }
  void fill(std::size_t which, unsigned count, unsigned first = 0) {
    for (unsigned i = first; i < first + count; ++i)
      routers[which].table.flows[client(i)] = {1 + i % 7, FlowState::established};
  }
  [[nodiscard]] FlowReception reception(std::size_t which) const {
    return routers[which].sync->report().receiver.state;
  }
  [[nodiscard]] bool same() const { return routers[0].table.flows == routers[1].table.flows; }

  FlowSyncConfig config;
  Link link;
  std::array<Router, 2> routers;
  std::multimap<Time, std::pair<std::size_t, std::vector<std::uint8_t>>> wire;
  Time now{};
  std::mt19937_64 engine{3};
};

TEST_F(FlowSyncTest, TheWholeTableThenChanges) {
  fill(0, 20'000);
  roles(0);
  EXPECT_TRUE(routers[1].sync->holding());
  run(seconds(2));
  EXPECT_TRUE(same());
  EXPECT_EQ(reception(1), FlowReception::in_step);
  EXPECT_FALSE(routers[1].sync->holding());
  const FlowSyncReport sender = routers[0].sync->report(), receiver = routers[1].sync->report();
  EXPECT_TRUE(sender.active && sender.sender.in_step && sender.sender.peer);
  EXPECT_EQ(sender.sender.snapshot_flows, 20'000U);
  EXPECT_EQ(receiver.receiver.snapshot_flows, 20'000U);
  EXPECT_EQ(receiver.receiver.snapshots, 1U);
  EXPECT_EQ(sender.sender.resent, 0U) << "a good link needs no repetition";
  fill(0, 100, 20'000);
  routers[0].table.flows[client(5)].second = FlowState::time_wait;
  run(seconds(2));
  EXPECT_TRUE(same());
  EXPECT_EQ(routers[0].sync->report().sender.flows, 20'101U) << "of what has not changed nothing is said";
  EXPECT_FALSE(routers[1].table.wrong_target);
}

TEST_F(FlowSyncTest, SmallTablesAreInStepAtOnce) {
  roles(0);
  run(milliseconds(600));
  EXPECT_EQ(reception(1), FlowReception::in_step) << "there was nothing to tell, and that was told";
}

TEST_F(FlowSyncTest, ALinkThatLosesRepeatsAndReorders) {
  for (const unsigned lost : {1U, 10U, 40U}) {
    SetUp();
    routers[0].table.flows.clear();
    routers[1].table.flows.clear();
    link = {lost, 20, milliseconds(1), milliseconds(80)};
    fill(0, 5000);
    roles(0);
    run(seconds(10), [&, i = 0U]() mutable {
      auto& flow = routers[0].table.flows[client(static_cast<unsigned>(engine() % 6000))];
      ++i;
      flow = {1 + i % 9, i % 3 == 0 ? FlowState::time_wait : FlowState::established};
    });
    run(seconds(20));
    EXPECT_TRUE(same()) << lost << " % lost";
    EXPECT_EQ(reception(1), FlowReception::in_step);
    EXPECT_FALSE(routers[1].table.wrong_target);
    EXPECT_GT(routers[0].sync->report().sender.resent, 0U);
    EXPECT_GT(routers[1].sync->report().receiver.repeated, 0U);
  }
}

TEST_F(FlowSyncTest, TheRateIsKept) {
  config.rate = 2000;
  SetUp();
  fill(0, 10'000);
  roles(0);
  run(seconds(4));
  EXPECT_NEAR(static_cast<double>(routers[1].table.flows.size()), 7800, 500);
  EXPECT_EQ(reception(1), FlowReception::receiving);
  EXPECT_TRUE(routers[1].sync->holding()) << "not all of it is here";
  run(seconds(2));
  EXPECT_TRUE(same());
}

TEST_F(FlowSyncTest, ALinkThatIsCutWhileTheTableComes) {
  config.rate = 5000;
  SetUp();
  fill(0, 10'000);
  roles(0);
  run(seconds(1));
  link.cut = true;
  run(seconds(5));
  EXPECT_EQ(reception(1), FlowReception::silent);
  EXPECT_FALSE(routers[1].sync->holding());
  EXPECT_FALSE(routers[0].sync->report().sender.peer);
  EXPECT_GT(routers[0].table.resting, 0U) << "memory for a peer that is gone is given back";
  const std::uint64_t bodies = routers[0].bodies;
  run(seconds(5));
  EXPECT_EQ(routers[0].bodies, bodies) << "nothing is sent into the void";
  fill(0, 100, 10'000);
  link.cut = false;
  run(seconds(5));
  EXPECT_TRUE(same());
  EXPECT_EQ(reception(1), FlowReception::in_step);
}

TEST_F(FlowSyncTest, ASenderThatIsRestartedTellsEverythingAgain) {
  fill(0, 1000);
  roles(0);
  run(seconds(1));
  routers[0].table.flows.erase(client(3));
  routers[1].table.flows.clear();  // so that it can be seen
  start(0);
  routers[0].sync->set_active(now, true);
  run(seconds(1));
  EXPECT_TRUE(same());
  EXPECT_EQ(reception(1), FlowReception::in_step);
}

TEST_F(FlowSyncTest, AReceiverThatIsRestartedHearsEverythingAgain) {
  fill(0, 1000);
  roles(0);
  run(seconds(1));
  routers[1].table.flows.clear();
  start(1);
  routers[1].sync->set_active(now, false);
  run(seconds(1));
  EXPECT_TRUE(same());
  EXPECT_EQ(routers[0].sync->report().sender.snapshots, 2U);
}

TEST_F(FlowSyncTest, RestartsOfBothUnderLossEndInStep) {
  link = {20, 10, milliseconds(1), milliseconds(60)};
  fill(0, 3000);
  roles(0);
  for (unsigned i = 0; i < 20; ++i) {
    run(milliseconds(100 + static_cast<std::int64_t>(engine() % 700)));
    const std::size_t which = engine() % 2;
    start(which);
    routers[which].sync->set_active(now, which == 0);
  }
  run(seconds(15));
  EXPECT_TRUE(same());
  EXPECT_EQ(reception(1), FlowReception::in_step);
  EXPECT_FALSE(routers[1].table.wrong_target);
}

TEST_F(FlowSyncTest, RolesTurn) {
  fill(0, 1000);
  roles(0);
  run(seconds(2));
  roles(1);
  EXPECT_TRUE(routers[0].sync->holding()) << "what the other has learned meanwhile comes first";
  EXPECT_EQ(reception(1), FlowReception::off);
  fill(1, 500, 5000);
  run(seconds(3));
  EXPECT_TRUE(same());
  EXPECT_EQ(reception(0), FlowReception::in_step);
  EXPECT_FALSE(routers[0].sync->holding());
  EXPECT_EQ(routers[1].sync->report().sender.snapshot_flows, 1500U);
}

// Before a hand-over.
class Flush : public FlowSyncTest {
 protected:
  void SetUp() override {
    FlowSyncTest::SetUp();
    fill(0, 4'000);
    roles(0);
    run(seconds(2));
    for (unsigned i = 4'000; i < 5'500; ++i) routers[0].table.young.insert(client(i));
    fill(0, 1'500, 4'000);
    run(seconds(3));
    EXPECT_EQ(routers[1].table.flows.size(), 4'000U) << "too young";
    EXPECT_EQ(sender().flushed(), FlowFlush::none);
  }
  FlowSync& sender() { return *routers[0].sync; }
  // How long it took.
  milliseconds flush() {
    const Time begin = now;
    sender().flush(now);
    while (sender().flushed() == FlowFlush::going && now < begin + seconds(1)) run(milliseconds(1));
    return std::chrono::duration_cast<milliseconds>(now - begin);
  }
};

TEST_F(Flush, TellsTheYoungToo) {
  EXPECT_LT(flush(), milliseconds(60));
  EXPECT_EQ(sender().flushed(), FlowFlush::done);
  EXPECT_TRUE(same());
}

TEST_F(Flush, HasNoRegardToTheRate) {
  config.rate = 1000;
  SetUp();  // most of the first 4,000 are on their way yet
  EXPECT_LT(flush(), milliseconds(200));
  EXPECT_EQ(sender().flushed(), FlowFlush::done);
  EXPECT_TRUE(same());
}

TEST_F(Flush, IsNotDoneBeforeThePeerHasItAll) {
  link.least = link.most = milliseconds(70);
  EXPECT_GT(flush(), milliseconds(140));
  EXPECT_EQ(sender().flushed(), FlowFlush::done);
  EXPECT_TRUE(same());
}

TEST_F(Flush, RepeatsWhatIsLostInTime) {
  link.lost = 5;
  EXPECT_LT(flush(), milliseconds(200));
  EXPECT_EQ(sender().flushed(), FlowFlush::done);
  EXPECT_TRUE(same());
}

TEST_F(Flush, OverADeadLinkDoesNotEnd) {
  link.cut = true;
  EXPECT_EQ(flush(), seconds(1));
  EXPECT_EQ(sender().flushed(), FlowFlush::going);
  run(seconds(3));
  EXPECT_EQ(sender().flushed(), FlowFlush::none) << "nobody asks any more";
  sender().flush(now);
  EXPECT_EQ(sender().flushed(), FlowFlush::none);
}

TEST_F(Flush, EndsWithTheRoleOrWhenItIsNotGivenUp) {
  link.cut = true;
  sender().flush(now);
  EXPECT_EQ(sender().flushed(), FlowFlush::going);
  sender().end_flush();
  EXPECT_EQ(sender().flushed(), FlowFlush::none);
  sender().flush(now);
  sender().set_active(now, false);
  EXPECT_EQ(sender().flushed(), FlowFlush::none);
  sender().flush(now);
  EXPECT_EQ(sender().flushed(), FlowFlush::none) << "a backup router has nothing to tell";
}

TEST_F(FlowSyncTest, TwoPassiveRoutersWaitForEachOther) {
  routers[0].sync->set_active(now, false);
  routers[1].sync->set_active(now, false);
  run(milliseconds(300));
  EXPECT_EQ(reception(0), FlowReception::passive);
  EXPECT_FALSE(routers[0].sync->holding()) << "there is nothing to wait for";
  fill(1, 10);
  roles(1);
  run(seconds(1));
  EXPECT_TRUE(same());
}

TEST_F(FlowSyncTest, TwoActiveRoutersTellEachOtherNothing) {
  fill(0, 10);
  routers[0].sync->set_active(now, true);
  routers[1].sync->set_active(now, true);
  run(seconds(2));
  EXPECT_TRUE(routers[1].table.flows.empty());
}

TEST_F(FlowSyncTest, NobodyIsWaitedForLong) {
  link.cut = true;
  routers[0].sync->set_active(now, false);
  run(milliseconds(1900));
  EXPECT_TRUE(routers[0].sync->holding());
  run(milliseconds(200));
  EXPECT_FALSE(routers[0].sync->holding());
  EXPECT_EQ(routers[0].sync->why(), "nobody answers");
}

TEST_F(FlowSyncTest, ATableThatDoesNotEndIsNotWaitedForForEver) {
  config.rate = 100;
  SetUp();
  fill(0, 100'000);
  roles(0);
  run(seconds(29));
  EXPECT_TRUE(routers[1].sync->holding());
  run(seconds(2));
  EXPECT_FALSE(routers[1].sync->holding());
  EXPECT_EQ(routers[1].sync->why(), "the other router's flows took too long to come");
}

TEST_F(FlowSyncTest, LateAnswersToAnEarlierQuestionAreNoNews) {
  fill(0, 10);
  roles(0);
  run(milliseconds(500));
  const std::uint64_t flows = routers[1].sync->report().receiver.flows;
  FlowData late{12345, 1, 1, {}};
  late.batch.flows = {{client(77), 0, FlowState::established, {}}};
  EXPECT_TRUE(routers[1].sync->receive(now, encode(late)));
  EXPECT_TRUE(routers[1].sync->receive(now, encode(FlowPassive{12345})));
  EXPECT_EQ(routers[1].sync->report().receiver.flows, flows);
  EXPECT_EQ(reception(1), FlowReception::in_step);
  FlowAsk nonsense{12345, 1, ~std::uint64_t{0}, {}};
  nonsense.more.fill(~std::uint64_t{0});
  EXPECT_TRUE(routers[0].sync->receive(now, encode(nonsense)));
  EXPECT_FALSE(routers[0].sync->receive(now, std::vector<std::uint8_t>{1, 2, 3}));
  run(seconds(1));
  EXPECT_EQ(reception(1), FlowReception::in_step) << "the sender took it for a new question; this router asked again";
}

}  // namespace
}  // namespace xlvs::ha
