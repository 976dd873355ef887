// SPDX-License-Identifier: Apache-2.0
// NAT replies: found by backend and flow, turned back into the VIP's, sent where the client's packets came from.
#include <fmt/format.h>

#include "tests/datapath/fixture.h"

namespace xlvs::test {
namespace {

using Combination = std::tuple<int, std::uint8_t, unsigned>;  // family, protocol, the backend's port

class Reply : public ::testing::TestWithParam<Combination> {
 protected:
  const Net& n = net(std::get<0>(GetParam()));
  const std::uint8_t protocol = std::get<1>(GetParam());
  const unsigned out = std::get<2>(GetParam());
  const std::uint32_t verdict = verdict_out(1, out);
  const BackendSpec spec{.address = n.server1, .port = 8080, .out = out};
  const Segment request{.src = n.client, .dst = n.vip, .protocol = protocol};
  XdpHarness x;
  const Pool pool = add_pool(x, n.vip, 80, protocol, {spec});
};

TEST_P(Reply, BecomesTheVipsAndGoesBackToTheClientsHop) {
  x.run(frame(request));
  Segment reply = answer(request, spec, kSyn | kAck);
  reply.payload = text("payload");
  EXPECT_FORWARDED(x.run(frame(reply), out), verdict, frame(answered(request, reply)));
  const lvs_counters counted = x.counters(pool.backends[0]);
  EXPECT_EQ(counted.flows, 1U);
  EXPECT_EQ(counted.in_packets, 1U);
  EXPECT_EQ(counted.out_packets, 1U);
  EXPECT_EQ(counted.out_bytes, ip_length(frame(reply)));
  EXPECT_THAT(x.reasons(), ::testing::IsEmpty());
  EXPECT_EQ(x.drift(), "");
}

TEST_P(Reply, PassesVlanTagsThroughOnTheSameInterfaceOnly) {
  x.run(frame(request));
  Segment reply = answer(request, spec);
  reply.tags = {{.tci = 7, .tpid = 0x88a8}, {.tci = 100}};
  if (verdict == XDP_TX) {
    EXPECT_FORWARDED(x.run(frame(reply), out), verdict, frame(answered(request, reply)));
  } else {
    EXPECT_UNTOUCHED(x.run(frame(reply), out), XDP_DROP, frame(reply));
    EXPECT_EQ(x.reason(LVS_REASON_vlan_mismatch), 1U);
  }
}

// There is no route to the client here: the host would not forward it, either. stray_test.cc has the others.
TEST_P(Reply, WithoutAFlowAndForNobodyElseIsLeftToTheHost) {
  const Bytes unknown = frame(answer(request, spec));
  EXPECT_UNTOUCHED(x.run(unknown, out), XDP_PASS, unknown);
  x.run(frame(request));
  Segment other = answer(request, spec);
  other.dport++;  // another port of the same client
  EXPECT_UNTOUCHED(x.run(frame(other), out), XDP_PASS, frame(other));
  other = answer(request, spec);
  other.sport++;  // another service of the same server
  EXPECT_UNTOUCHED(x.run(frame(other), out), XDP_PASS, frame(other));
  other = answer(request, spec);
  other.protocol = protocol == IPPROTO_TCP ? IPPROTO_UDP : IPPROTO_TCP;
  EXPECT_UNTOUCHED(x.run(frame(other), out), XDP_PASS, frame(other));
  EXPECT_THAT(x.reasons(), ::testing::IsEmpty());
}

TEST_P(Reply, FollowsTheClientToAnotherHop) {
  x.run(frame(request));
  Segment moved = request;
  moved.flags = kAck;
  moved.src_mac = {0x02, 0xca, 0xfe, 0, 0, 9};
  moved.dst_mac = XdpHarness::port_mac(3);
  x.run(frame(moved), 3);
  const Segment reply = answer(request, spec);
  EXPECT_FORWARDED(x.run(frame(reply), out), XDP_REDIRECT, frame(answered(moved, reply, 3)));
  x.run(frame(request));
  EXPECT_FORWARDED(x.run(frame(reply), out), verdict, frame(answered(request, reply)));
}

TEST_P(Reply, HopLimitMtuAndLengthAreCheckedToo) {
  x.run(frame(request));
  Segment reply = answer(request, spec);
  reply.ttl = 1;
  EXPECT_UNTOUCHED(x.run(frame(reply), out), XDP_DROP, frame(reply));
  EXPECT_EQ(x.reason(LVS_REASON_ttl_expired), 1U);
  reply.ttl = 64;
  const std::size_t headers = ip_length(frame(reply));
  x.control().port[1].mtu = 1400;  // the client's side
  reply.payload = Bytes(1400 - headers, 1);
  EXPECT_FORWARDED(x.run(frame(reply), out), verdict, frame(answered(request, reply)));
  reply.payload.push_back(1);
  EXPECT_UNTOUCHED(x.run(frame(reply), out), XDP_DROP, frame(reply));
  EXPECT_EQ(x.reason(LVS_REASON_too_big), 1U);
}

// Until its real is gone too, what a removed backend still sends may reach its client, but only as the VIP's.
TEST_P(Reply, OfARemovedBackendIsTheVipsOrUntouched) {
  x.run(frame(request));
  x.backend(pool.backends[0]).flags = 0;
  const Segment reply = answer(request, spec);
  const Outcome outcome = x.run(frame(reply), out);
  if (outcome.verdict == verdict)
    EXPECT_EQ(difference(outcome.frame, frame(answered(request, reply))), "");
  else
    EXPECT_EQ(difference(outcome.frame, frame(reply)), "");
  x.remove_real(spec.address, spec.port, protocol);
  EXPECT_UNTOUCHED(x.run(frame(reply), out), XDP_PASS, frame(reply));
}

TEST_P(Reply, OfADirectRoutingBackendIsNotOurs) {
  const Pool direct =
      add_pool(x, n.vip2, 80, protocol, {{.address = n.server2, .port = 80, .method = LVS_METHOD_DR, .out = out}});
  const Segment to_direct{.src = n.client, .dst = n.vip2, .protocol = protocol};
  x.run(frame(to_direct));
  const Bytes reply = frame(answer(to_direct, {.address = n.server2, .port = 80}));
  EXPECT_UNTOUCHED(x.run(reply, out), XDP_PASS, reply);
}

INSTANTIATE_TEST_SUITE_P(All, Reply,
                         ::testing::Combine(::testing::Values(AF_INET, AF_INET6),
                                            ::testing::Values<std::uint8_t>(IPPROTO_TCP, IPPROTO_UDP),
                                            ::testing::Values(1U, 2U)),
                         [](const auto& all) {
                           return std::string(std::get<0>(all.param) == AF_INET ? "IPv4" : "IPv6") +
                                  (std::get<1>(all.param) == IPPROTO_TCP ? "Tcp" : "Udp") +
                                  (std::get<2>(all.param) == 1 ? "SamePort" : "OtherPort");
                         });

// ---- which VIP? ----------------------------------------------------------------------------------------------------

class ReplyVip : public PerFamily {
 protected:
  const BackendSpec spec{.address = n.server1, .port = 8080};
  XdpHarness x;

