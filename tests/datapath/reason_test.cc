// SPDX-License-Identifier: Apache-2.0
// Every row of LVS_REASONS: one packet that is counted under it, once and under no other verdict, with the packet left
// as it was unless it went on. A row without a case here fails the test.
#include <functional>

#include "tests/datapath/fixture.h"

namespace xlvs::test {
namespace {

struct Row {
  const char* name;
  const char* verdict;
};
constexpr Row kRows[] = {
#define XLVS_ROW(name, verdict, text) {#name, #verdict},
    LVS_REASONS(XLVS_ROW)
#undef XLVS_ROW
};

class Reason : public PerFamily {
 protected:
  // A fresh data plane for each row.
  struct World {
    explicit World(const Net& n)
        : web(add_pool(x, n.vip, 80, IPPROTO_TCP, {spec(n)})),
          strict(add_pool(x, n.vip, 81, IPPROTO_TCP, {spec(n)}, LVS_PICK_CURSOR, LVS_SERVICE_DROP_NOFLOW)),
          dns(add_pool(x, n.vip, 53, IPPROTO_UDP, {spec(n)})) {}
    static BackendSpec spec(const Net& n) { return {.address = n.server1, .port = 8080}; }
    void fill(const Net& n, lvs_state state, bool overflow_too) {
      std::uint16_t port = 1;
      for (const Slot& slot : x.slots(n.family))
        if (overflow_too || !slot.overflow)
          x.put(slot, n.stranger, port++, 80, LVS_WORD(web.backends[0], web.listener, 0, state, XdpHarness::now() - 8));
    }
    XdpHarness x{{.buckets4 = 2, .buckets6 = 2}};
    Pool web, strict, dns;
  };

  using Send = std::function<Outcome(World&)>;
  Segment request{.src = n.client, .dst = n.vip};
  Packet base(const Layer& l4) const {
    return Ethernet{.dst = XdpHarness::port_mac(1), .src = kClientMac} / ip_layer(n.client, n.vip) / l4;
  }
  Packet with_options() const {
    if (GetParam() == AF_INET6) return Ethernet{} / ip_layer(n.client, n.vip) / Extension{} / Tcp{};
    Packet packet = base(Tcp{});
    packet.at<IPv4>().options = Bytes(8, 1);
    return packet;
  }
  Packet fragment() const {
    if (GetParam() == AF_INET6)
      return Ethernet{} / ip_layer(n.client, n.vip) / Extension{.number = 44, .body = {0, 0, 1, 0, 0, 0, 7}} / Udp{};
    Packet packet = base(Udp{});
    packet.at<IPv4>().fragment = 0x2000;
    return packet;
  }

