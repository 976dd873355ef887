// SPDX-License-Identifier: Apache-2.0
// Damaged packets: every header cut at every length, every length field wrong, and random mutations. Whatever comes in,
// a packet is either left exactly as it was or rewritten correctly, and what concerns a VIP is counted.
#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "tests/datapath/fixture.h"

namespace xlvs::test {
namespace {

bool sent_on(const Outcome& outcome) {
  return outcome.verdict == XDP_TX || outcome.verdict == XDP_REDIRECT;
}

std::uint64_t total(const XdpHarness& x) {
  std::uint64_t sum = 0;
  for (const auto& [name, count] : x.reasons()) sum += count;
  return sum;
}

class Malformed : public PerFamily {
 protected:
  const BackendSpec nat{.address = n.server1, .port = 8080};
  const BackendSpec dr{.address = n.server2, .port = 80, .method = LVS_METHOD_DR};
  XdpHarness x{{.buckets4 = 1024, .buckets6 = 1024}};
  const Pool web = add_pool(x, n.vip, 80, IPPROTO_TCP, {nat});
  const Pool dns = add_pool(x, n.vip, 53, IPPROTO_UDP, {nat});
  const Pool direct = add_pool(x, n.vip2, 80, IPPROTO_TCP, {dr});
  const Ethernet ethernet{.dst = XdpHarness::port_mac(1), .src = kClientMac};
  const std::size_t ip_header = GetParam() == AF_INET ? 20 : 40;

