// SPDX-License-Identifier: Apache-2.0
// The TCP state machine against IPVS' tables (documented facts of net/netfilter/ipvs/ip_vs_proto_tcp.c): every state,
// every kind of segment, both directions for nat, the client's alone for dr; and active/inactive after every step.
#include "tests/datapath/fixture.h"

namespace xlvs::test {
namespace {

constexpr lvs_state SR = LVS_STATE_SYN_RECV, SS = LVS_STATE_SYN_SENT, ES = LVS_STATE_ESTABLISHED,
                    FW = LVS_STATE_FIN_WAIT, TW = LVS_STATE_TIME_WAIT, CL = LVS_STATE_CLOSE, CW = LVS_STATE_CLOSE_WAIT,
                    LA = LVS_STATE_LAST_ACK;
constexpr lvs_state kColumns[] = {ES, SS, SR, FW, TW, CL, CW, LA};

struct Row {
  const char* name;
  std::uint8_t flags;
  lvs_state next[8];  // in the order of kColumns
};

// Where IPVS' conn_reuse_mode schedules a SYN afresh the new flow is in SYN_RECV, which is what these tables say
// anyway.
constexpr Row kFromClient[] = {{"SYN", kSyn, {ES, ES, SR, SR, SR, SR, SR, SR}},
                               {"FIN", kFin | kAck, {CW, SS, TW, TW, TW, CL, CW, LA}},
                               {"ACK", kAck, {ES, SS, ES, FW, TW, CL, CW, CL}},
                               {"RST", kRst, {CL, CL, SR, CL, CL, CL, CL, LA}}};
constexpr Row kFromServer[] = {{"SYN ACK", kSyn | kAck, {ES, SS, SR, SS, SS, SS, SS, SS}},
                               {"FIN", kFin | kAck, {FW, SS, TW, FW, TW, CL, TW, LA}},
                               {"ACK", kAck, {ES, SS, ES, FW, TW, CL, CW, LA}},
                               {"RST", kRst | kAck, {CL, SS, CL, CL, TW, CL, CL, CL}}};
constexpr Row kClientOnly[] = {{"SYN", kSyn, {ES, ES, SR, SR, SR, SR, SR, SR}},
                               {"FIN", kFin | kAck, {FW, SS, TW, FW, TW, CL, CW, LA}},
                               {"ACK", kAck, {ES, SS, ES, FW, TW, CL, CW, CL}},
                               {"RST", kRst, {CL, CL, SR, CL, CL, CL, CL, LA}}};

class TcpState : public PerFamily {
 protected:
  XdpHarness x{{.buckets4 = 1024, .buckets6 = 1024}};
  const BackendSpec nat{.address = n.server1, .port = 8080};
  const BackendSpec dr{.address = n.server2, .port = 80, .method = LVS_METHOD_DR};
  const Pool nat_pool = add_pool(x, n.vip, 80, IPPROTO_TCP, {nat});
  const Pool dr_pool = add_pool(x, n.vip2, 80, IPPROTO_TCP, {dr});
  std::uint16_t next_port = 1024;

  // A fresh flow, put into this state with its counts.
  Segment flow_in(lvs_state state, const std::string& vip, std::uint32_t backend) {
    const Segment request{.src = n.client, .sport = next_port++, .dst = vip};
    x.run(frame(request));
    const Slot slot = x.flow(n.client, request.sport);
    slot.store((slot.load() & ~(std::uint64_t{0xf} << 16)) | static_cast<std::uint64_t>(state) << 16);
    if (state == ES) {
      x.load(backend).inactive--;
      x.load(backend).active++;
    }
    return request;
  }