  Bytes sent_;  // by the last send()
  Outcome send(World& w, const Bytes& bytes, unsigned port = 1) {
    sent_ = bytes;
    return w.x.run(bytes, port);
  }
  std::map<std::string, Send> cases() {
    return {
        {"malformed", [this](World& w) { return send(w, base(Tcp{.data_offset = 4}).build()); }},
        {"fragment", [this](World& w) { return send(w, fragment().build()); }},
        {"ip_options", [this](World& w) { return send(w, with_options().build()); }},
        {"no_backend",
         [this](World& w) {
           w.x.set_table(w.web.service, {});
           return send(w, frame(request));
         }},
        {"no_flow_passed", [this](World& w) { return send(w, base(Tcp{.flags = kAck}).build()); }},
        {"no_flow_dropped", [this](World& w) { return send(w, base(Tcp{.dport = 81, .flags = kAck}).build()); }},
        {"backend_gone",
         [this](World& w) {
           w.x.run(frame(request));
           w.x.backend(w.web.backends[0]).flags = 0;
           return send(w, base(Tcp{.flags = kAck}).build());
         }},
        {"flow_reset",
         [this](World& w) {
           w.x.run(frame(request));
           w.x.backend(w.web.backends[0]).flags = LVS_BACKEND_VALID | LVS_BACKEND_DOWN | LVS_BACKEND_RESET;
           return send(w, base(Tcp{.flags = kAck}).build());
         }},
        {"flow_muted",
         [this](World& w) {
           w.x.run(frame(request));
           w.x.backend(w.web.backends[0]).flags = LVS_BACKEND_VALID | LVS_BACKEND_DOWN | LVS_BACKEND_DROP;
           return send(w, base(Tcp{.flags = kAck}).build());
         }},
        {"no_next_hop",
         [this](World& w) {
           w.x.backend(w.web.backends[0]).hop = 0;
           return send(w, frame(request));
         }},
        {"ttl_expired",
         [this](World& w) {
           request.ttl = 1;
           return send(w, frame(request));
         }},
        {"too_big",
         [this](World& w) {
           w.x.control().port[2].mtu = 1400;
           request.payload = Bytes(1400, 0);
           return send(w, frame(request));
         }},
        {"flow_table_full",
         [this](World& w) {
           w.fill(n, LVS_STATE_ESTABLISHED, true);
           return send(w, frame(request));
         }},
        {"flow_evicted",
         [this](World& w) {
           w.fill(n, LVS_STATE_SYN_RECV, false);
           return send(w, frame(request));
         }},
        {"flow_overflow",
         [this](World& w) {
           w.fill(n, LVS_STATE_ESTABLISHED, false);
           return send(w, frame(request));
         }},
        {"fenced",
         [this](World& w) {
           w.x.fence_address(n.vip);
           return send(w, solicitation(n.client, n.vip).build());
         }},
        {"other_host",
         [this](World& w) {
           request.dst_mac = kServerMac;
           return send(w, frame(request));
         }},
        {"hop_by_fib",
         [this](World& w) {
           if (GetParam() == AF_INET)
             ip_batch(
                 "address replace 10.99.0.1/24 dev lvs3\nroute replace 192.0.2.0/24 via 10.99.0.9\n"
                 "neighbor replace 10.99.0.9 lladdr 02:00:00:00:0f:01 dev lvs3 nud permanent\n");
           else
             ip_batch(
                 "address replace fd99::1/64 dev lvs3 nodad\nroute replace 2001:db8:c::/48 via fd99::9\n"
                 "neighbor replace fd99::9 lladdr 02:00:00:00:0f:01 dev lvs3 nud permanent\n");
           w.x.run(frame(request), 0);  // through an interface that is none of ours: no gateway to learn
           return send(w, frame(answer(request, World::spec(n))), 2);
         }},
    };
  }
};
XLVS_FOR_BOTH_FAMILIES(Reason);

TEST_P(Reason, EachIsCountedOnceAndDoesWhatItsRowSays) {
  auto all = cases();
  for (const Row& row : kRows) {
    SCOPED_TRACE(row.name);
    ASSERT_TRUE(all.contains(row.name)) << "no case for this reason";
    request = {.src = n.client, .dst = n.vip};
    World world(n);
    const Outcome outcome = all.at(row.name)(world);
    EXPECT_THAT(world.x.reasons(), ::testing::ElementsAre(::testing::Pair(row.name, 1)));
    const std::string verdict = row.verdict;
    if (verdict == "COUNT") {
      EXPECT_VERDICT(outcome, XDP_REDIRECT);
      continue;
    }
    if (verdict == "RESET") {  // its bytes: reset_test.cc
      EXPECT_VERDICT(outcome, XDP_TX);
      EXPECT_EQ(world.x.drift(), "");
      continue;
    }
    EXPECT_EQ(verdict_name(outcome.verdict), "XDP_" + verdict);
    EXPECT_EQ(difference(outcome.frame, sent_), "");
    EXPECT_EQ(world.x.drift(), "");
  }
}

// The counter of flows is what was created, whether or not the first packet could be sent.
TEST_P(Reason, FlowsAreCountedWhenTheyAreCreated) {
  World w(n);
  const std::uint64_t hop = w.x.backend(w.web.backends[0]).hop;
  w.x.backend(w.web.backends[0]).hop = 0;
  EXPECT_VERDICT(w.x.run(frame(request)), XDP_DROP);
  w.x.backend(w.web.backends[0]).hop = hop;
  EXPECT_VERDICT(w.x.run(frame(request)), XDP_REDIRECT);
  EXPECT_EQ(w.x.counters(w.web.backends[0]).flows, 1U);
  EXPECT_EQ(w.x.flows(GetParam()).size(), 1U);
}

}  // namespace
}  // namespace xlvs::test