  Packet ip(const Layer& l4, const std::string& destination) const {
    return ethernet / ip_layer(n.client, destination) / l4 / Payload("payload!");
  }
  void expect_malformed(const Packet& packet, const std::string& what) {
    SCOPED_TRACE(what);
    const std::uint64_t before = x.reason(LVS_REASON_malformed), all = total(x);
    const Bytes bytes = packet.build();
    EXPECT_UNTOUCHED(x.run(bytes), XDP_DROP, bytes);
    EXPECT_EQ(x.reason(LVS_REASON_malformed), before + 1);
    EXPECT_EQ(total(x), all + 1);
  }
};
XLVS_FOR_BOTH_FAMILIES(Malformed);

// Too short to tell the destination: the host's. From there on a packet for a VIP must be whole.
TEST_P(Malformed, EveryTruncationOfARequestIsDroppedAndCounted) {
  for (const unsigned tags : {0U, 1U, 2U})
    for (const Layer& l4 : {Layer(Tcp{}), Layer(Tcp{.options = Bytes(12, 1)}), Layer(Udp{})}) {
      Packet packet(ethernet);
      for (unsigned i = 0; i < tags; i++) packet.append(Vlan{});
      packet = packet / ip_layer(n.client, n.vip) / l4 / Payload("payload!");
      const Bytes whole = packet.build();
      const std::size_t destination_known = 14 + 4 * tags + ip_header;
      for (std::size_t length = 14; length < whole.size(); length++) {
        SCOPED_TRACE(fmt::format("{} of {} bytes, {} tags", length, whole.size(), tags));
        const std::uint64_t before = x.reason(LVS_REASON_malformed), all = total(x);
        const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
        const bool ours = length >= destination_known;
        EXPECT_UNTOUCHED(x.run(cut), ours ? XDP_DROP : XDP_PASS, cut);
        EXPECT_EQ(x.reason(LVS_REASON_malformed) - before, ours ? 1U : 0U);
        EXPECT_EQ(total(x) - all, ours ? 1U : 0U);
      }
      const bool forwarded = !difference(x.run(whole).frame, whole).empty();
      EXPECT_EQ(forwarded, tags == 0);  // a tag does not fit the other interface
    }
  EXPECT_EQ(x.drift(), "");
}

// The lengths agree with each other, but the headers they promise do not fit.
TEST_P(Malformed, EveryConsistentlyShortPacketIsDroppedAndCounted) {
  for (const bool tcp : {true, false}) {
    const Bytes whole = ip(tcp ? Layer(Tcp{}) : Layer(Udp{}), n.vip).build();
    const std::size_t header = tcp ? 20 : 8;
    for (std::size_t room = 0; room < header; room++) {
      Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(14 + ip_header + room));
      const std::size_t field = GetParam() == AF_INET ? 16 : 18;
      const std::size_t value = GetParam() == AF_INET ? ip_header + room : room;
      cut[field] = 0;
      cut[field + 1] = static_cast<std::uint8_t>(value);
      for (const std::size_t padding :
           {std::size_t{0}, std::size_t{40}}) {  // the bytes are there, but not the packet's
        const std::uint64_t before = x.reason(LVS_REASON_malformed);
        Bytes padded = cut;
        padded.resize(cut.size() + padding, 0x50);
        EXPECT_UNTOUCHED(x.run(padded), XDP_DROP, padded);
        EXPECT_EQ(x.reason(LVS_REASON_malformed), before + 1) << room << " bytes of " << header;
      }
    }
  }
}

TEST_P(Malformed, TruncatedTrafficOfOthersPasses) {
  const Bytes whole = ip(Tcp{}, n.stranger).build();
  for (std::size_t length = 14; length <= whole.size(); length++) {
    const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
    EXPECT_UNTOUCHED(x.run(cut), XDP_PASS, cut);
  }
  EXPECT_EQ(total(x), 0U);
}

TEST_P(Malformed, TruncatedRepliesAreNotRewritten) {
  const Segment request{.src = n.client, .dst = n.vip};
  x.run(frame(request));
  Segment reply = answer(request, nat, kSyn | kAck);
  reply.payload = text("payload!");
  const Bytes whole = frame(reply);
  for (std::size_t length = 14; length < whole.size(); length++) {
    const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
    const Outcome outcome = x.run(cut, 2);
    EXPECT_FALSE(sent_on(outcome)) << length;
    EXPECT_EQ(difference(outcome.frame, cut), "");
  }
  EXPECT_VERDICT(x.run(whole, 2), XDP_REDIRECT);
}

TEST_P(Malformed, TcpHeadersThatContradictThemselves) {
  for (std::uint8_t offset = 0; offset < 16; offset++) {
    if (offset >= 5 && offset * 4U <= 20 + 8) continue;  // 8 bytes of payload can be taken for options
    expect_malformed(ip(Tcp{.data_offset = offset}, n.vip), fmt::format("data offset {}", offset));
  }
}

TEST_P(Malformed, UdpHeadersThatContradictThemselves) {
  for (const std::uint16_t length : std::initializer_list<std::uint16_t>{0, 1, 7, 17, 18, 1000, 65535})
    expect_malformed(ip(Udp{.length = length}, n.vip), fmt::format("UDP length {}", length));
}

TEST_P(Malformed, UdpShorterThanItsIpPacketIsLegal) {
  Segment request{.src = n.client, .dst = n.vip, .dport = 53, .protocol = IPPROTO_UDP, .payload = text("12345678")};
  Packet sent = packet(request), expected = packet(towards(request, nat));
  for (Packet* p : {&sent, &expected}) {
    p->at<Udp>().length = 12;
    p->at<Udp>().checksum = 0;
  }
  if (GetParam() == AF_INET6) return;  // there the checksum is not optional
  EXPECT_FORWARDED(x.run(sent.build()), XDP_REDIRECT, expected.build());
}

TEST_P(Malformed, IpHeadersThatContradictThemselves) {
  if (GetParam() == AF_INET) {
    for (const std::uint8_t ihl : std::initializer_list<std::uint8_t>{0, 1, 4}) {
      Packet packet = ip(Tcp{}, n.vip);
      packet.at<IPv4>().ihl = ihl;
      expect_malformed(packet, fmt::format("header length {}", ihl));
    }
    for (const std::uint16_t length : std::initializer_list<std::uint16_t>{0, 19, 20, 39, 49, 65535}) {
      Packet packet = ip(Tcp{}, n.vip);
      packet.at<IPv4>().total_length = length;
      if (length == 49) continue;  // one byte of padding: legal
      expect_malformed(packet, fmt::format("total length {}", length));
    }
    return;
  }
  for (const std::uint16_t length : std::initializer_list<std::uint16_t>{0, 1, 19, 29, 65535}) {
    Packet packet = ip(Tcp{}, n.vip);
    packet.at<IPv6>().payload_length = length;
    expect_malformed(packet, fmt::format("payload length {}", length));
  }
}

TEST_P(Malformed, AnotherVersionThanTheEtherTypeSaysIsNeverForwarded) {
  for (std::uint8_t version = 0; version < 16; version++) {
    Packet packet = ip(Tcp{}, n.vip);
    if (GetParam() == AF_INET) {
      if (version == 4) continue;
      packet.at<IPv4>().version = version;
    } else {
      if (version == 6) continue;
      packet.at<IPv6>().version = version;
    }
    const Bytes bytes = packet.build();
    const Outcome outcome = x.run(bytes);
    EXPECT_FALSE(sent_on(outcome)) << static_cast<unsigned>(version);
    EXPECT_EQ(difference(outcome.frame, bytes), "");
  }
}

TEST_P(Malformed, FragmentsAndOptionsForAVipAreDroppedByTheirOwnReasons) {
  if (GetParam() == AF_INET) {
    for (const std::uint16_t fragment : std::initializer_list<std::uint16_t>{0x2000, 0x0001, 0x1fff, 0x3fff, 0x6000}) {
      Packet packet = ip(Tcp{}, n.vip);
      packet.at<IPv4>().fragment = fragment;
      EXPECT_UNTOUCHED(x.run(packet.build()), XDP_DROP, packet.build());
    }
    Packet evil = ip(Tcp{}, n.vip);
    evil.at<IPv4>().fragment = 0x8000;  // a reserved bit is no fragment
    EXPECT_VERDICT(x.run(evil.build()), XDP_REDIRECT);
    EXPECT_EQ(x.reason(LVS_REASON_fragment), 5U);
    for (const std::size_t length : {4U, 20U, 40U}) {
      Packet packet = ip(Tcp{}, n.vip);
      packet.at<IPv4>().options = Bytes(length, 1);
      EXPECT_UNTOUCHED(x.run(packet.build()), XDP_DROP, packet.build());
    }
  } else {
    for (const std::uint8_t number : std::initializer_list<std::uint8_t>{0, 43, 60}) {
      const Bytes bytes = (ethernet / ip_layer(n.client, n.vip) / Extension{.number = number} / Tcp{}).build();
      EXPECT_UNTOUCHED(x.run(bytes), XDP_DROP, bytes);
    }
    const Bytes bytes = (ethernet / ip_layer(n.client, n.vip) / Extension{.number = 44} / Udp{}).build();
    EXPECT_UNTOUCHED(x.run(bytes), XDP_DROP, bytes);
    EXPECT_EQ(x.reason(LVS_REASON_fragment), 1U);
  }
  EXPECT_EQ(x.reason(LVS_REASON_ip_options), 3U);
}

// ---- random mutations ----------------------------------------------------------------------------------------------

class Fuzz : public Malformed {
 protected:
  std::mt19937_64 engine{static_cast<std::uint64_t>(GetParam())};
  std::uint32_t below(std::size_t limit) { return static_cast<std::uint32_t>(engine() % limit); }

