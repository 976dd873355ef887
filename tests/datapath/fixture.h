// SPDX-License-Identifier: Apache-2.0
// What the datapath tests share: one set of addresses per family, a short way to write a segment, and the two verdicts
// that every test ends in: forwarded exactly so, or left untouched.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <netinet/in.h>

#include <string>
#include <vector>

#include "tests/support/packet.h"
#include "tests/support/xdp_harness.h"

namespace xlvs::test {

struct Net {
  int family;
  std::string client, vip, vip2, server1, server2, server3, stranger;
};

inline const Net& net(int family) {
  static const Net four{AF_INET,     "192.0.2.7", "198.51.100.10", "198.51.100.11",
                        "10.0.0.11", "10.0.0.12", "10.0.0.13",     "203.0.113.99"};
  static const Net six{AF_INET6,        "2001:db8:c::7", "2001:db8:5::10", "2001:db8:5::11",
                       "fd00::a:0:0:b", "fd00::a:0:0:c", "fd00::a:0:0:d",  "2001:db8:9::99"};
  return family == AF_INET ? four : six;
}

inline constexpr Mac kClientMac = {0x02, 0, 0, 0, 0xc1, 0x01};
inline constexpr Mac kServerMac = {0x02, 0, 0, 0, 0x0b, 0x01};  // BackendSpec's default

// One TCP segment or UDP datagram; as the client sends it towards port 1 unless told otherwise.
struct Segment {
  std::string src;
  std::uint16_t sport = 40000;
  std::string dst;
  std::uint16_t dport = 80;
  std::uint8_t protocol = IPPROTO_TCP;
  std::uint8_t flags = kSyn;  // TCP
  std::uint8_t ttl = 64;
  Mac src_mac = kClientMac;
  Mac dst_mac = XdpHarness::port_mac(1);
  std::vector<Vlan> tags = {};
  Bytes payload = {};
  std::optional<std::uint16_t> checksum = {};  // of TCP or UDP; nullopt: the right one
};

inline Layer ip_layer(const std::string& src, const std::string& dst, std::uint8_t ttl = 64) {
  if (family_of(src) == AF_INET) return IPv4{.src = src, .dst = dst, .ttl = ttl};
  return IPv6{.src = src, .dst = dst, .hop_limit = ttl};
}

inline Packet packet(const Segment& s) {
  Packet p{Ethernet{.dst = s.dst_mac, .src = s.src_mac}};
  for (const Vlan& tag : s.tags) p.append(tag);
  p.append(ip_layer(s.src, s.dst, s.ttl));
  if (s.protocol == IPPROTO_TCP)
    p.append(Tcp{.sport = s.sport, .dport = s.dport, .flags = s.flags, .checksum = s.checksum});
  else
    p.append(Udp{.sport = s.sport, .dport = s.dport, .checksum = s.checksum});
  p.append(Payload{s.payload});
  return p;
}
inline Bytes frame(const Segment& segment) {
  return packet(segment).build();
}

// Who has `target`? ARP for IPv4, a neighbour solicitation (RFC 4861, section 4.3) for IPv6.
inline Bytes arp_body(std::uint16_t operation, const std::string& sender, const std::string& target) {
  Bytes body{0, 1, 0x08, 0x00, 6, 4, static_cast<std::uint8_t>(operation >> 8), static_cast<std::uint8_t>(operation)};
  const auto add = [&](const auto& bytes) { body.insert(body.end(), bytes.begin(), bytes.end()); };
  add(kClientMac);
  add(address_bytes(sender));
  add(Mac{});
  add(address_bytes(target));
  return body;
}
inline Packet solicitation(const std::string& sender, const std::string& target) {
  const Ethernet everybody{.dst = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, .src = kClientMac};
  if (family_of(target) == AF_INET) {
    Ethernet arp = everybody;
    arp.type = 0x0806;
    return arp / Payload(arp_body(1, sender, target));
  }
  return everybody / IPv6{.src = sender, .dst = "ff02::1:ff00:10", .hop_limit = 255} / Icmp{.type = 135, .rest = 0} /
         Payload(address_bytes(target));
}

// Bytes of IP packet in an untagged frame.
inline std::uint64_t ip_length(const Bytes& frame_bytes) {
  return frame_bytes.size() - 14;
}

inline Bytes text(const char* characters) {
  return Payload{characters}.bytes;
}

// What a NAT request becomes on its way to a backend.
inline Segment towards(const Segment& request, const BackendSpec& backend) {
  Segment s = request;
  if (backend.method == LVS_METHOD_NAT) {
    s.dst = backend.address;
    s.dport = backend.port;
  }
  s.ttl--;
  s.src_mac = XdpHarness::port_mac(backend.out);
  s.dst_mac = backend.mac;
  return s;
}

// What the backend answers to a NAT request, as it arrives, and what the client must get.
inline Segment answer(const Segment& request, const BackendSpec& backend, std::uint8_t flags = kAck) {
  Segment s = request;
  s.src = backend.address;
  s.sport = backend.port;
  s.dst = request.src;
  s.dport = request.sport;
  s.flags = flags;
  s.src_mac = backend.mac;
  s.dst_mac = XdpHarness::port_mac(backend.out);
  return s;
}
inline Segment answered(const Segment& request, const Segment& reply, unsigned client_port = 1) {
  Segment s = reply;
  s.src = request.dst;
  s.sport = request.dport;
  s.ttl--;
  s.src_mac = XdpHarness::port_mac(client_port);
  s.dst_mac = request.src_mac;
  return s;
}

// Verdict by name, so that a failure reads "XDP_DROP" rather than 1.
#define EXPECT_VERDICT(outcome, expected) EXPECT_EQ(verdict_name((outcome).verdict), #expected)

#define EXPECT_FORWARDED(outcome, expected_verdict, expected_frame)                \
  do {                                                                             \
    const Outcome& xlvs_outcome = (outcome);                                       \
    EXPECT_EQ(verdict_name(xlvs_outcome.verdict), verdict_name(expected_verdict)); \
    EXPECT_EQ(difference(xlvs_outcome.frame, expected_frame), "");                 \
  } while (false)

#define EXPECT_UNTOUCHED(outcome, expected_verdict, sent_frame) EXPECT_FORWARDED(outcome, expected_verdict, sent_frame)

inline std::uint32_t verdict_out(unsigned out, unsigned in) {
  return out == in ? XDP_TX : XDP_REDIRECT;
}

// A service with one listener and the given backends.
struct Pool {
  std::uint32_t service = 0, listener = 0;
  std::vector<std::uint32_t> backends;
};
inline Pool add_pool(XdpHarness& x, const std::string& vip, std::uint16_t port, std::uint8_t protocol,
                     const std::vector<BackendSpec>& backends, lvs_pick pick = LVS_PICK_CURSOR,
                     std::uint32_t flags = 0) {
  Pool pool;
  pool.service = x.add_service(pick, flags);
  pool.listener = x.add_listener(pool.service, vip, port, protocol);
  for (const BackendSpec& spec : backends) pool.backends.push_back(x.add_backend(pool.service, spec));
  return pool;
}

// Tests that hold for both families: TEST_P(PerFamily, ...) with n = net(GetParam()).
class PerFamily : public ::testing::TestWithParam<int> {
 protected:
  const Net& n = net(GetParam());
};
inline std::string family_name(const ::testing::TestParamInfo<int>& info) {
  return info.param == AF_INET ? "IPv4" : "IPv6";
}
#define XLVS_FOR_BOTH_FAMILIES(Suite) \
  INSTANTIATE_TEST_SUITE_P(Families, Suite, ::testing::Values(AF_INET, AF_INET6), family_name)

}  // namespace xlvs::test