  void expect_answered(const Segment& request) {
    const Segment reply = answer(request, spec);
    EXPECT_FORWARDED(x.run(frame(reply), 2), XDP_REDIRECT, frame(answered(request, reply)));
  }
};
XLVS_FOR_BOTH_FAMILIES(ReplyVip);

TEST_P(ReplyVip, IsTheOneOfTheFlowWhenListenersShareAService) {
  const Pool pool = add_pool(x, n.vip, 80, IPPROTO_TCP, {spec});
  x.add_listener(pool.service, n.vip2, 80, IPPROTO_TCP);
  x.add_listener(pool.service, n.vip, 443, IPPROTO_TCP);
  const std::vector<Segment> requests = {{.src = n.client, .sport = 1001, .dst = n.vip},
                                         {.src = n.client, .sport = 1002, .dst = n.vip2},
                                         {.src = n.client, .sport = 1003, .dst = n.vip, .dport = 443}};
  for (const Segment& request : requests) x.run(frame(request));
  for (const Segment& request : requests) expect_answered(request);
}

TEST_P(ReplyVip, TellsTcpFromUdpOfTheSameClientPort) {
  const Pool pool = add_pool(x, n.vip, 53, IPPROTO_TCP, {spec});
  x.add_listener(pool.service, n.vip2, 53, IPPROTO_UDP);
  const Segment tcp{.src = n.client, .dst = n.vip, .dport = 53};
  const Segment udp{.src = n.client, .dst = n.vip2, .dport = 53, .protocol = IPPROTO_UDP};
  x.run(frame(tcp));
  x.run(frame(udp));
  expect_answered(tcp);
  expect_answered(udp);
  EXPECT_EQ(x.flow_count(n.client, 40000), 2U);
  EXPECT_EQ(x.drift(), "");
}

// One bucket: both flows are candidates for both replies.
TEST_P(ReplyVip, TellsTcpFromUdpEvenInOneBucket) {
  XdpHarness small({.buckets4 = 1, .buckets6 = 1});
  const Pool pool = add_pool(small, n.vip, 53, IPPROTO_TCP, {spec});
  small.add_listener(pool.service, n.vip2, 53, IPPROTO_UDP);
  const Segment tcp{.src = n.client, .dst = n.vip, .dport = 53};
  const Segment udp{.src = n.client, .dst = n.vip2, .dport = 53, .protocol = IPPROTO_UDP};
  for (const Segment& request : {tcp, udp}) small.run(frame(request));
  for (const Segment& request : {tcp, udp}) {
    const Segment reply = answer(request, spec);
    EXPECT_FORWARDED(small.run(frame(reply), 2), XDP_REDIRECT, frame(answered(request, reply)));
  }
}

TEST_P(ReplyVip, IsTheRightServicesWhenTwoShareAServer) {
  const Pool one = add_pool(x, n.vip, 80, IPPROTO_TCP, {spec});
  const Pool two = add_pool(x, n.vip2, 8081, IPPROTO_TCP, {spec});
  const Segment to_one{.src = n.client, .sport = 1001, .dst = n.vip};
  const Segment to_two{.src = n.client, .sport = 1002, .dst = n.vip2, .dport = 8081};
  x.run(frame(to_one));
  x.run(frame(to_two));
  expect_answered(to_one);
  expect_answered(to_two);
  EXPECT_EQ(x.counters(one.backends[0]).out_packets, 1U);
  EXPECT_EQ(x.counters(two.backends[0]).out_packets, 1U);
}

TEST_P(ReplyVip, SharedServersDoNotMixWithOtherBackendsOfTheSameClientPort) {
  BackendSpec other = spec;
  other.address = n.server2;
  add_pool(x, n.vip, 80, IPPROTO_TCP, {spec});
  add_pool(x, n.vip2, 80, IPPROTO_TCP, {other});
  add_pool(x, n.vip2, 81, IPPROTO_TCP, {spec, other});  // both are shared now, and differ in the address' last bits
  const Segment to_one{.src = n.client, .dst = n.vip};
  const Segment to_two{.src = n.client, .dst = n.vip2};
  x.run(frame(to_one));
  x.run(frame(to_two));
  expect_answered(to_one);
  const Segment reply = answer(to_two, other);
  EXPECT_FORWARDED(x.run(frame(reply), 2), XDP_REDIRECT, frame(answered(to_two, reply)));
}

// ---- which way? ----------------------------------------------------------------------------------------------------

class ReplyHop : public PerFamily {
 protected:
  static constexpr Mac kRouterMac = {0x02, 0, 0, 0, 0x0f, 0x01};
  const BackendSpec spec{.address = n.server1, .port = 8080};
  const Segment request{.src = n.client, .dst = n.vip};
  const Segment reply = answer(request, spec);
  XdpHarness x{{.buckets4 = 1024, .buckets6 = 1024}};
  const Pool pool = add_pool(x, n.vip, 80, IPPROTO_TCP, {spec});