  std::vector<Bytes> seeds() {
    std::vector<Bytes> all;
    for (const std::vector<Vlan>& tags : {std::vector<Vlan>{}, {}, {{.tci = 5}}, {{.tci = 5, .tpid = 0x88a8}, {.tci = 6}}})
      for (const auto& [vip, port, protocol] :
           {std::tuple(n.vip, 80, IPPROTO_TCP), {n.vip, 53, IPPROTO_UDP}, {n.vip2, 80, IPPROTO_TCP}}) {
        Segment s{.src = n.client,
                  .dst = vip,
                  .dport = static_cast<std::uint16_t>(port),
                  .protocol = static_cast<std::uint8_t>(protocol),
                  .tags = tags,
                  .payload = text("0123456789")};
        all.push_back(frame(s));
        x.run(all.back());
        s.flags = kAck;
        all.push_back(frame(s));
        Segment reply = answer(s, nat);
        all.push_back(frame(reply));
      }
    return all;
  }
  Bytes mutated(const Bytes& seed) {
    Bytes bytes = seed;
    const unsigned kind = below(10);
    if (kind == 0) bytes.resize(14 + below(seed.size() - 13));
    if (kind == 1) bytes.resize(seed.size() + below(60), static_cast<std::uint8_t>(engine()));
    if (kind == 2) return seed;
    const unsigned changes = kind < 7 ? 1 : 1 + below(4);
    for (unsigned i = 0; i < changes; i++) {
      const std::size_t at = below(std::min<std::size_t>(bytes.size(), 80));
      if (below(2))
        bytes[at] ^= static_cast<std::uint8_t>(1U << below(8));
      else
        bytes[at] = static_cast<std::uint8_t>(below(4) ? engine() : 255 * below(2));
    }
    return bytes;
  }

