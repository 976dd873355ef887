// SPDX-License-Identifier: Apache-2.0
// The flow table beyond plain hits: expiry, victims, overflow, removed backends. The table is small and every slot is
// filled by hand, so that it does not matter which buckets the hash chooses.
#include <algorithm>

#include "tests/datapath/fixture.h"

namespace xlvs::test {
namespace {

// Ages in ticks. Old: longer than a handshake or a last ACK takes, shorter than any timeout.
constexpr std::uint32_t kYoung = 1;
constexpr std::uint32_t kOld = 8;
constexpr lvs_state kKept[] = {LVS_STATE_ESTABLISHED, LVS_STATE_UDP};

class FlowTable : public PerFamily {
 protected:
  XdpHarness x{{.buckets4 = 2, .buckets6 = 2}};
  const BackendSpec spec{.address = n.server1, .port = 8080};
  const Pool pool = add_pool(x, n.vip, 80, IPPROTO_TCP, {spec});
  const std::uint32_t old_backend = x.add_backend(pool.service, {.address = n.server2, .port = 1, .listed = false});
  Segment request{.src = n.client, .dst = n.vip};

  std::uint64_t word(lvs_state state, std::uint32_t age = 0) const {
    return LVS_WORD(old_backend, pool.listener, 0, state, XdpHarness::now() - age);
  }
  void fill(const Slot& slot, lvs_state state, std::uint32_t age = 0) {
    x.put(slot, n.stranger, next_stranger_++, 80, word(state, age));
  }
  std::vector<Slot> bucket_slots() const {
    std::vector<Slot> slots = x.slots(GetParam());
    std::erase_if(slots, [](const Slot& slot) { return slot.overflow; });
    return slots;
  }
  std::vector<Slot> overflow_slots() const {
    std::vector<Slot> slots = x.slots(GetParam());
    std::erase_if(slots, [](const Slot& slot) { return !slot.overflow; });
    return slots;
  }
  bool is_new_flow(const Slot& slot) const { return slot.used() && slot.client() == n.client; }
  std::uint16_t next_stranger_ = 1;
};
XLVS_FOR_BOTH_FAMILIES(FlowTable);

// ---- time ----------------------------------------------------------------------------------------------------------

TEST_P(FlowTable, AnExpiredFlowIsNoFlow) {
  x.run(frame(request));
  XdpHarness::age(x.flow(n.client, 40000), 62);  // SYN_RECV: 60
  Segment ack = request;
  ack.flags = kAck;
  EXPECT_UNTOUCHED(x.run(frame(ack)), XDP_PASS, frame(ack));
  EXPECT_EQ(x.reason(LVS_REASON_no_flow_passed), 1U);
  EXPECT_EQ(x.drift(), "");
}

TEST_P(FlowTable, AnExpiredFlowIsScheduledAfreshByASyn) {
  x.run(frame(request));
  request.flags = kAck;
  x.run(frame(request));
  XdpHarness::age(x.flow(n.client, 40000), 902);  // ESTABLISHED: 900
  request.flags = kSyn;
  EXPECT_VERDICT(x.run(frame(request)), XDP_REDIRECT);
  EXPECT_EQ(x.flow(n.client, 40000).state(), LVS_STATE_SYN_RECV);
  EXPECT_EQ(x.counters(pool.backends[0]).flows, 2U);
  EXPECT_EQ(x.load(pool.backends[0]).active, 0U);
  EXPECT_EQ(x.load(pool.backends[0]).inactive, 1U);
  EXPECT_EQ(x.drift(), "");
}

TEST_P(FlowTable, AFlowLivesAsLongAsItsStatesTimeout) {
  request.flags = kSyn;
  x.run(frame(request));
  request.flags = kAck;
  x.run(frame(request));
  for (int i = 0; i < 3; i++) {
    XdpHarness::age(x.flow(n.client, 40000), 899);
    EXPECT_VERDICT(x.run(frame(request)), XDP_REDIRECT) << "and every packet starts it anew";
  }
  XdpHarness::age(x.flow(n.client, 40000), 899);
  const Segment reply = answer(request, spec);
  EXPECT_VERDICT(x.run(frame(reply), 2), XDP_REDIRECT);
  EXPECT_LE(static_cast<std::uint16_t>(XdpHarness::now() - x.flow(n.client, 40000).time()), 2) << "replies count too";
}

TEST_P(FlowTable, AnAgeOfExactlyTheTimeoutIsStillAlive) {
  x.run(frame(request));
  request.flags = kAck;
  x.run(frame(request));
  for (std::uint32_t tick = XdpHarness::now() - 1; tick != XdpHarness::now();) {  // again if the clock ticked meanwhile
    tick = XdpHarness::now();
    XdpHarness::age(x.flow(n.client, 40000), 900);
    const Outcome outcome = x.run(frame(request));
    if (tick == XdpHarness::now()) {
      EXPECT_VERDICT(outcome, XDP_REDIRECT);
    }
  }
}

TEST_P(FlowTable, AnExpiredFlowTakesNoReply) {
  x.run(frame(request));
  XdpHarness::age(x.flow(n.client, 40000), 62);
  const Bytes reply = frame(answer(request, spec, kSyn | kAck));
  EXPECT_UNTOUCHED(x.run(reply, 2), XDP_PASS, reply);
}

// CPUs read the clock and then the word: another CPU may have written it a tick later in between.
TEST_P(FlowTable, AFlowTouchedByACpuWhoseTickCameFirstIsNotExpired) {
  x.run(frame(request));
  request.flags = kAck;
  x.run(frame(request));
  const Slot flow = x.flow(n.client, 40000);
  XdpHarness::age(flow, static_cast<std::uint32_t>(-2));
  const std::uint64_t before = flow.load();
  EXPECT_VERDICT(x.run(frame(request)), XDP_REDIRECT);
  const Bytes reply = frame(answer(request, spec));
  XdpHarness::age(flow, static_cast<std::uint32_t>(-2));
  EXPECT_VERDICT(x.run(reply, 2), XDP_REDIRECT);
  EXPECT_EQ(flow.backend(), LVS_WORD_BACKEND(before));
  EXPECT_EQ(flow.state(), LVS_STATE_ESTABLISHED);
  EXPECT_THAT(x.reasons(), ::testing::IsEmpty());
}

TEST_P(FlowTable, NeitherIsItAVictim) {
  for (const Slot& slot : x.slots(GetParam())) fill(slot, LVS_STATE_ESTABLISHED, static_cast<std::uint32_t>(-2));
  EXPECT_UNTOUCHED(x.run(frame(request)), XDP_DROP, frame(request));
  EXPECT_EQ(x.reason(LVS_REASON_flow_table_full), 1U);
}

TEST_P(FlowTable, TimeWrapsAround) {
  x.run(frame(request));
  request.flags = kAck;
  x.run(frame(request));
  // Whatever the clock says, 65535 - n ticks of difference modulo 2^16 are the same as in the tests above; here only
  // that a word whose time is numerically larger than now's may be old: now - 800 wraps below zero for small now.
  XdpHarness::age(x.flow(n.client, 40000), 800);
  EXPECT_VERDICT(x.run(frame(request)), XDP_REDIRECT);
  XdpHarness::age(x.flow(n.client, 40000), 32767);
  EXPECT_VERDICT(x.run(frame(request)), XDP_PASS);
}

// ---- room, victims, overflow ---------------------------------------------------------------------------------------

TEST_P(FlowTable, TakesTheLastFreeSlot) {
  const std::vector<Slot> slots = bucket_slots();
  // One free slot in each bucket: whichever bucket the hash names, there is room.
  const std::size_t per_bucket = slots.size() / 2;
  for (std::size_t i = 0; i < slots.size(); i++)
    if (i % per_bucket != 1) fill(slots[i], LVS_STATE_ESTABLISHED);
  EXPECT_VERDICT(x.run(frame(request)), XDP_REDIRECT);
  EXPECT_TRUE(is_new_flow(slots[1]) || is_new_flow(slots[per_bucket + 1]));
  EXPECT_THAT(x.reasons(), ::testing::IsEmpty());
  EXPECT_EQ(x.drift(), "");
}

TEST_P(FlowTable, AFloodedTableKeepsEveryConnectionInUse) {
  const std::vector<Slot> all = x.slots(GetParam());
  for (std::size_t i = 0; i < all.size(); i++) fill(all[i], kKept[i % 2], 0);
  std::vector<std::uint64_t> before;
  for (const Slot& slot : all) before.push_back(slot.load());
  for (std::uint16_t sport = 1; sport < 200; sport++) {
    request.sport = sport;
    EXPECT_UNTOUCHED(x.run(frame(request)), XDP_DROP, frame(request));
  }
  EXPECT_EQ(x.reason(LVS_REASON_flow_table_full), 199U);
  for (std::size_t i = 0; i < all.size(); i++) EXPECT_EQ(all[i].load(), before[i]);
  EXPECT_EQ(x.counters(pool.backends[0]).flows, 0U);
  EXPECT_EQ(x.drift(), "");
}

TEST_P(FlowTable, NobodyIsRefusedWhileAConnectionIsIdleAndTheLongestIdleGoes) {
  for (const lvs_state state : kKept) {
    SCOPED_TRACE(state);
    const std::vector<Slot> buckets = bucket_slots();
    const std::size_t per_bucket = buckets.size() / 2;
    for (const Slot& slot : x.slots(GetParam())) slot.store(0);
    x.load(old_backend) = x.load(pool.backends[0]) = {};
    x.control().overflow_used4 = x.control().overflow_used6 = 0;
    for (const Slot& slot : overflow_slots()) fill(slot, state, 20);
    for (std::size_t i = 0; i < buckets.size(); i++) fill(buckets[i], state, i % per_bucket == 1 ? 100 : 50);
    request.sport++;
    const std::uint64_t counted = x.reason(LVS_REASON_flow_idle_evicted);
    EXPECT_VERDICT(x.run(frame(request)), XDP_REDIRECT);
    EXPECT_TRUE(is_new_flow(buckets[1]) || is_new_flow(buckets[per_bucket + 1]));
    EXPECT_EQ(x.reason(LVS_REASON_flow_idle_evicted) - counted, 1U);
    EXPECT_EQ(x.reason(LVS_REASON_flow_table_full), 0U);
    EXPECT_EQ(x.drift(), "");
  }
}

// A SYN flood's own flows in the overflow entry go before the connections in the buckets.
TEST_P(FlowTable, AHalfOpenFlowAnywhereGoesBeforeAFreshConnection) {
  for (const Slot& slot : bucket_slots()) fill(slot, LVS_STATE_ESTABLISHED_NEW, kYoung);
  const std::vector<Slot> overflow = overflow_slots();
  for (std::size_t i = 0; i < overflow.size(); i++)
    fill(overflow[i], i == 3 ? LVS_STATE_SYN_RECV : LVS_STATE_ESTABLISHED, kYoung);
  EXPECT_VERDICT(x.run(frame(request)), XDP_REDIRECT);
  EXPECT_TRUE(is_new_flow(overflow[3]));
  EXPECT_EQ(x.drift(), "");
}

// In a full table: one slot of every bucket is what should be taken, the rest must stay.
TEST_P(FlowTable, TakesTheVictimThatIsWantedLeast) {
  struct Flow {
    lvs_state state;
    std::uint32_t age;
  };
  struct Case {
    Flow victim;
    Flow others;
    bool counted;  // an expired flow is nobody's loss
  };
  const std::vector<std::vector<Flow>> classes{
      {{LVS_STATE_SYN_RECV, kOld},
       {LVS_STATE_UDP_SHORT, kOld},
       {LVS_STATE_UDP_BURST, kOld},
       {LVS_STATE_SYN_SENT, kOld},
       {LVS_STATE_UDP_NEW, kOld},
       {LVS_STATE_TIME_WAIT, kOld},
       {LVS_STATE_CLOSE, kOld}},
      {{LVS_STATE_TIME_WAIT, kYoung}, {LVS_STATE_CLOSE, kYoung}},
      {{LVS_STATE_SYN_RECV, kYoung}, {LVS_STATE_SYN_SENT, kYoung}, {LVS_STATE_UDP_NEW, kYoung}, {LVS_STATE_UDP_SHORT, kYoung}},
      {{LVS_STATE_ESTABLISHED_NEW, kYoung}},
      {{LVS_STATE_FIN_WAIT, kYoung}, {LVS_STATE_CLOSE_WAIT, kYoung}, {LVS_STATE_LAST_ACK, kYoung}},
      {{LVS_STATE_ESTABLISHED, kOld}, {LVS_STATE_UDP, kOld}},
  };
  std::vector<Case> cases;
  for (std::size_t i = 0; i < classes.size(); i++)
    for (std::size_t j = i + 1; j < classes.size(); j++)
      for (const Flow& victim : classes[i])
        for (const Flow& others : classes[j]) cases.push_back({victim, others, true});
  cases.push_back({{LVS_STATE_ESTABLISHED, 902}, {LVS_STATE_SYN_RECV, kOld}, false});
  cases.push_back({{LVS_STATE_UDP, 302}, {LVS_STATE_SYN_RECV, kOld}, false});
  cases.push_back({{LVS_STATE_TIME_WAIT, 122}, {LVS_STATE_CLOSE, kOld}, false});
  cases.push_back({{LVS_STATE_SYN_RECV, 20}, {LVS_STATE_SYN_RECV, kOld}, true});  // the oldest of its kind

  const std::vector<Slot> buckets = bucket_slots(), overflow = overflow_slots();
  const std::size_t per_bucket = buckets.size() / 2;
  for (const Case& c : cases) {
    SCOPED_TRACE(::testing::Message() << "state " << c.victim.state << " age " << c.victim.age << " among "
                                      << c.others.state << " age " << c.others.age);
    for (const Slot& slot : x.slots(GetParam())) slot.store(0);
    x.load(old_backend) = x.load(pool.backends[0]) = {};
    x.control().overflow_used4 = x.control().overflow_used6 = 0;
    for (const Slot& slot : overflow) fill(slot, LVS_STATE_ESTABLISHED);
    for (std::size_t i = 0; i < buckets.size(); i++) {
      const Flow& flow = i % per_bucket == 1 ? c.victim : c.others;
      fill(buckets[i], flow.state, flow.age);
    }
    const std::uint64_t evicted = x.reason(LVS_REASON_flow_evicted);
    request.sport++;
    EXPECT_VERDICT(x.run(frame(request)), XDP_REDIRECT);
    EXPECT_TRUE(is_new_flow(buckets[1]) || is_new_flow(buckets[per_bucket + 1]));
    EXPECT_EQ(x.reason(LVS_REASON_flow_evicted) - evicted, c.counted ? 1U : 0U);
    EXPECT_EQ(x.drift(), "");
  }
}

// Handshakes under way are let finish while overflow has room, and a last ACK may be sent again, but a flood of them
// may not take all of it.
TEST_P(FlowTable, TheYoungAreSparedWhileOverflowHasRoom) {
  const std::vector<Slot> buckets = bucket_slots(), overflow = overflow_slots();
  for (std::size_t i = 0; i < buckets.size(); i++)
    fill(buckets[i], i % 2 == 0 ? LVS_STATE_SYN_RECV : LVS_STATE_TIME_WAIT, kYoung);
  EXPECT_VERDICT(x.run(frame(request)), XDP_REDIRECT);
  EXPECT_TRUE(x.flow(n.client, request.sport).overflow);
  EXPECT_EQ(x.reason(LVS_REASON_flow_evicted), 0U);
  EXPECT_EQ(x.reason(LVS_REASON_flow_overflow), 1U);

  for (const Slot& slot : overflow)
    if (!slot.used() && slot.word != overflow.back().word) fill(slot, LVS_STATE_ESTABLISHED);
  request.sport++;
  EXPECT_VERDICT(x.run(frame(request)), XDP_REDIRECT);
  EXPECT_FALSE(x.flow(n.client, request.sport).overflow);
  EXPECT_EQ(x.reason(LVS_REASON_flow_evicted), 1U);
  EXPECT_EQ(x.drift(), "");
}

TEST_P(FlowTable, TheStaleAreNot) {
  for (const lvs_state state : {LVS_STATE_SYN_RECV, LVS_STATE_TIME_WAIT}) {
    SCOPED_TRACE(state);
    const std::uint64_t evicted = x.reason(LVS_REASON_flow_evicted);
    for (const Slot& slot : bucket_slots()) fill(slot, state, kOld);
    request.sport++;
    EXPECT_VERDICT(x.run(frame(request)), XDP_REDIRECT);
    EXPECT_FALSE(x.flow(n.client, request.sport).overflow);
    EXPECT_EQ(x.reason(LVS_REASON_flow_evicted), evicted + 1);
  }
}

TEST_P(FlowTable, OverflowsWhenTheBucketsHoldOnlyEstablishedFlows) {
  for (const Slot& slot : bucket_slots()) fill(slot, LVS_STATE_ESTABLISHED);
  const auto& used = GetParam() == AF_INET ? x.control().overflow_used4 : x.control().overflow_used6;
  for (unsigned i = 0; i < LVS_OVERFLOW_SLOTS4; i++) {
    request.sport = static_cast<std::uint16_t>(5000 + i);
    request.flags = kSyn;
    EXPECT_FORWARDED(x.run(frame(request)), XDP_REDIRECT, frame(towards(request, spec)));
    EXPECT_TRUE(x.flow(n.client, request.sport).overflow);
    EXPECT_EQ(used, i + 1);
    request.flags = kAck;  // found again there, and the reply too
    EXPECT_FORWARDED(x.run(frame(request)), XDP_REDIRECT, frame(towards(request, spec)));
    EXPECT_EQ(x.flow(n.client, request.sport).state(), LVS_STATE_ESTABLISHED_NEW);
    const Segment reply = answer(request, spec);
    EXPECT_FORWARDED(x.run(frame(reply), 2), XDP_REDIRECT, frame(answered(request, reply)));
    EXPECT_EQ(x.flow(n.client, request.sport).state(), LVS_STATE_ESTABLISHED);
  }
  EXPECT_EQ(x.reason(LVS_REASON_flow_overflow), LVS_OVERFLOW_SLOTS4);
  EXPECT_EQ(x.drift(), "");

  request.sport = 6000;
  request.flags = kSyn;
  EXPECT_UNTOUCHED(x.run(frame(request)), XDP_DROP, frame(request));
  EXPECT_EQ(x.reason(LVS_REASON_flow_table_full), 1U);

  // One of the overflow's flows expires under a packet; its place is free again.
  XdpHarness::age(x.flow(n.client, 5003), 902);
  request.sport = 5003;
  request.flags = kAck;
  EXPECT_VERDICT(x.run(frame(request)), XDP_PASS);
  EXPECT_EQ(used, LVS_OVERFLOW_SLOTS4 - 1U);
  EXPECT_EQ(x.drift(), "");
  request.sport = 6000;
  request.flags = kSyn;
  EXPECT_VERDICT(x.run(frame(request)), XDP_REDIRECT);
  EXPECT_EQ(used, std::uint32_t{LVS_OVERFLOW_SLOTS4});
  EXPECT_EQ(x.drift(), "");
}

TEST_P(FlowTable, AnOverflowedFlowIsAVictimLikeAnyOther) {
  for (const Slot& slot : bucket_slots()) fill(slot, LVS_STATE_ESTABLISHED);
  const std::vector<Slot> overflow = overflow_slots();
  for (std::size_t i = 0; i < overflow.size(); i++)
    fill(overflow[i], i == 7 ? LVS_STATE_TIME_WAIT : LVS_STATE_ESTABLISHED, 2);
  EXPECT_VERDICT(x.run(frame(request)), XDP_REDIRECT);
  EXPECT_TRUE(is_new_flow(overflow[7]));
  EXPECT_EQ(x.reason(LVS_REASON_flow_evicted), 1U);
  EXPECT_EQ(x.drift(), "");
}

TEST_P(FlowTable, AClaimedSlotIsLeftAlone) {
  for (const Slot& slot : x.slots(GetParam())) slot.store(LVS_WORD(0, 0, 0, LVS_STATE_CLAIMED, 0));
  EXPECT_UNTOUCHED(x.run(frame(request)), XDP_DROP, frame(request));
  for (const Slot& slot : x.slots(GetParam())) EXPECT_EQ(slot.state(), LVS_STATE_CLAIMED);
}

// A slot's key alone does not make a flow: the listener must be the packet's.
TEST_P(FlowTable, TheSameClientPortToTwoVipsIsTwoFlows) {
  const Pool other = add_pool(x, n.vip2, 80, IPPROTO_TCP, {{.address = n.server3, .port = 8080}});
  Segment second = request;
  second.dst = n.vip2;
  x.run(frame(request));
  EXPECT_FORWARDED(x.run(frame(second)), XDP_REDIRECT, frame(towards(second, {.address = n.server3, .port = 8080})));
  EXPECT_EQ(x.flow_count(n.client, 40000), 2U);
  EXPECT_EQ(x.load(pool.backends[0]).inactive, 1U);
  EXPECT_EQ(x.load(other.backends[0]).inactive, 1U);
}

TEST_P(FlowTable, ManyFlowsFindTheirOwnWay) {
  XdpHarness big({.buckets4 = 2048, .buckets6 = 2048, .overflow4 = 16, .overflow6 = 16});
  std::vector<BackendSpec> specs;
  for (unsigned i = 1; i <= 20; i++)
    specs.push_back({.address = (GetParam() == AF_INET ? "10.1.0." : "fd01::") + std::to_string(i),
                     .port = static_cast<std::uint16_t>(8000 + i)});
  add_pool(big, n.vip, 80, IPPROTO_TCP, specs);
  std::map<std::uint16_t, std::string> went;
  for (std::uint16_t sport = 1; sport <= 2000; sport++) {
    request.sport = sport;
    request.flags = kSyn;
    const auto at = parse(big.run(frame(request)).frame);
    ASSERT_TRUE(at);
    went[sport] = at->destination;
    request.flags = kAck;
    big.run(frame(request));
  }
  for (const auto& [sport, destination] : went) {
    request.sport = sport;
    const auto at = parse(big.run(frame(request)).frame);
    ASSERT_TRUE(at);
    EXPECT_EQ(at->destination, destination) << sport;
  }
  EXPECT_EQ(big.flows(GetParam()).size(), 2000U);
  EXPECT_EQ(big.drift(), "");
}

// ---- removed backends ----------------------------------------------------------------------------------------------

class RemovedBackend : public FlowTable {
 protected:
  const BackendSpec second{.address = n.server3, .port = 8080};
  void SetUp() override {
    x.run(frame(request));
    request.flags = kAck;
    x.run(frame(request));
    const std::uint32_t heir = x.add_backend(pool.service, second);
    x.set_table(pool.service, {heir});
    x.backend(pool.backends[0]).flags = 0;
  }
};
XLVS_FOR_BOTH_FAMILIES(RemovedBackend);

TEST_P(RemovedBackend, EndsItsFlowsAtTheirNextSegment) {
  EXPECT_UNTOUCHED(x.run(frame(request)), XDP_PASS, frame(request));
  EXPECT_EQ(x.reason(LVS_REASON_backend_gone), 1U);
  EXPECT_EQ(x.flow_count(n.client, 40000), 0U);
  EXPECT_EQ(x.load(pool.backends[0]).active, 0U);
  EXPECT_EQ(x.drift(), "");
  EXPECT_UNTOUCHED(x.run(frame(request)), XDP_PASS, frame(request));
  EXPECT_EQ(x.reason(LVS_REASON_no_flow_passed), 1U);
}

TEST_P(RemovedBackend, ASynGoesToAnother) {
  request.flags = kSyn;
  EXPECT_FORWARDED(x.run(frame(request)), XDP_REDIRECT, frame(towards(request, second)));
  EXPECT_EQ(x.flow_count(n.client, 40000), 1U);
  EXPECT_EQ(x.drift(), "");
}

TEST_P(RemovedBackend, AUdpFlowGoesToAnother) {
  const Pool dns = add_pool(x, n.vip, 53, IPPROTO_UDP, {spec});
  Segment query{.src = n.client, .sport = 999, .dst = n.vip, .dport = 53, .protocol = IPPROTO_UDP};
  x.run(frame(query));
  const std::uint32_t heir = x.add_backend(dns.service, second);
  x.set_table(dns.service, {heir});
  x.backend(dns.backends[0]).flags = 0;
  EXPECT_FORWARDED(x.run(frame(query)), XDP_REDIRECT, frame(towards(query, second)));
  EXPECT_EQ(x.flow(n.client, 999).backend(), heir);
  EXPECT_EQ(x.drift(), "");
}

}  // namespace
}  // namespace xlvs::test
