// SPDX-License-Identifier: Apache-2.0
// What is not ours: always to the host, not a bit changed, nothing counted, no flow.
#include <functional>

#include "tests/datapath/fixture.h"

namespace xlvs::test {
namespace {

class Passthrough : public PerFamily {
 protected:
  XdpHarness x;
  const Pool web = add_pool(x, n.vip, 80, IPPROTO_TCP, {{.address = n.server1, .port = 8080}});
  const Pool dns = add_pool(x, n.vip, 53, IPPROTO_UDP, {{.address = n.server1, .port = 53}});

  Packet ip(const std::string& src, const std::string& dst) const {
    return Ethernet{.dst = XdpHarness::port_mac(1), .src = kClientMac} / ip_layer(src, dst);
  }
  void expect_pass(const Packet& packet, const char* what) {
    SCOPED_TRACE(what);
    const Bytes sent = packet.build();
    for (unsigned port = 0; port <= kPorts; port++) EXPECT_UNTOUCHED(x.run(sent, port), XDP_PASS, sent);
    EXPECT_THAT(x.reasons(), ::testing::IsEmpty());
    EXPECT_THAT(x.flows(GetParam()), ::testing::IsEmpty());
    EXPECT_EQ(x.counters(web.backends[0]).in_packets + x.counters(dns.backends[0]).in_packets, 0U);
  }
};
XLVS_FOR_BOTH_FAMILIES(Passthrough);

TEST_P(Passthrough, OtherTrafficOfTheHost) {
  const Payload data("some data");
  expect_pass(ip(n.client, n.stranger) / Tcp{} / data, "TCP to another address, a served port");
  expect_pass(ip(n.client, n.stranger) / Udp{} / data, "UDP to another address");
  expect_pass(ip(n.client, n.stranger) / Tcp{.flags = kAck} / data, "a segment of an unknown connection");
  expect_pass(ip(n.client, n.server1) / Tcp{.dport = 8080} / data, "a backend's own address");
  expect_pass(ip(n.server1, n.client) / Tcp{.sport = 22, .flags = kAck} / data, "a backend's ssh");
  expect_pass(ip(n.server1, n.client) / Tcp{.sport = 8080, .flags = kSyn | kAck} / data, "a health check's answer");
}

TEST_P(Passthrough, WhatAVipDoesNotServe) {
  expect_pass(ip(n.client, n.vip) / Tcp{.dport = 81}, "TCP, another port");
  expect_pass(ip(n.client, n.vip) / Udp{.dport = 80}, "UDP to the port of a TCP listener");
  expect_pass(ip(n.client, n.vip) / Tcp{.dport = 53}, "TCP to the port of a UDP listener");
  expect_pass(ip(n.client, n.vip) / Tcp{.dport = 0}, "port 0");
  expect_pass(ip(n.client, n.vip) / Icmp{} / Payload("ping"), "an echo request");
  expect_pass(ip(n.client, n.vip) / Icmp{.type = 3, .code = 4} / Payload("error"), "an ICMP error");
}

TEST_P(Passthrough, OtherIpProtocolsToAVip) {
  for (const std::uint8_t protocol : std::initializer_list<std::uint8_t>{2, 47, 50, 89, 112, 132}) {
    Packet packet = ip(n.client, n.vip) / Payload(Bytes(40, 0x00));
    if (GetParam() == AF_INET)
      packet.at<IPv4>().protocol = protocol;
    else
      packet.at<IPv6>().next_header = protocol;
    if (GetParam() == AF_INET6 && protocol == 50) continue;  // ESP is an extension header there
    expect_pass(packet, "an IP protocol without ports");
  }
}

TEST_P(Passthrough, UnusualPacketsThatAreNotOurs) {
  Packet last_hop = ip(n.client, n.stranger) / Tcp{};
  if (GetParam() == AF_INET) {
    last_hop.at<IPv4>().ttl = 1;
    Packet options = ip(n.client, n.stranger) / Tcp{};
    options.at<IPv4>().options = Bytes(4, 1);
    expect_pass(options, "IPv4 options");
    for (const std::uint16_t fragment : std::initializer_list<std::uint16_t>{0x2000, 0x2001, 0x0001}) {
      Packet piece = ip(n.client, n.stranger) / Udp{} / Payload(Bytes(64, 1));
      piece.at<IPv4>().fragment = fragment;
      expect_pass(piece, "a fragment");
    }
    Packet lying = ip(n.client, n.stranger) / Tcp{};
    lying.at<IPv4>().total_length = 4000;
    expect_pass(lying, "a total length beyond the frame");
  } else {
    last_hop.at<IPv6>().hop_limit = 1;
    expect_pass(ip(n.client, n.stranger) / Extension{} / Tcp{}, "destination options");
    expect_pass(ip(n.client, n.stranger) / Extension{.number = 44, .body = Bytes(7, 1)} / Udp{}, "a fragment");
    Packet lying = ip(n.client, n.stranger) / Tcp{};
    lying.at<IPv6>().payload_length = 4000;
    expect_pass(lying, "a payload length beyond the frame");
  }
  expect_pass(last_hop, "TTL 1");
  expect_pass(ip(n.client, n.stranger) / Tcp{.data_offset = 1}, "a TCP header that contradicts itself");
}

TEST_P(Passthrough, WhatIsNotIp) {
  const Ethernet ethernet{.dst = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, .src = kClientMac};
  const auto of_type = [&](std::uint16_t type) {
    Ethernet e = ethernet;
    e.type = type;
    return Packet(e) / Payload(Bytes(46, 0x45));
  };
  for (const std::uint16_t type :
       std::initializer_list<std::uint16_t>{0x0806, 0x8035, 0x88cc, 0x8863, 0x8864, 0x8847, 0x0026, 0x0000, 0xffff}) {
    expect_pass(of_type(type), "an ether type");
  }
  expect_pass(of_type(0x86dd), "an IPv6 ether type over something else");
  Packet deep = Ethernet{.dst = XdpHarness::port_mac(1), .src = kClientMac} / Vlan{} / Vlan{} / Vlan{} /
                ip_layer(n.client, n.vip) / Tcp{};
  expect_pass(deep, "three VLAN tags");
}

TEST_P(Passthrough, NeighbourDiscoveryForAVip) {
  if (GetParam() == AF_INET) {
    Ethernet e{.dst = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, .src = kClientMac, .type = 0x0806};
    Bytes arp = {0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0xc1, 1};
    for (const std::string& address : {n.client, n.vip}) {
      const Bytes bytes = address_bytes(address);
      arp.insert(arp.end(), bytes.begin(), bytes.end());
      if (address == n.client) arp.insert(arp.end(), 6, 0);
    }
    expect_pass(Packet(e) / Payload(arp), "an ARP request");
    return;
  }
  for (const std::uint8_t type : std::initializer_list<std::uint8_t>{133, 134, 135, 136, 1, 2, 3}) {
    Packet solicitation = ip(n.client, n.vip) / Icmp{.type = type, .rest = 0} / Payload(address_bytes(n.vip));
    solicitation.at<IPv6>().hop_limit = 255;
    expect_pass(solicitation, "ICMPv6");
  }
}

// An IPv6 VIP's first word must not be looked up as an IPv4 address, and the other way round.
TEST_P(Passthrough, AddressesAreNotMixedUpBetweenFamilies) {
  const Net& other = net(GetParam() == AF_INET ? AF_INET6 : AF_INET);
  expect_pass(ip(other.client, other.vip) / Tcp{}, "a served address of the other family");
}

}  // namespace
}  // namespace xlvs::test
