// SPDX-License-Identifier: Apache-2.0
// Flows, written here as the XDP program would: sweeping, counting, listing.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <atomic>
#include <thread>

#include "tests/datapath/dataplane_fixture.h"

namespace xlvs::dataplane {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr const char* kVip = "198.51.100.10:80/tcp";
constexpr const char* kUdp = "198.51.100.10:53/udp";

class Flows : public DataplaneTest {
 protected:
  void SetUp() override {
    DataplaneTest::SetUp();
    open();
    apply(desired({web(), dns()}));
    one = backend_id("web", "10.0.0.11:80");
    two = backend_id("web", "10.0.0.12:80");
  }
  static DesiredService web() { return service("web", {kVip}, {backend("10.0.0.11:80"), backend("10.0.0.12:80")}); }
  static DesiredService dns() { return service("dns", {kUdp}, {backend("10.0.0.13:53")}); }

  [[nodiscard]] std::uint64_t word(std::size_t bucket, unsigned slot) const {
    return maps().buckets4[bucket].slot[slot].word;
  }
  void put_overflow6(unsigned slot, std::uint32_t backend, std::uint32_t listener, std::uint32_t state,
                     std::uint32_t age) const {
    lvs_slot6& target = maps().overflow6[0].slot[slot];
    const lvs_key6 client = key6(address("2001:db8:c::1"), 0, 0);
    std::memcpy(target.addr, client.addr, sizeof(target.addr));
    target.ports = htons(40000) | static_cast<__u64>(htons(80)) << 16;
    target.word = LVS_WORD(backend, listener, 0, state, tick_now() - age);
    count_flow(backend, state, 1);
    maps().control().overflow_used6 += 1;
  }
  void count_packets(std::uint32_t backend, std::uint64_t flows, std::uint64_t packets) const {
    const Fd counters(bpf_obj_get((root() + "/v1/counters").c_str()));
    std::vector<lvs_counters> cpus(static_cast<std::size_t>(libbpf_num_possible_cpus()));
    ASSERT_EQ(bpf_map_lookup_elem(counters.get(), &backend, cpus.data()), 0);
    cpus.front().flows += flows;
    cpus.back().in_packets += packets;
    ASSERT_EQ(bpf_map_update_elem(counters.get(), &backend, cpus.data(), BPF_ANY), 0);
  }
  [[nodiscard]] std::uint64_t packets(const std::string& name) const {
    for (const ServiceStats& found : dp->stats().services)
      if (found.name == name) return found.traffic.in_packets;
    return 0;
  }

