// SPDX-License-Identifier: Apache-2.0
// Requests: every combination of family, protocol, method and way out, byte for byte.
#include <tuple>

#include "tests/datapath/fixture.h"

namespace xlvs::test {
namespace {

using Combination = std::tuple<int, std::uint8_t, lvs_method, unsigned>;  // family, protocol, method, port out

class Forward : public ::testing::TestWithParam<Combination> {
 protected:
  const Net& n = net(std::get<0>(GetParam()));
  const std::uint8_t protocol = std::get<1>(GetParam());
  const lvs_method method = std::get<2>(GetParam());
  const unsigned out = std::get<3>(GetParam());
  const std::uint32_t verdict = verdict_out(out, 1);
  const BackendSpec spec{.address = n.server1,
                         .port = static_cast<std::uint16_t>(method == LVS_METHOD_NAT ? 8080 : 80),
                         .method = method,
                         .out = out};
  Segment request{.src = n.client, .dst = n.vip, .protocol = protocol, .payload = text("odd")};
  XdpHarness x;
  const Pool pool = add_pool(x, n.vip, 80, protocol, {spec});
};

TEST_P(Forward, RewritesExactlyWhatItMustAndRemembersTheFlow) {
  const Bytes first = frame(request);
  EXPECT_FORWARDED(x.run(first), verdict, frame(towards(request, spec)));
  const Slot flow = x.flow(n.client, 40000);
  EXPECT_EQ(flow.state(), protocol == IPPROTO_TCP ? LVS_STATE_SYN_RECV : LVS_STATE_UDP_NEW);
  EXPECT_EQ(flow.backend(), pool.backends[0]);
  EXPECT_EQ(flow.listener(), pool.listener);
  EXPECT_EQ(flow.destination_port(), 80);
  EXPECT_LE(static_cast<std::uint16_t>(XdpHarness::now() - flow.time()), 2);

  request.flags = kAck | kPsh;
  request.payload = text("four");
  const Bytes second = frame(request);
  EXPECT_FORWARDED(x.run(second), verdict, frame(towards(request, spec)));
  EXPECT_EQ(x.flow(n.client, 40000).state(),
            protocol == IPPROTO_TCP ? LVS_STATE_ESTABLISHED_NEW : LVS_STATE_UDP_BURST);

  const lvs_counters counted = x.counters(pool.backends[0]);
  EXPECT_EQ(counted.flows, 1U);
  EXPECT_EQ(counted.in_packets, 2U);
  EXPECT_EQ(counted.in_bytes, ip_length(first) + ip_length(second));
  EXPECT_EQ(counted.out_packets, 0U);
  EXPECT_EQ(counted.out_bytes, 0U);
  EXPECT_THAT(x.reasons(), ::testing::IsEmpty());
  EXPECT_EQ(x.drift(), "");
}

// A tag is of the network that the packet came from; another interface leads to another one.
TEST_P(Forward, PassesVlanTagsThroughOnTheSameInterfaceOnly) {
  for (const std::vector<Vlan>& tags :
       {std::vector<Vlan>{{.tci = 100}}, {{.tci = 0x6fff}}, {{.tci = 7, .tpid = 0x88a8}, {.tci = 100}}}) {
    request.tags = tags;
    request.sport++;
    if (verdict == XDP_TX) {
      EXPECT_FORWARDED(x.run(frame(request)), verdict, frame(towards(request, spec)));
    } else {
      EXPECT_UNTOUCHED(x.run(frame(request)), XDP_DROP, frame(request));
    }
  }
  EXPECT_EQ(x.reason(LVS_REASON_vlan_mismatch), verdict == XDP_TX ? 0U : 3U);
}

TEST_P(Forward, DecrementsTheTtlAndNeverSendsZero) {
  request.ttl = 255;
  EXPECT_FORWARDED(x.run(frame(request)), verdict, frame(towards(request, spec)));
  request.ttl = 2;
  EXPECT_FORWARDED(x.run(frame(request)), verdict, frame(towards(request, spec)));
  for (const std::uint8_t ttl : std::initializer_list<std::uint8_t>{1, 0}) {
    request.ttl = ttl;
    EXPECT_UNTOUCHED(x.run(frame(request)), XDP_DROP, frame(request));
  }
  EXPECT_EQ(x.reason(LVS_REASON_ttl_expired), 2U);
}

TEST_P(Forward, KeepsEthernetPaddingAndDoesNotCountIt) {
  request.payload = {};
  Bytes padded = frame(request), expected = frame(towards(request, spec));
  const std::uint64_t length = ip_length(padded);
  for (Bytes* bytes : {&padded, &expected}) bytes->resize(bytes->size() + 21, 0xee);
  EXPECT_FORWARDED(x.run(padded), verdict, expected);
  EXPECT_EQ(x.counters(pool.backends[0]).in_bytes, length);
}

TEST_P(Forward, DropsWhatExceedsTheMtuOfTheWayOut) {
  const std::size_t headers = ip_length(frame(request)) - request.payload.size();
  request.payload = Bytes(1500 - headers, 0x5a);
  EXPECT_FORWARDED(x.run(frame(request)), verdict, frame(towards(request, spec)));
  request.payload.push_back(0x5a);
  EXPECT_UNTOUCHED(x.run(frame(request)), XDP_DROP, frame(request));
  EXPECT_EQ(x.reason(LVS_REASON_too_big), 1U);
}

TEST_P(Forward, CarriesJumboFramesInSeveralBuffers) {
  for (unsigned port = 1; port <= kPorts; port++) x.control().port[port].mtu = 9000;
  const std::size_t headers = ip_length(frame(request)) - request.payload.size();
  request.payload = Bytes(9000 - headers, 0xa5);
  EXPECT_FORWARDED(x.run(frame(request)), verdict, frame(towards(request, spec)));
  EXPECT_EQ(x.counters(pool.backends[0]).in_bytes, 9000U);
  request.payload.push_back(0);
  EXPECT_UNTOUCHED(x.run(frame(request)), XDP_DROP, frame(request));
}

TEST_P(Forward, FollowsANextHopThatChanges) {
  x.run(frame(request));
  request.flags = kAck;
  BackendSpec moved = spec;
  moved.mac = {0x02, 0xff, 0xfe, 0xfd, 0xfc, 0xfb};
  moved.out = 3;
  x.backend(pool.backends[0]).hop = XdpHarness::hop(moved.mac, moved.out);
  EXPECT_FORWARDED(x.run(frame(request)), XDP_REDIRECT, frame(towards(request, moved)));

  x.backend(pool.backends[0]).hop = 0;
  EXPECT_UNTOUCHED(x.run(frame(request)), XDP_DROP, frame(request));
  EXPECT_EQ(x.reason(LVS_REASON_no_next_hop), 1U);
}

INSTANTIATE_TEST_SUITE_P(All, Forward,
                         ::testing::Combine(::testing::Values(AF_INET, AF_INET6),
                                            ::testing::Values<std::uint8_t>(IPPROTO_TCP, IPPROTO_UDP),
                                            ::testing::Values(LVS_METHOD_NAT, LVS_METHOD_DR),
                                            ::testing::Values(1U, 2U)),
                         [](const auto& all) {
                           return std::string(std::get<0>(all.param) == AF_INET ? "IPv4" : "IPv6") +
                                  (std::get<1>(all.param) == IPPROTO_TCP ? "Tcp" : "Udp") +
                                  (std::get<2>(all.param) == LVS_METHOD_NAT ? "Nat" : "Dr") +
                                  (std::get<3>(all.param) == 1 ? "SamePort" : "OtherPort");
                         });

class ForwardFamily : public PerFamily {};
XLVS_FOR_BOTH_FAMILIES(ForwardFamily);

TEST_P(ForwardFamily, ALocalBackendsPacketsPassUpUnchanged) {
  XdpHarness x;
  const Pool pool =
      add_pool(x, n.vip, 80, IPPROTO_TCP, {{.address = n.server1, .port = 80, .method = LVS_METHOD_LOCAL}});
  for (const std::uint8_t flags : {kSyn, kAck}) {
    const Bytes sent = frame({.src = n.client, .dst = n.vip, .flags = flags});
    EXPECT_UNTOUCHED(x.run(sent), XDP_PASS, sent);
  }
  EXPECT_THAT(x.reasons(), ::testing::IsEmpty());
  EXPECT_EQ(x.drift(), "");
}

// The only way to see, without sending, which devmap entry was used: take it away.
TEST_P(ForwardFamily, RedirectsThroughThePortOfTheHop) {
  XdpHarness x;
  add_pool(x, n.vip, 80, IPPROTO_TCP, {{.address = n.server1, .port = 80, .out = 3}});
  const Bytes sent = frame({.src = n.client, .dst = n.vip});
  x.remove_port_from_devmap(2);
  EXPECT_VERDICT(x.run(sent), XDP_REDIRECT);
  x.remove_port_from_devmap(3);
  const Outcome outcome = x.run(sent);
  EXPECT_NE(outcome.verdict, static_cast<std::uint32_t>(XDP_REDIRECT));
  EXPECT_NE(outcome.verdict, static_cast<std::uint32_t>(XDP_PASS)) << "a rewritten packet must not reach the host";
}

TEST_P(ForwardFamily, MixesMethodsWithinAService) {
  XdpHarness x;
  const OnCpu pinned(0);
  const BackendSpec nat{.address = n.server1, .port = 8080};
  const BackendSpec dr{
      .address = n.server2, .port = 80, .method = LVS_METHOD_DR, .out = 1, .mac = {2, 4, 6, 8, 10, 12}};
  const Pool pool = add_pool(x, n.vip, 80, IPPROTO_TCP, {nat, dr});
  for (std::uint16_t sport = 1000; sport < 1010; sport++) {
    const Segment request{.src = n.client, .sport = sport, .dst = n.vip};
    const Outcome outcome = x.run(frame(request));
    const BackendSpec& chosen = x.flow(n.client, sport).backend() == pool.backends[0] ? nat : dr;
    EXPECT_FORWARDED(outcome, verdict_out(chosen.out, 1), frame(towards(request, chosen)));
  }
  EXPECT_EQ(x.counters(pool.backends[0]).flows, 5U);
  EXPECT_EQ(x.counters(pool.backends[1]).flows, 5U);
}

}  // namespace
}  // namespace xlvs::test
