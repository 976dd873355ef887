// SPDX-License-Identifier: Apache-2.0
// Which flows another router is told of, and when; and from one table into another.
#include <thread>

#include "tests/datapath/dataplane_exchange_fixture.h"

namespace xlvs::dataplane {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

class Tell : public ExchangeTest {
 protected:
  void SetUp() override {
    ExchangeTest::SetUp();
    dp->flow_exchange().source.tell_all();
  }
  void put(unsigned slot, const std::string& client, std::uint32_t state = LVS_STATE_ESTABLISHED,
           std::uint32_t age = 0) {
    put_flow4(3, slot, client, kWebVip, one, state, age);
  }
  void change(unsigned slot, std::uint32_t state, std::uint32_t age = 0) const {
    __u64& word = maps().buckets4[3].slot[slot].word;
    word = LVS_WORD(LVS_WORD_BACKEND(word), LVS_WORD_LISTENER(word), 0, state, tick_now() - age);
  }
};

TEST_F(Tell, NamesAndAge) {
  put(0, "203.0.113.1:1000", LVS_STATE_ESTABLISHED, 100);
  const auto told = walk();
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_EQ(told[0].client, endpoint("203.0.113.1:1000"));
  EXPECT_EQ(told[0].state, FlowState::established);
  EXPECT_NEAR(told[0].idle.count(), 107, 1) << "100 ticks of 1.07 s";
  EXPECT_EQ(dp->flow_exchange().source.target(told[0].target),
            (FlowTarget{"web", listener(kWebVip), endpoint("10.0.0.11:8080")}));
}

TEST_F(Tell, OnceUntilItChanges) {
  put(0, "203.0.113.1:1000");
  EXPECT_THAT(walk(), SizeIs(1));
  EXPECT_THAT(walk(), IsEmpty());
  change(0, LVS_STATE_FIN_WAIT);
  auto told = walk();
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_EQ(told[0].state, FlowState::fin_wait);
  change(0, LVS_STATE_TIME_WAIT);
  told = walk();
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_EQ(told[0].state, FlowState::time_wait) << "so that the copy does not count as a connection any more";
  EXPECT_THAT(walk(), IsEmpty());
  dp->flow_exchange().source.tell_all();
  EXPECT_THAT(walk(), IsEmpty()) << "it is over: nobody needs to know it";
}

TEST_F(Tell, AgainWhenTheCopyHasGrownOld) {
  const std::uint32_t timeout = maps().control().timeout[LVS_STATE_ESTABLISHED];
  put(0, "203.0.113.1:1000", LVS_STATE_ESTABLISHED, timeout / 4);
  EXPECT_THAT(walk(), SizeIs(1));
  change(0, LVS_STATE_ESTABLISHED, 3);
  EXPECT_THAT(walk(), IsEmpty()) << "packets alone are no news";
  change(0, LVS_STATE_ESTABLISHED);
  EXPECT_THAT(walk(), SizeIs(1));
}

TEST_F(Tell, HalfOpenAndExpiredFlowsAreNot) {
  put(0, "203.0.113.1:1000", LVS_STATE_SYN_RECV);
  put(1, "203.0.113.1:1001", LVS_STATE_ESTABLISHED, 5000);
  put(2, "203.0.113.1:1002", LVS_STATE_CLOSE);
  EXPECT_THAT(walk(), IsEmpty());
}

TEST_F(Tell, AfterTheFirstWalkOnlyWhatHasLivedForAWhile) {
  constexpr std::chrono::milliseconds kAfter{500};
  put(0, "203.0.113.1:1000");
  EXPECT_THAT(walk(kAfter), SizeIs(1)) << "a peer that has just come hears of all";
  put(1, "203.0.113.1:1001");
  const auto begin = std::chrono::steady_clock::now();
  std::vector<FlowRecord> told;
  while (told.empty() && std::chrono::steady_clock::now() - begin < std::chrono::seconds(10)) {
    told = walk(kAfter);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_EQ(told[0].client, endpoint("203.0.113.1:1001"));
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(430)) << "kept in steps of 64 ms";
}

TEST_F(Tell, AnotherFlowInTheSameSlotIsNews) {
  put(0, "203.0.113.1:1000");
  EXPECT_THAT(walk(), SizeIs(1));
  put(0, "203.0.113.1:1001");
  EXPECT_THAT(walk(), SizeIs(1));
  maps().buckets4[3].slot[0].word = 0;
  EXPECT_THAT(walk(), IsEmpty());
  put(0, "203.0.113.1:1001");
  EXPECT_THAT(walk(), SizeIs(1)) << "the same client and port, but a new connection";
}

TEST_F(Tell, AUdpFlowOnceItIsMoreThanAQuestionAndAnAnswer) {
  EXPECT_THAT(walk(), IsEmpty());
  put_flow4(9, 0, "203.0.113.1:1000", kDnsVip, backend_id("dns", "10.0.0.13:53"), LVS_STATE_UDP, 2);
  EXPECT_THAT(walk(), IsEmpty());
  __u64& word = maps().buckets4[9].slot[0].word;
  word = (word & ~__u64{0xffff}) | (tick_now() & 0xffff);
  const auto told = walk();
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_EQ(told[0].state, FlowState::udp);
}

TEST_F(Tell, StepsAndLimitsAddUpToOneWalk) {
  for (unsigned i = 0; i < 400; ++i)
    put_flow4(i / 4, i % 4, "203.0.113.1:" + std::to_string(1000 + i), kWebVip, one, LVS_STATE_ESTABLISHED);
  FlowSource& source = dp->flow_exchange().source;
  std::vector<FlowRecord> out;
  unsigned steps = 0;
  bool end = false;
  while (!end && ++steps < 10'000) {
    const std::size_t before = out.size();
    std::size_t buckets = 10;
    end = source.collect(buckets, 30, kAtOnce, out);
    EXPECT_TRUE(end || buckets == 0 || out.size() - before > 30 - 16);
    EXPECT_LE(out.size() - before, 30U);
  }
  EXPECT_THAT(out, SizeIs(400));
  EXPECT_GE(steps, source.bucket_count() / 10);
  std::set<Endpoint> clients;
  for (const FlowRecord& flow : out) clients.insert(flow.client);
  EXPECT_THAT(clients, SizeIs(400));
}

TEST_F(Tell, ANewBackendWithAnOldIdHasItsOwnName) {
  put(0, "203.0.113.1:1000");
  ASSERT_THAT(walk(), SizeIs(1));
  maps().buckets4[3].slot[0].word = 0;
  DesiredService other = web();
  other.backends[0] = backend("10.0.0.21:8080");
  apply(desired({other, dns(), six()}));
  sweep(3);
  other.backends.push_back(backend("10.0.0.22:8080"));
  apply(desired({other, dns(), six()}));
  const std::uint32_t again = backend_id("web", "10.0.0.22:8080");
  ASSERT_EQ(again, one) << "the test wants the id used again";
  put_flow4(5, 0, "203.0.113.1:1001", kWebVip, again, LVS_STATE_ESTABLISHED);
  const auto told = walk();
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_EQ(dp->flow_exchange().source.target(told[0].target).backend, endpoint("10.0.0.22:8080"));
}

TEST_F(Tell, RestsUntilItIsToldTo) {
  put(0, "203.0.113.1:1000");
  dp->flow_exchange().source.rest();
  EXPECT_THAT(walk(), IsEmpty());
  dp->flow_exchange().source.tell_all();
  EXPECT_THAT(walk(), SizeIs(1));
}

// Ids, table sizes and the hash's seed differ; names and flows are the same.
TEST_F(Tell, IntoTheTableOfAnotherRouter) {
  for (unsigned i = 0; i < 300; ++i)
    ASSERT_TRUE(send("203.0.113.1:" + std::to_string(1000 + i), "198.51.100.10:80", test::kSyn) &&
                send("203.0.113.1:" + std::to_string(1000 + i), "198.51.100.10:80", test::kAck));
  ASSERT_TRUE(send("[2001:db8:c::1]:1000", "[2001:db8:5::10]:80", test::kSyn) &&
              send("[2001:db8:c::1]:1000", "[2001:db8:5::10]:80", test::kAck));
  OpenOptions others = options;
  others.instance += "-other";
  others.limits = {4096, 4096, 64, 64, 128};
  auto opened = XdpDataplane::open(others);
  ASSERT_TRUE(opened) << opened.error().message;
  XdpDataplane& other = **opened;
  ASSERT_TRUE(
      other.apply(desired({service("first", {"198.51.100.77:80/tcp"}, {backend("10.0.0.11:8080")}), six(),
                           service("web", {kWebVip}, {backend("10.0.0.12:8080"), backend("10.0.0.11:8080")})})));
  FlowExchange from = dp->flow_exchange(), to = other.flow_exchange();
  const auto told = walk();
  ASSERT_THAT(told, SizeIs(301));
  for (const FlowRecord& flow : told) to.sink.set_target(flow.target, from.source.target(flow.target));
  FlowImports all;
  all.created = 301;
  EXPECT_EQ(to.sink.import(told, true), all);
  const auto describe = [](const std::vector<Flow>& flows) {
    std::map<Endpoint, std::string> out;
    for (const Flow& flow : flows)
      out[flow.client] =
          flow.service + " " + flow.destination.to_string() + " " + flow.backend.to_string() + " " + flow.state;
    return out;
  };
  EXPECT_EQ(describe(other.flows({}, 1000, nullptr)), describe(flows()));
  opened->reset();
  EXPECT_TRUE(remove_pins(others));
}

}  // namespace
}  // namespace xlvs::dataplane