  std::uint32_t one = 0, two = 0;
};

TEST_F(Flows, SweepEndsExactlyWhatIsIdle) {
  const std::uint32_t timeout = maps().control().timeout[LVS_STATE_ESTABLISHED];
  put_flow4(0, 0, "203.0.113.1:1000", kVip, one, LVS_STATE_ESTABLISHED, timeout + 1);
  put_flow4(0, 1, "203.0.113.1:1001", kVip, one, LVS_STATE_ESTABLISHED, timeout - 1);
  put_flow4(0, 3, "203.0.113.1:1002", kVip, one, LVS_STATE_SYN_RECV, timeout - 1);  // its own timeout is shorter
  put_flow4(255, 3, "203.0.113.1:1003", kVip, two, LVS_STATE_TIME_WAIT, 0);
  sweep();
  EXPECT_EQ(word(0, 0), 0U);
  EXPECT_NE(word(0, 1), 0U);
  EXPECT_EQ(word(0, 3), 0U);
  EXPECT_NE(word(255, 3), 0U);
  const Stats stats = dp->stats();
  EXPECT_EQ(stats.flows_expired, 2U);
  EXPECT_EQ(stats.flows_ipv4.used, 2U);
  EXPECT_EQ(stats.flows_ipv4.capacity, 1024U);
  EXPECT_EQ(maps().loads[one].active, 1U);
  EXPECT_EQ(maps().loads[one].inactive, 0U);
  EXPECT_EQ(maps().loads[two].inactive, 1U);
}

TEST_F(Flows, OverflowSlotsAreSweptAndCounted) {
  DesiredService six = service("six", {"[2001:db8::10]:80/tcp"}, {backend("[2001:db8:1::1]:80")});
  apply(desired({web(), dns(), six}));
  const std::uint32_t backend = backend_id("six", "[2001:db8:1::1]:80");
  const std::uint32_t listener = listener_id("[2001:db8::10]:80/tcp");
  put_overflow6(0, backend, listener, LVS_STATE_ESTABLISHED, 0);
  put_overflow6(15, backend, listener, LVS_STATE_CLOSE, 1000);
  EXPECT_THAT(dp->flows({}, 10, nullptr), SizeIs(1)) << "the idle one is gone already, for those who look";
  sweep();
  EXPECT_EQ(maps().control().overflow_used6, 1U);
  EXPECT_EQ(dp->stats().flows_ipv6.overflow_used, 1U);
  const auto flows = dp->flows({}, 10, nullptr);
  ASSERT_THAT(flows, SizeIs(1));
  EXPECT_EQ(flows[0].client, endpoint("[2001:db8:c::1]:40000"));
  EXPECT_EQ(flows[0].destination, endpoint("[2001:db8::10]:80"));
  EXPECT_EQ(flows[0].backend, endpoint("[2001:db8:1::1]:80"));
}

TEST_F(Flows, StepsAreSmallAndAddUpToOneSweep) {
  const std::size_t buckets = dp->bucket_count();
  ASSERT_EQ(buckets, 1024U / 4 + 1024U / 2 + 1024U / 16 / 16 + 1024U / 8 / 16);
  std::size_t steps = 1;
  while (!dp->sweep_step(100)) ++steps;
  EXPECT_EQ(steps, (buckets + 99) / 100);
  EXPECT_EQ(dp->stats().sweeps, 1U);
}

TEST_F(Flows, ASweepNamesTheFlowsWhoseClientsAreToBeReset) {
  DesiredService resets = web();
  resets.flows_on_failure = FlowsOnFailure::reset;
  resets.backends[0].up = false;
  resets.backends[0].failed = true;
  apply(desired({resets, dns()}));
  put_flow4(0, 0, "203.0.113.1:1000", kVip, one, LVS_STATE_ESTABLISHED);
  put_flow4(0, 1, "203.0.113.1:1001", kVip, one, LVS_STATE_TIME_WAIT);  // over, for the client too
  put_flow4(0, 2, "203.0.113.1:1002", kVip, two, LVS_STATE_ESTABLISHED);
  sweep();
  EXPECT_THAT(dp->lost_flows(),
              ::testing::ElementsAre(LostFlow{endpoint("203.0.113.1:1000"), endpoint("198.51.100.10:80")}));
  resets.backends[0].up = true;
  resets.backends[0].failed = false;
  apply(desired({resets, dns()}));
  sweep();
  EXPECT_THAT(dp->lost_flows(), IsEmpty());
  EXPECT_NE(word(0, 0), 0U) << "nothing is ended by that";
}

TEST_F(Flows, LostFlowsAreThoseOfTheLastStep) {
  DesiredService resets = web();
  resets.flows_on_failure = FlowsOnFailure::reset;
  apply(desired({resets, dns()}));
  for (unsigned i = 0; i < 1024; ++i)
    put_flow4(i / 4, i % 4, "203.0.113.1:" + std::to_string(1000 + i), kVip, one, LVS_STATE_ESTABLISHED);
  resets.backends[0].up = false;
  resets.backends[0].failed = true;
  apply(desired({resets, dns()}));
  dp->sweep_step(64);
  EXPECT_THAT(dp->lost_flows(), SizeIs(256)) << "of this step only";
}

TEST_F(Flows, ARemovedBackendsFlowsEndAndItsIdIsFreeOnlyThen) {
  put_flow4(1, 0, "203.0.113.1:1000", kVip, one, LVS_STATE_ESTABLISHED);
  ASSERT_FALSE(dp->sweep_step(dp->bucket_count() - 1)) << "a sweep is under way when the backend goes";
  DesiredService less = web();
  less.backends.erase(less.backends.begin());
  apply(desired({less, dns()}));
  ASSERT_TRUE(dp->sweep_step(1));
  EXPECT_THAT(dp->registry().resting_backends(), SizeIs(1)) << "that sweep may have passed the flow's bucket before";
  EXPECT_NE(word(1, 0), 0U);
  sweep();
  EXPECT_EQ(word(1, 0), 0U);
  EXPECT_THAT(dp->registry().resting_backends(), IsEmpty());
  EXPECT_EQ(maps().loads[one].active, 0U);
}

TEST_F(Flows, ARemovedListenersFlowsEnd) {
  DesiredService two_doors = web();
  two_doors.listeners.push_back(listener("198.51.100.10:81/tcp"));
  apply(desired({two_doors, dns()}));
  put_flow4(1, 0, "203.0.113.1:1000", "198.51.100.10:81/tcp", one, LVS_STATE_ESTABLISHED);
  put_flow4(1, 1, "203.0.113.1:1000", kVip, one, LVS_STATE_ESTABLISHED);
  apply(desired({web(), dns()}));
  sweep();
  EXPECT_EQ(word(1, 0), 0U);
  EXPECT_NE(word(1, 1), 0U);
}

TEST_F(Flows, AClaimedSlotIsLeftAloneForTwoSweeps) {
  const __u64 claimed = LVS_WORD(0, 0, 0, LVS_STATE_CLAIMED, 0);
  maps().buckets4[3].slot[1].word = claimed;
  sweep(2);
  EXPECT_EQ(word(3, 1), claimed);
  sweep();
  EXPECT_EQ(word(3, 1), 0U);
}

TEST_F(Flows, AGatewayIsFreedAfterTwoUnusedSweeps) {
  const __u64 hop = encode_hop(MacAddress{{2, 0, 0, 0, 0, 1}}, 1);
  maps().control().gateway[5] = hop;
  maps().control().gateway[6] = hop + 1;
  put_flow4(2, 0, "203.0.113.1:1000", kVip, one, LVS_STATE_ESTABLISHED, 0, /*gateway=*/5);
  sweep(2);
  EXPECT_EQ(maps().control().gateway[6], hop + 1) << "it may have been learned in the middle of the first";
  sweep();
  EXPECT_EQ(maps().control().gateway[6], 0U);
  sweep(3);
  EXPECT_EQ(maps().control().gateway[5], hop) << "in use";
}

// ---- drift -----------------------------------------------------------------------------------------------------

TEST_F(Flows, DriftIsReportedOnlyWhenItStands) {
  put_flow4(2, 0, "203.0.113.1:1000", kVip, one, LVS_STATE_ESTABLISHED);
  count_flow(one, LVS_STATE_ESTABLISHED, 2);  // two flows that never were
  sweep(2);
  EXPECT_EQ(dp->stats().count_drift, 0U);
  sweep();
  EXPECT_EQ(dp->stats().count_drift, 2U);
  sweep();
  EXPECT_EQ(dp->stats().count_drift, 2U);
  count_flow(one, LVS_STATE_ESTABLISHED, static_cast<std::uint32_t>(-2));
  sweep(3);
  EXPECT_EQ(dp->stats().count_drift, 0U);
}

TEST_F(Flows, MovementIsNotDrift) {
  for (int i = 0; i < 10; ++i) {
    // Seen from the scan, a flow is always missing: it is counted before its bucket is written, and the next is too.
    count_flow(one, LVS_STATE_ESTABLISHED, 1);
    count_packets(one, 1, 1);
    sweep();
    EXPECT_EQ(dp->stats().count_drift, 0U);
    count_flow(one, LVS_STATE_ESTABLISHED, static_cast<std::uint32_t>(-1));
  }
}

// ---- counters --------------------------------------------------------------------------------------------------

TEST_F(Flows, CountersAreSumsOverCpus) {
  count_packets(one, 2, 10);
  count_packets(two, 1, 5);
  const Stats stats = dp->stats();
  const ServiceStats& found = stats.services[0].name == "web" ? stats.services[0] : stats.services[1];
  EXPECT_EQ(found.traffic.in_packets, 15U);
  EXPECT_EQ(found.traffic.flows, 3U);
  EXPECT_EQ(found.backends[0].traffic.in_packets, 10U);
}

TEST_F(Flows, ServiceTotalsNeverGoBack) {
  count_packets(one, 2, 10);
  count_packets(two, 1, 5);
  DesiredService less = web();
  less.backends.erase(less.backends.begin());
  apply(desired({less, dns()}));
  EXPECT_EQ(packets("web"), 15U) << "removed, resting";
  sweep();
  EXPECT_EQ(packets("web"), 15U) << "retired";
  open();
  EXPECT_EQ(packets("web"), 15U) << "restarted";
  apply(desired({web(), dns()}));
  EXPECT_EQ(backend_id("web", "10.0.0.11:80"), one) << "the id is used again";
  EXPECT_EQ(packets("web"), 15U) << "and starts from nothing";
  open();
  EXPECT_EQ(packets("web"), 15U);
}

TEST_F(Flows, ARestingBackendsCountersSurviveARestart) {
  count_packets(one, 2, 10);
  DesiredService less = web();
  less.backends.erase(less.backends.begin());
  apply(desired({less, dns()}));
  open();
  EXPECT_EQ(packets("web"), 10U);
  sweep();
  EXPECT_EQ(packets("web"), 10U);
}

TEST_F(Flows, AServiceThatReusesAnIdInheritsNothing) {
  count_packets(one, 2, 10);
  DesiredService less = web();
  less.backends.erase(less.backends.begin());
  apply(desired({less, dns()}));
  sweep();
  const std::uint32_t id = service_id("web");
  apply(desired({dns()}));
  apply(desired({dns(), service("new", {kVip}, {backend("10.0.0.21:80")})}));
  ASSERT_EQ(service_id("new"), id);
  EXPECT_EQ(packets("new"), 0U);
  sweep(2);
  EXPECT_EQ(packets("new"), 0U) << "not even when the old one's backends retire";
}

TEST_F(Flows, ReasonsHaveTheNamesOfTheAbi) {
  const Stats stats = dp->stats();
  ASSERT_THAT(stats.reasons, SizeIs(LVS_REASON_MAX));
  EXPECT_EQ(stats.reasons[LVS_REASON_no_backend].name, "no_backend");
  EXPECT_EQ(stats.reasons[LVS_REASON_no_backend].verdict, "drop");
  EXPECT_EQ(stats.reasons[LVS_REASON_flow_evicted].verdict, "count");
}

// ---- listing ---------------------------------------------------------------------------------------------------

TEST_F(Flows, AreListedWithNamesAndFiltered) {
  put_flow4(0, 0, "203.0.113.1:1000", kVip, one, LVS_STATE_ESTABLISHED, 39);
  put_flow4(0, 1, "203.0.113.1:1001", kVip, two, LVS_STATE_SYN_RECV);
  put_flow4(9, 2, "203.0.113.2:1000", kUdp, backend_id("dns", "10.0.0.13:53"), LVS_STATE_UDP_NEW);

  const auto all = dp->flows({}, 10, nullptr);
  ASSERT_THAT(all, SizeIs(3));
  EXPECT_EQ(all[0].client, endpoint("203.0.113.1:1000"));
  EXPECT_EQ(all[0].destination, endpoint("198.51.100.10:80"));
  EXPECT_EQ(all[0].protocol, Protocol::tcp);
  EXPECT_EQ(all[0].service, "web");
  EXPECT_EQ(all[0].backend, endpoint("10.0.0.11:80"));
  EXPECT_EQ(all[0].state, "ESTABLISHED");
  EXPECT_NEAR(static_cast<double>(all[0].expires_in.count()), 900 - 39 * 1.0737, 2.2) << "to a tick or two";
  EXPECT_EQ(all[2].state, "UDP");

  const auto count = [&](const FlowFilter& filter) {
    std::uint64_t total = 0;
    (void)dp->flows(filter, 0, &total);
    return total;
  };
  EXPECT_EQ(count({}), 3U);
  EXPECT_EQ(count({.service = "web"}), 2U);
  EXPECT_EQ(count({.service = "nobody"}), 0U);
  EXPECT_EQ(count({.backend = endpoint("10.0.0.12:80")}), 1U);
  EXPECT_EQ(count({.backend = Endpoint{address("10.0.0.12"), 0}}), 1U);
  EXPECT_EQ(count({.backend = endpoint("10.0.0.12:81")}), 0U);
  EXPECT_EQ(count({.client = endpoint("203.0.113.1:1001")}), 1U);
  EXPECT_EQ(count({.client = Endpoint{address("203.0.113.1"), 0}}), 2U);
  EXPECT_EQ(count({.state = "UDP"}), 1U);
  EXPECT_EQ(count({.protocol = Protocol::udp}), 1U);
  EXPECT_EQ(count({.service = "web", .state = "ESTABLISHED"}), 1U);
}

TEST_F(Flows, AreLimitedButCountedInFull) {
  for (unsigned i = 0; i < 20; ++i)
    put_flow4(i, 0, fmt::format("203.0.113.1:{}", 1000 + i), kVip, one, LVS_STATE_ESTABLISHED);
  std::uint64_t total = 0;
  EXPECT_THAT(dp->flows({}, 5, &total), SizeIs(5));
  EXPECT_EQ(total, 20U);
}

// ---- beside packets --------------------------------------------------------------------------------------------

// A thread does to slots what the XDP program does (claim, key, word, count; refresh; end) while we sweep and list.
// Whatever the interleaving, counts stay exact and no flow is shown with another's key.
TEST_F(Flows, SweepingBesideWritersKeepsCountsExact) {
  constexpr unsigned kBuckets = 8;
  std::atomic<std::uint64_t> turns{0};
  std::atomic<std::uint64_t> created{0};
  const std::uint32_t listener = listener_id(kVip);
  std::jthread writer([&](const std::stop_token& stop) {
    std::uint32_t seed = 1;
    for (; !stop.stop_requested(); ++turns) {
      seed = seed * 1664525 + 1013904223;
      lvs_slot4& slot = maps().buckets4[seed >> 16 & (kBuckets - 1)].slot[seed >> 24 & 3];
      const __u64 word = load_word(slot.word);
      if (word == 0) {
        if (!cas_word(slot.word, __u64{0}, __u64{LVS_WORD(0, 0, 0, LVS_STATE_CLAIMED, 0)})) continue;
        // Backend and client port go together, so that a torn read shows.
        const std::uint32_t backend = (seed & 0x1000) != 0 ? one : two;
        const std::uint16_t port = backend == one ? 1111 : 2222;
        std::atomic_ref<__u64>(slot.key).store(LVS_SLOT4_KEY(seed, htons(port), htons(80)));
        std::atomic_ref<__u32>(maps().loads[backend].active).fetch_add(1);
        // Half of them are idle from the start: the sweeper's.
        const std::uint32_t age = (seed & 0x2000) != 0 ? 30000 : 0;
        std::atomic_ref<__u64>(slot.word).store(
            LVS_WORD(backend, listener, 0, LVS_STATE_ESTABLISHED, tick_now() - age));
        ++created;
      } else if ((seed & 0x4000) != 0 && cas_word(slot.word, word, __u64{0})) {
        std::atomic_ref<__u32>(maps().loads[LVS_WORD_BACKEND(word)].active).fetch_sub(1);
      }
    }
  });
  unsigned listed = 0;
  std::uint64_t seen = 0;
  for (int i = 0; i < 300 || created < 2000; ++i) {
    // Unlike a packet's program a thread can be preempted with a slot claimed. It must not look forgotten to us.
    while (turns == seen) std::this_thread::yield();
    seen = turns;
    sweep();
    for (const Flow& flow : dp->flows({}, 100, nullptr)) {
      ++listed;
      ASSERT_EQ(flow.client.port, flow.backend == endpoint("10.0.0.11:80") ? 1111 : 2222);
    }
  }
  writer.request_stop();
  writer.join();
  sweep();
  EXPECT_GT(created, 1000U);
  EXPECT_GT(listed, 0U);
  EXPECT_GT(dp->stats().flows_expired, 0U);
  std::uint64_t alive = 0;
  (void)dp->flows({}, 0, &alive);
  EXPECT_EQ(maps().loads[one].active + maps().loads[two].active, alive);
  sweep(3);
  EXPECT_EQ(dp->stats().count_drift, 0U);
}

}  // namespace
}  // namespace xlvs::dataplane