  template <typename Send>
  void walk(const Row (&table)[4], const std::string& vip, std::uint32_t backend, Send send) {
    for (const Row& row : table)
      for (unsigned column = 0; column < 8; column++) {
        const Segment request = flow_in(kColumns[column], vip, backend);
        send(request, row.flags);
        const Slot after = x.flow(n.client, request.sport);
        EXPECT_EQ(after.state(), row.next[column]) << row.name << " in state " << kColumns[column];
        EXPECT_EQ(after.backend(), backend);
        EXPECT_EQ(x.drift(), "") << row.name << " in state " << kColumns[column];
        XdpHarness::age(after, 5);
        send(request, kAck);
        EXPECT_LE(static_cast<std::uint16_t>(XdpHarness::now() - x.flow(n.client, request.sport).time()), 2);
      }
  }
};
XLVS_FOR_BOTH_FAMILIES(TcpState);

TEST_P(TcpState, FollowsTheClientsSegmentsForNat) {
  walk(kFromClient, n.vip, nat_pool.backends[0], [&](Segment request, std::uint8_t flags) {
    request.flags = flags;
    EXPECT_VERDICT(x.run(frame(request)), XDP_REDIRECT);
  });
}

TEST_P(TcpState, FollowsTheServersSegmentsForNat) {
  walk(kFromServer, n.vip, nat_pool.backends[0], [&](const Segment& request, std::uint8_t flags) {
    EXPECT_VERDICT(x.run(frame(answer(request, nat, flags)), 2), XDP_REDIRECT);
  });
}

TEST_P(TcpState, FollowsTheClientAloneForDirectRouting) {
  walk(kClientOnly, n.vip2, dr_pool.backends[0], [&](Segment request, std::uint8_t flags) {
    request.flags = flags;
    EXPECT_VERDICT(x.run(frame(request)), XDP_REDIRECT);
  });
}

TEST_P(TcpState, TakesTheStrongestFlag) {  // RST, SYN, FIN, ACK
  const auto after = [&](lvs_state state, std::uint8_t flags) {
    Segment request = flow_in(state, n.vip, nat_pool.backends[0]);
    request.flags = flags;
    x.run(frame(request));
    return x.flow(n.client, request.sport).state();
  };
  EXPECT_EQ(after(ES, kRst | kSyn | kFin | kAck), CL);
  EXPECT_EQ(after(ES, kSyn | kFin | kAck), ES);
  EXPECT_EQ(after(ES, kFin | kAck | kPsh | kUrg), CW);
  EXPECT_EQ(after(ES, kAck | kPsh | kUrg), ES);
  EXPECT_EQ(after(SR, kAck | kPsh), ES);
  EXPECT_EQ(after(ES, 0x40 | 0x80 | kAck), ES) << "ECE and CWR mean nothing here";
}

// Whole connections, as they happen, with the counts that an operator would see.
struct Step {
  bool from_server;
  std::uint8_t flags;
  lvs_state state;
};
TEST_P(TcpState, WalksThroughWholeNatConnections) {
  const std::vector<std::vector<Step>> connections = {
      {{false, kSyn, SR},
       {true, kSyn | kAck, SR},
       {false, kAck, ES},
       {true, kAck, ES},  // the client closes
       {false, kFin | kAck, CW},
       {true, kAck, CW},
       {true, kFin | kAck, TW},
       {false, kAck, TW}},
      {{false, kSyn, SR},
       {true, kSyn | kAck, SR},
       {false, kAck, ES},  // the server closes
       {true, kFin | kAck, FW},
       {false, kAck, FW},
       {false, kFin | kAck, TW},
       {true, kAck, TW}},
      {{false, kSyn, SR}, {false, kSyn, SR}, {true, kRst | kAck, CL}},                      // refused
      {{false, kSyn, SR}, {true, kSyn | kAck, SR}, {false, kAck, ES}, {false, kRst, CL}}};  // reset
  for (const auto& steps : connections) {
    const Segment request{.src = n.client, .sport = next_port++, .dst = n.vip};
    const Counts before{x.load(nat_pool.backends[0]).active, x.load(nat_pool.backends[0]).inactive};
    for (const Step& step : steps) {
      Segment from_client = request;
      from_client.flags = step.flags;
      const Outcome outcome =
          step.from_server ? x.run(frame(answer(request, nat, step.flags)), 2) : x.run(frame(from_client));
      EXPECT_VERDICT(outcome, XDP_REDIRECT);
      EXPECT_EQ(x.flow(n.client, request.sport).state(), step.state);
      const lvs_load& load = x.load(nat_pool.backends[0]);
      EXPECT_EQ(load.active - before.active, step.state == ES ? 1U : 0U);
      EXPECT_EQ(load.inactive - before.inactive, step.state == ES ? 0U : 1U);
    }
  }
  EXPECT_EQ(x.drift(), "");
}

// ---- a SYN for a flow that exists ----------------------------------------------------------------------------------

class SynReuse : public PerFamily {
 protected:
  XdpHarness x{{.services = 64}};
  const OnCpu pinned{0};

  // Whether a SYN in this state goes to another backend than the flow had: two backends, strictly in turn.
  bool rescheduled(lvs_method method, lvs_state state, std::uint8_t flags = kSyn) {
    const std::uint16_t port = static_cast<std::uint16_t>(method == LVS_METHOD_NAT ? 8080 : next_vip_port);
    const Pool pool = add_pool(x, n.vip, next_vip_port, IPPROTO_TCP,
                               {{.address = n.server1, .port = port, .method = method},
                                {.address = n.server2, .port = port, .method = method}});
    Segment request{.src = n.client, .dst = n.vip, .dport = next_vip_port++};
    x.run(frame(request));
    Slot slot;
    for (const Slot& each : x.flows(GetParam()))
      if (each.destination_port() == request.dport) slot = each;
    const std::uint32_t before = slot.backend();
    slot.store((slot.load() & ~(std::uint64_t{0xf} << 16)) | static_cast<std::uint64_t>(state) << 16);
    if (state == ES) {
      x.load(before).inactive--;
      x.load(before).active++;
    }
    request.flags = flags;
    x.run(frame(request));
    std::uint32_t after = 0, found = 0;
    for (const Slot& each : x.flows(GetParam()))
      if (each.destination_port() == request.dport) {
        after = each.backend();
        found++;
      }
    EXPECT_EQ(found, 1U);
    EXPECT_EQ(x.drift(), "");
    EXPECT_EQ(x.counters(pool.backends[0]).flows + x.counters(pool.backends[1]).flows, after == before ? 1U : 2U);
    return after != before;
  }
  std::uint16_t next_vip_port = 100;
};
XLVS_FOR_BOTH_FAMILIES(SynReuse);

TEST_P(SynReuse, SchedulesAfreshOnlyWhereTheConnectionIsOver) {
  for (const lvs_method method : {LVS_METHOD_NAT, LVS_METHOD_DR})
    for (const lvs_state state : kColumns) {
      const bool over = state == TW || state == CL || (state == FW && method == LVS_METHOD_DR);
      EXPECT_EQ(rescheduled(method, state), over) << "method " << method << " state " << state;
    }
}

TEST_P(SynReuse, NeedsAPureSyn) {
  EXPECT_FALSE(rescheduled(LVS_METHOD_NAT, TW, kAck));
  EXPECT_FALSE(rescheduled(LVS_METHOD_NAT, TW, kFin | kAck));
  EXPECT_FALSE(rescheduled(LVS_METHOD_NAT, TW, kRst));
  EXPECT_FALSE(rescheduled(LVS_METHOD_NAT, TW, kRst | kSyn));
}

}  // namespace
}  // namespace xlvs::test