  void add_route_through_port_3() {
    if (GetParam() == AF_INET)
      ip_batch(
          fmt::format("address replace 10.99.0.1/24 dev lvs3\nroute replace 192.0.2.0/24 via 10.99.0.9\n"
                      "neighbor replace 10.99.0.9 lladdr {} dev lvs3 nud permanent\n",
                      to_text(kRouterMac)));
    else
      ip_batch(
          fmt::format("address replace fd99::1/64 dev lvs3 nodad\nroute replace 2001:db8:c::/48 via fd99::9\n"
                      "neighbor replace fd99::9 lladdr {} dev lvs3 nud permanent\n",
                      to_text(kRouterMac)));
  }
  [[nodiscard]] Bytes expected_by_route() const {
    Segment expected = answered(request, reply, 3);
    expected.dst_mac = kRouterMac;
    return frame(expected);
  }
  void forget_gateway() {
    const Slot flow = x.flow(n.client, request.sport);
    flow.store(flow.load() & ~(std::uint64_t{0xff} << 20));
  }
};
XLVS_FOR_BOTH_FAMILIES(ReplyHop);

TEST_P(ReplyHop, IsLearnedOncePerGateway) {
  for (std::uint16_t sport = 1; sport <= 20; sport++) {
    Segment many = request;
    many.sport = sport;
    x.run(frame(many));
    EXPECT_EQ(x.flow(n.client, sport).gateway(), x.flow(n.client, 1).gateway());
  }
  const std::uint32_t gateway = x.flow(n.client, 1).gateway();
  ASSERT_NE(gateway, 0U);
  EXPECT_EQ(x.control().gateway[gateway], XdpHarness::hop(kClientMac, 1) | LVS_HOP_USED);
  EXPECT_EQ(x.control().gateway[0], 0U);
}

// Interface numbers are only compared by their low byte at first.
TEST_P(ReplyHop, IsLearnedOnTheRightPortWhenInterfaceNumbersCollide) {
  x.control().port_of_ifindex[XdpHarness::port_ifindex(1) & 255] = 3;
  x.run(frame(request));
  EXPECT_EQ(x.control().gateway[x.flow(n.client, 40000).gateway()] & LVS_HOP_MASK, XdpHarness::hop(kClientMac, 1));
  EXPECT_FORWARDED(x.run(frame(reply), 2), XDP_REDIRECT, frame(answered(request, reply)));
}

TEST_P(ReplyHop, IsNotLearnedFromAnInterfaceThatIsNotOurs) {
  x.run(frame(request), 0);
  EXPECT_EQ(x.flow(n.client, 40000).gateway(), 0U);
}

TEST_P(ReplyHop, IsTheFibsWhenNoGatewayIsKnown) {
  add_route_through_port_3();
  x.run(frame(request));
  forget_gateway();
  EXPECT_FORWARDED(x.run(frame(reply), 2), XDP_REDIRECT, expected_by_route());
  EXPECT_EQ(x.reason(LVS_REASON_hop_by_fib), 1U);
}

TEST_P(ReplyHop, IsTheFibsWhenTheGatewayWasFreed) {
  add_route_through_port_3();
  x.run(frame(request));
  const std::uint32_t gateway = x.flow(n.client, 40000).gateway();
  x.control().gateway[gateway] = 0;
  EXPECT_FORWARDED(x.run(frame(reply), 2), XDP_REDIRECT, expected_by_route());
  Segment later = request;
  later.flags = kAck;
  x.run(frame(later));  // learns it again
  EXPECT_FORWARDED(x.run(frame(reply), 2), XDP_REDIRECT, frame(answered(request, reply)));
}

TEST_P(ReplyHop, WithNeitherIsDroppedAndCounted) {
  Segment from_nowhere = request;
  from_nowhere.src = n.stranger;  // no test adds a route to it
  x.run(frame(from_nowhere));
  const Slot flow = x.flow(n.stranger, 40000);
  flow.store(flow.load() & ~(std::uint64_t{0xff} << 20));
  const Bytes sent = frame(answer(from_nowhere, spec));
  EXPECT_UNTOUCHED(x.run(sent, 2), XDP_DROP, sent);
  EXPECT_EQ(x.reason(LVS_REASON_no_next_hop), 1U);
}

// Clients on the router's own segment: each is a next hop of its own, which the FIB knows nothing of.
TEST_P(ReplyHop, EachOfAThousandNeighboursGetsItsOwnAnswer) {
  std::vector<Segment> clients;
  for (unsigned i = 1; i <= 1000; i++) {
    Segment client = request;
    client.sport = static_cast<std::uint16_t>(i);
    client.src_mac = {0x02, 0x77, 0, 0, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)};
    clients.push_back(client);
    x.run(frame(client));
  }
  for (Segment& client : clients) {
    const Segment back = answer(client, spec);
    ASSERT_EQ(difference(x.run(frame(back), 2).frame, frame(answered(client, back))), "") << client.sport;
    client.flags = kAck;
    x.run(frame(client));
    ASSERT_EQ(difference(x.run(frame(back), 2).frame, frame(answered(client, back))), "") << client.sport;
  }
  EXPECT_THAT(x.reasons(), ::testing::Not(::testing::Contains(::testing::Key("hop_by_fib"))));
  EXPECT_EQ(x.drift(), "");
}

TEST_P(ReplyHop, FollowsANeighbourThatGetsAnotherAddress) {
  for (unsigned i = 1; i <= 600; i++) {  // no number is left
    Segment client = request;
    client.sport = static_cast<std::uint16_t>(i);
    client.src_mac = {0x02, 0x77, 0, 0, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)};
    x.run(frame(client));
  }
  Segment moved = request;
  for (const std::uint8_t last : {std::uint8_t{1}, std::uint8_t{2}, std::uint8_t{3}}) {
    moved.src_mac = {0x02, 0x78, 0, 0, 9, last};
    x.run(frame(moved));
    const Segment back = answer(moved, spec);
    EXPECT_EQ(difference(x.run(frame(back), 2).frame, frame(answered(moved, back))), "");
  }
}

// lvsd may free a number between two packets, and somebody else may get it.
TEST_P(ReplyHop, ANumberThatIsGivenOutIsMarked) {
  x.run(frame(request));
  __u64& gateway = x.control().gateway[x.flow(n.client, 40000).gateway()];
  gateway &= ~LVS_HOP_USED;  // as a sweep begins
  Segment other = request;
  other.sport++;
  x.run(frame(other));
  EXPECT_EQ(gateway, XdpHarness::hop(kClientMac, 1) | LVS_HOP_USED);
}

}  // namespace
}  // namespace xlvs::test