  // What a forwarded packet may differ in; everything else must be as it came.
  static std::string wrong(const Bytes& in, const Outcome& outcome) {
    if (!sent_on(outcome)) return difference(outcome.frame, in);
    const Bytes& out = outcome.frame;
    const auto before = parse(in), after = parse(out);
    if (!before) return "forwarded, though it is no complete TCP or UDP packet";
    if (!after || out.size() != in.size()) return "no packet any more";
    if (after->ttl != before->ttl - 1) return "TTL not decremented";
    const bool udp_without = before->protocol == IPPROTO_UDP && in[before->l4 + 6] == 0 && in[before->l4 + 7] == 0;
    if (ip_checksum_correct(in, *before) != ip_checksum_correct(out, *after))
      return "IP checksum not kept right or wrong";
    if (!udp_without && l4_checksum_correct(in, *before) != l4_checksum_correct(out, *after))
      return "TCP or UDP checksum not kept right or wrong";
    if (udp_without && (out[after->l4 + 6] != 0 || out[after->l4 + 7] != 0)) return "UDP checksum out of nothing";
    std::vector<bool> allowed(in.size(), false);
    const auto allow = [&](std::size_t from, std::size_t count) {
      for (std::size_t i = 0; i < count; i++) allowed[from + i] = true;
    };
    const std::size_t l3 = before->l3, l4 = before->l4;
    allow(0, 12);
    allow(l3 + (before->family == AF_INET ? 8 : 7), 1);                                    // TTL
    if (before->family == AF_INET) allow(l3 + 10, 2);                                      // checksum
    allow(l3 + (before->family == AF_INET ? 12 : 8), before->family == AF_INET ? 8 : 32);  // addresses
    allow(l4, 4);                                                                          // ports
    allow(l4 + (before->protocol == IPPROTO_TCP ? 16 : 6), 2);                             // checksum
    for (std::size_t i = 0; i < in.size(); i++)
      if (!allowed[i] && in[i] != out[i]) return fmt::format("byte {} changed", i);
    return "";
  }
};
XLVS_FOR_BOTH_FAMILIES(Fuzz);

TEST_P(Fuzz, MutatedPacketsAreForwardedRightOrNotTouched) {
  constexpr unsigned kPackets = 100'000;
  const std::vector<Bytes> all = seeds();
  unsigned forwarded = 0;
  for (unsigned i = 0; i < kPackets; i++) {
    const Bytes in = mutated(all[below(all.size())]);
    const Outcome outcome = x.run(in, 1 + below(2));
    forwarded += sent_on(outcome) ? 1 : 0;
    const std::string problem = wrong(in, outcome);
    if (!problem.empty()) {
      std::string hex;
      for (const std::uint8_t byte : in) hex += fmt::format("{:02x}", byte);
      FAIL() << "packet " << i << " " << verdict_name(outcome.verdict) << ": " << problem << "\n" << hex;
    }
  }
  EXPECT_GT(forwarded, kPackets / 10) << "the mutations must leave enough that is forwarded";
  EXPECT_LT(forwarded, kPackets);
  EXPECT_EQ(x.drift(), "");
}

}  // namespace
}  // namespace xlvs::test
