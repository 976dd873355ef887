// SPDX-License-Identifier: Apache-2.0
// Frames for somebody else's MAC address, which a promiscuous interface takes and a switch floods: two routers that
// both forwarded them would make two packets of one. They pass to the host, which drops or bridges them.
#include "tests/datapath/fixture.h"

namespace xlvs::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr Mac kOtherRouter = {0x02, 0, 0, 0, 0x0a, 0x77};
constexpr Mac kEverybody = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
constexpr Mac kGroup4 = {0x01, 0, 0x5e, 0, 0, 0x12};
constexpr Mac kGroup6 = {0x33, 0x33, 0, 0, 0, 0x12};

class OtherHost : public PerFamily {
 protected:
  void expect_passed(const Segment& segment, unsigned port = 1) {
    SCOPED_TRACE(to_text(segment.dst_mac));
    const auto before = x.reason(LVS_REASON_other_host);
    EXPECT_UNTOUCHED(x.run(frame(segment), port), XDP_PASS, frame(segment));
    EXPECT_EQ(x.reason(LVS_REASON_other_host), before + 1);
  }
  void set_mac(unsigned port, const Mac& mac) { std::copy(mac.begin(), mac.end(), x.control().port[port].mac); }

  XdpHarness x;
  const BackendSpec dr{.address = n.server1, .port = 80, .method = LVS_METHOD_DR};
  const BackendSpec nat{.address = n.server2, .port = 8080};
  const Pool web = add_pool(x, n.vip, 80, IPPROTO_TCP, {dr});
  const Pool translated = add_pool(x, n.vip, 81, IPPROTO_TCP, {nat});
  Segment request{.src = n.client, .dst = n.vip};
};
XLVS_FOR_BOTH_FAMILIES(OtherHost);

TEST_P(OtherHost, OnlyTheInterfacesOwnAddressIsTaken) {
  for (std::uint8_t protocol : {IPPROTO_TCP, IPPROTO_UDP}) {
    add_pool(x, n.vip2, 80, protocol, {dr});
    request.dst = n.vip2;
    request.protocol = protocol;
    for (const Mac& mac : {kOtherRouter, kEverybody, kGroup4, kGroup6, Mac{}, XdpHarness::port_mac(2)}) {
      request.dst_mac = mac;
      expect_passed(request);
    }
    EXPECT_THAT(x.flows(GetParam()), IsEmpty());
    request.dst_mac = XdpHarness::port_mac(1);
    EXPECT_FORWARDED(x.run(frame(request)), XDP_REDIRECT, frame(towards(request, dr)));
    x.flow(n.client, request.sport).store(0);
  }
}

TEST_P(OtherHost, EveryByteCounts) {
  for (std::size_t i = 0; i < request.dst_mac.size(); ++i) {
    request.dst_mac = XdpHarness::port_mac(1);
    request.dst_mac[i] ^= 0x80;
    expect_passed(request);
  }
  x.control().port[1].mtu = 0x1234;  // its neighbour in memory does not
  request.dst_mac = XdpHarness::port_mac(1);
  request.src_mac = kEverybody;
  EXPECT_VERDICT(x.run(frame(request)), XDP_REDIRECT);
}

TEST_P(OtherHost, TagsDoNotHideTheAddress) {
  request.tags = {{.tci = 7, .tpid = 0x88a8}, {.tci = 100}};
  request.dst_mac = kOtherRouter;
  expect_passed(request);
  request.dst_mac = XdpHarness::port_mac(1);
  EXPECT_VERDICT(x.run(frame(request)), XDP_DROP);  // ours, but the tag does not fit the way out
  EXPECT_EQ(x.reason(LVS_REASON_vlan_mismatch), 1U);
}

TEST_P(OtherHost, AFlowOfOursIsNotTouchedByTheOthersPackets) {
  x.run(frame(request));
  request.flags = kAck;
  x.run(frame(request));
  const Slot flow = x.flow(n.client, request.sport);
  XdpHarness::age(flow, 20);
  const std::uint64_t before = flow.load();
  for (const std::uint8_t flags : {kAck, kFin, kRst}) {
    request.flags = flags;
    request.dst_mac = kOtherRouter;
    expect_passed(request);
  }
  EXPECT_EQ(flow.load(), before);
  EXPECT_EQ(x.counters(web.backends[0]).in_packets, 2U);
  EXPECT_EQ(x.drift(), "");
}

TEST_P(OtherHost, RepliesTooAreTakenByTheirGatewayOnly) {
  request.dport = 81;
  x.run(frame(request));
  Segment reply = answer(request, nat, kSyn | kAck);
  for (const Mac& mac : {kOtherRouter, kEverybody, XdpHarness::port_mac(1)}) {
    reply.dst_mac = mac;
    expect_passed(reply, 2);
  }
  EXPECT_EQ(x.counters(translated.backends[0]).out_packets, 0U);
  reply.dst_mac = XdpHarness::port_mac(2);
  EXPECT_FORWARDED(x.run(frame(reply), 2), XDP_REDIRECT, frame(answered(request, reply)));
  EXPECT_THAT(x.reasons(), ElementsAre(Pair("other_host", 3)));
}

// Else a router that is not active would reset the connections of the one that is.
TEST_P(OtherHost, ClientsOfAFailedBackendAreLeftToTheirRouter) {
  x.run(frame(request));
  x.backend(web.backends[0]).flags = LVS_BACKEND_VALID | LVS_BACKEND_DOWN | LVS_BACKEND_RESET;
  request.flags = kAck;
  request.dst_mac = kOtherRouter;
  expect_passed(request);
  EXPECT_EQ(x.flow_count(n.client, request.sport), 1U);
  EXPECT_EQ(x.reason(LVS_REASON_flow_reset), 0U);
}

TEST_P(OtherHost, AChangedAddressIsFollowed) {
  set_mac(1, kOtherRouter);
  expect_passed(request);
  request.dst_mac = kOtherRouter;
  EXPECT_VERDICT(x.run(frame(request)), XDP_REDIRECT);
}

// A bond in native mode: its members run the program, and frames have the bond's address.
TEST_P(OtherHost, WithoutANumberOfItsOwnTheAddressOfAnyPortWillDo) {
  for (unsigned port = 1; port <= kPorts; ++port) {
    request.dst_mac = XdpHarness::port_mac(port);
    EXPECT_VERDICT(x.run(frame(request), 0), XDP_REDIRECT);
  }
  for (const Mac& mac : {kOtherRouter, kEverybody, Mac{}}) {  // all zeros: ports that do not exist
    request.dst_mac = mac;
    expect_passed(request, 0);
  }
}

// Fragments and options of a virtual machine or of the other router are theirs, too.
TEST_P(OtherHost, UnusualPacketsAreLeftToTheirHost) {
  const Ethernet ethernet{.dst = kOtherRouter, .src = kClientMac};
  const Bytes damaged = (ethernet / ip_layer(n.client, n.vip) / Tcp{.data_offset = 4}).build();
  EXPECT_UNTOUCHED(x.run(damaged), XDP_PASS, damaged);
  const Bytes elsewhere = (ethernet / ip_layer(n.client, n.stranger) / Tcp{}).build();
  EXPECT_UNTOUCHED(x.run(elsewhere), XDP_PASS, elsewhere);
  EXPECT_THAT(x.reasons(), ElementsAre(Pair("other_host", 1)));
}

}  // namespace
}  // namespace xlvs::test
