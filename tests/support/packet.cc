// SPDX-License-Identifier: Apache-2.0
#include "tests/support/packet.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <stdexcept>
#include <type_traits>

namespace xlvs::test {
namespace {

constexpr std::uint8_t kNothingNext = 59, kReserved = 255;  // what a packet without a body says in its next header
constexpr std::uint16_t kTypeIPv4 = 0x0800, kTypeIPv6 = 0x86dd;

void put16(Bytes& out, std::size_t at, std::uint16_t value) {
  out[at] = static_cast<std::uint8_t>(value >> 8);
  out[at + 1] = static_cast<std::uint8_t>(value);
}
void add8(Bytes& out, unsigned value) {
  out.push_back(static_cast<std::uint8_t>(value));
}
void add16(Bytes& out, unsigned value) {
  add8(out, value >> 8);
  add8(out, value);
}
void add32(Bytes& out, std::uint32_t value) {
  add16(out, value >> 16);
  add16(out, value & 0xffff);
}
void add(Bytes& out, View bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

std::uint16_t get16(View in, std::size_t at) {
  return static_cast<std::uint16_t>(in[at] << 8 | in[at + 1]);
}

// What the layer below writes into its "next" field.
std::uint8_t protocol_of(const Layer& layer, bool ipv6) {
  if (std::holds_alternative<Tcp>(layer)) return IPPROTO_TCP;
  if (std::holds_alternative<Udp>(layer)) return IPPROTO_UDP;
  if (std::holds_alternative<Icmp>(layer)) return ipv6 ? std::uint8_t{IPPROTO_ICMPV6} : std::uint8_t{IPPROTO_ICMP};
  if (const auto* extension = std::get_if<Extension>(&layer)) return extension->number;
  return ipv6 ? kNothingNext : kReserved;
}

std::uint16_t type_of(const Layer& layer) {
  if (const auto* tag = std::get_if<Vlan>(&layer)) return tag->tpid;
  if (std::holds_alternative<IPv4>(layer)) return kTypeIPv4;
  if (std::holds_alternative<IPv6>(layer)) return kTypeIPv6;
  return 0x88b5;  // local experimental
}

std::uint32_t pseudo_header(View source, View destination, std::uint8_t protocol, std::size_t length) {
  Bytes pseudo;
  add(pseudo, source);
  add(pseudo, destination);
  add32(pseudo, static_cast<std::uint32_t>(length));
  add32(pseudo, protocol);
  return ones_sum(pseudo);
}

// Serialises from the last layer to the first, so that every layer knows the bytes that it carries.
class Builder {
 public:
  explicit Builder(const std::vector<Layer>& layers) : layers_(layers) {
    for (const Layer& layer : layers) {
      if (const auto* ip = std::get_if<IPv4>(&layer)) set_addresses(ip->src, ip->dst, false);
      if (const auto* ip = std::get_if<IPv6>(&layer)) set_addresses(ip->src, ip->dst, true);
    }
  }

  Bytes run() {
    for (std::size_t i = layers_.size(); i-- > 0;) {
      next_ = i + 1 < layers_.size() ? &layers_[i + 1] : nullptr;
      Bytes bytes = std::visit([this](const auto& layer) { return write(layer); }, layers_[i]);
      body_.insert(body_.begin(), bytes.begin(), bytes.end());
    }
    return body_;
  }

 private:
  void set_addresses(const std::string& src, const std::string& dst, bool ipv6) {
    source_ = address_bytes(src);
    destination_ = address_bytes(dst);
    ipv6_ = ipv6;
  }

  std::uint16_t l4_checksum(const Bytes& header, std::uint8_t protocol) const {
    Bytes all = header;
    add(all, body_);
    const bool pseudo = !source_.empty() && protocol != IPPROTO_ICMP;
    return static_cast<std::uint16_t>(
        ~ones_sum(all, pseudo ? pseudo_header(source_, destination_, protocol, all.size()) : 0));
  }

  Bytes write(const Ethernet& e) const {
    Bytes out(e.dst.begin(), e.dst.end());
    add(out, e.src);
    const bool tagged = next_ && std::holds_alternative<Vlan>(*next_);
    add16(out, tagged || !e.type ? (next_ ? type_of(*next_) : 0x88b5) : *e.type);
    return out;
  }
  Bytes write(const Vlan& v) const {
    Bytes out;
    add16(out, v.tci);
    const auto* ethernet = std::get_if<Ethernet>(&layers_.front());
    const bool last = !next_ || !std::holds_alternative<Vlan>(*next_);
    add16(out, last && ethernet && ethernet->type ? *ethernet->type : (next_ ? type_of(*next_) : 0x88b5));
    return out;
  }
  Bytes write(const IPv4& ip) const {
    const std::size_t length = 20 + ip.options.size();
    Bytes out;
    add8(out,
         static_cast<unsigned>(ip.version.value_or(4) << 4) | ip.ihl.value_or(static_cast<std::uint8_t>(length / 4)));
    add8(out, ip.tos);
    add16(out, ip.total_length.value_or(static_cast<std::uint16_t>(length + body_.size())));
    add16(out, ip.id);
    add16(out, ip.fragment);
    add8(out, ip.ttl);
    add8(out, ip.protocol.value_or(next_ ? protocol_of(*next_, false) : kReserved));
    add16(out, 0);
    add(out, address_bytes(ip.src));
    add(out, address_bytes(ip.dst));
    add(out, ip.options);
    put16(out, 10, ip.checksum.value_or(static_cast<std::uint16_t>(~ones_sum(out))));
    return out;
  }
  Bytes write(const IPv6& ip) const {
    Bytes out;
    add32(out, static_cast<std::uint32_t>(ip.version.value_or(6)) << 28 | (ip.class_and_label & 0x0fffffff));
    add16(out, ip.payload_length.value_or(static_cast<std::uint16_t>(body_.size())));
    add8(out, ip.next_header.value_or(next_ ? protocol_of(*next_, true) : kNothingNext));
    add8(out, ip.hop_limit);
    add(out, address_bytes(ip.src));
    add(out, address_bytes(ip.dst));
    return out;
  }
  Bytes write(const Extension& x) const {
    Bytes out;
    add8(out, x.next_header.value_or(next_ ? protocol_of(*next_, true) : kNothingNext));
    add(out, x.body);
    return out;
  }
  Bytes write(const Tcp& t) const {
    Bytes out;
    add16(out, t.sport);
    add16(out, t.dport);
    add32(out, t.seq);
    add32(out, t.ack);
    add8(out, static_cast<unsigned>(t.data_offset.value_or(static_cast<std::uint8_t>(5 + t.options.size() / 4)) << 4));
    add8(out, t.flags);
    add16(out, t.window);
    add32(out, 0);
    add(out, t.options);
    put16(out, 16, t.checksum ? *t.checksum : l4_checksum(out, IPPROTO_TCP));
    return out;
  }
  Bytes write(const Udp& u) const {
    Bytes out;
    add16(out, u.sport);
    add16(out, u.dport);
    add16(out, u.length.value_or(static_cast<std::uint16_t>(8 + body_.size())));
    add16(out, 0);
    std::uint16_t sum = l4_checksum(out, IPPROTO_UDP);
    if (sum == 0) sum = 0xffff;
    put16(out, 6, u.checksum.value_or(sum));
    return out;
  }
  Bytes write(const Icmp& icmp) const {
    Bytes out;
    add8(out, icmp.type);
    add8(out, icmp.code);
    add16(out, 0);
    add32(out, icmp.rest);
    put16(out, 2, l4_checksum(out, ipv6_ ? std::uint8_t{IPPROTO_ICMPV6} : std::uint8_t{IPPROTO_ICMP}));
    return out;
  }
  Bytes write(const Payload& p) const { return p.bytes; }

  const std::vector<Layer>& layers_;
  const Layer* next_ = nullptr;
  Bytes body_, source_, destination_;
  bool ipv6_ = false;
};

std::string address_text(int family, View bytes) {
  char text[INET6_ADDRSTRLEN] = "";
  inet_ntop(family, bytes.data(), text, sizeof text);
  return text;
}

bool parse_ip(View frame, Parsed& p) {
  if (p.type == kTypeIPv4) {
    if (frame.size() < p.l3 + 20 || frame[p.l3] != 0x45) return false;
    if ((get16(frame, p.l3 + 6) & 0x3fff) != 0) return false;  // a fragment
    p.family = AF_INET;
    p.l4 = p.l3 + 20;
    p.end = p.l3 + get16(frame, p.l3 + 2);
    p.ttl = frame[p.l3 + 8];
    p.protocol = frame[p.l3 + 9];
    p.source = address_text(AF_INET, frame.subspan(p.l3 + 12));
    p.destination = address_text(AF_INET, frame.subspan(p.l3 + 16));
    return true;
  }
  if (p.type != kTypeIPv6 || frame.size() < p.l3 + 40 || frame[p.l3] >> 4 != 6) return false;
  p.family = AF_INET6;
  p.l4 = p.l3 + 40;
  p.end = p.l4 + get16(frame, p.l3 + 4);
  p.ttl = frame[p.l3 + 7];
  p.protocol = frame[p.l3 + 6];
  p.source = address_text(AF_INET6, frame.subspan(p.l3 + 8));
  p.destination = address_text(AF_INET6, frame.subspan(p.l3 + 24));
  return true;
}

std::string describe(View frame) {
  const auto p = parse(frame);
  if (!p) return fmt::format("{} bytes, not TCP or UDP", frame.size());
  return fmt::format("{} > {} tags {} {}:{} > {}:{} {} ttl {} length {} ip-sum {} l4-sum {}", to_text(p->src),
                     to_text(p->dst), p->tags, p->source, p->sport, p->destination, p->dport,
                     p->protocol == IPPROTO_TCP ? "tcp" : "udp", p->ttl, frame.size(),
                     ip_checksum_correct(frame, *p) ? "ok" : "WRONG", l4_checksum_correct(frame, *p) ? "ok" : "WRONG");
}

// The two forms of zero in one of the checksum fields of TCP and IP; never of UDP, where 0 means "none".
bool equivalent_checksum(View actual, View expected, std::size_t at) {
  const auto p = parse(expected);
  if (!p) return false;
  const bool ip_field = p->family == AF_INET && (at == p->l3 + 10 || at == p->l3 + 11);
  const bool tcp_field = p->protocol == IPPROTO_TCP && (at == p->l4 + 16 || at == p->l4 + 17);
  if (!ip_field && !tcp_field) return false;
  const auto q = parse(actual);
  return q && ip_checksum_correct(actual, *q) && l4_checksum_correct(actual, *q);
}

}  // namespace

Bytes Packet::build() const {
  return Builder(layers_).run();
}

std::uint16_t ones_sum(View bytes, std::uint32_t start) {
  std::uint64_t sum = start;
  for (std::size_t i = 0; i < bytes.size(); i += 2)
    sum += static_cast<std::uint64_t>(bytes[i]) << 8 | (i + 1 < bytes.size() ? bytes[i + 1] : 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

std::optional<Parsed> parse(View frame) {
  Parsed p;
  if (frame.size() < 14) return std::nullopt;
  std::copy_n(frame.begin(), 6, p.dst.begin());
  std::copy_n(frame.begin() + 6, 6, p.src.begin());
  p.type = get16(frame, 12);
  p.l3 = 14;
  while (p.tags < 2 && (p.type == 0x8100 || p.type == 0x88a8)) {
    if (frame.size() < p.l3 + 4) return std::nullopt;
    p.type = get16(frame, p.l3 + 2);
    p.l3 += 4;
    p.tags++;
  }
  if (!parse_ip(frame, p) || p.end > frame.size()) return std::nullopt;
  const std::size_t header = p.protocol == IPPROTO_TCP ? 20 : p.protocol == IPPROTO_UDP ? 8 : 0;
  if (header == 0 || p.end < p.l4 + header) return std::nullopt;
  p.sport = get16(frame, p.l4);
  p.dport = get16(frame, p.l4 + 2);
  if (p.protocol == IPPROTO_TCP) {
    const std::size_t offset = (frame[p.l4 + 12] >> 4) * 4U;
    if (offset < 20 || p.l4 + offset > p.end) return std::nullopt;
  } else {
    const std::size_t length = get16(frame, p.l4 + 4);
    if (length < 8 || p.l4 + length > p.end) return std::nullopt;
  }
  return p;
}

bool ip_checksum_correct(View frame, const Parsed& at) {
  return at.family == AF_INET6 || ones_sum(frame.subspan(at.l3, 20)) == 0xffff;
}

bool l4_checksum_correct(View frame, const Parsed& at) {
  std::size_t length = at.end - at.l4;
  if (at.protocol == IPPROTO_UDP) {
    if (get16(frame, at.l4 + 6) == 0) return at.family == AF_INET;
    length = get16(frame, at.l4 + 4);
  }
  const bool four = at.family == AF_INET;
  const View source = frame.subspan(at.l3 + (four ? 12 : 8), four ? 4 : 16);
  const View destination = frame.subspan(at.l3 + (four ? 16 : 24), four ? 4 : 16);
  return ones_sum(frame.subspan(at.l4, length), pseudo_header(source, destination, at.protocol, length)) == 0xffff;
}

std::string difference(View actual, View expected) {
  std::string text;
  if (actual.size() != expected.size())
    text += fmt::format("  length {}, expected {}\n", actual.size(), expected.size());
  for (std::size_t i = 0; i < std::min(actual.size(), expected.size()); i++)
    if (actual[i] != expected[i] && !equivalent_checksum(actual, expected, i))
      text += fmt::format("  byte {}: {:02x}, expected {:02x}\n", i, actual[i], expected[i]);
  if (text.empty()) return text;
  return fmt::format("\n  actual   {}\n  expected {}\n{}", describe(actual), describe(expected), text);
}

Bytes address_bytes(const std::string& address) {
  Bytes bytes(16);
  if (inet_pton(AF_INET, address.c_str(), bytes.data()) == 1) {
    bytes.resize(4);
    return bytes;
  }
  if (inet_pton(AF_INET6, address.c_str(), bytes.data()) == 1) return bytes;
  throw std::invalid_argument("not an address: " + address);
}

std::string to_text(const Mac& mac) {
  return fmt::format("{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

}  // namespace xlvs::test
