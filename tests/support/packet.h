// SPDX-License-Identifier: Apache-2.0
// Packets, composed layer by layer and parsed back:
//
//   Bytes frame = (Ethernet{} / IPv4{.src = "192.0.2.1", .dst = "198.51.100.10"} / Tcp{.dport = 80}).build();
//
// build() fills in every length, protocol number and checksum that was not given, checksums by plain RFC 1071 sums over
// the complete bytes: nothing here is shared with the code under test, which updates checksums incrementally.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace xlvs::test {

using Bytes = std::vector<std::uint8_t>;
using View = std::span<const std::uint8_t>;
using Mac = std::array<std::uint8_t, 6>;

// TCP flags as in the header's 14th byte
inline constexpr std::uint8_t kFin = 0x01, kSyn = 0x02, kRst = 0x04, kPsh = 0x08, kAck = 0x10, kUrg = 0x20;

struct Ethernet {
  Mac dst = {0x02, 0, 0, 0, 0, 0x01};
  Mac src = {0x02, 0, 0, 0, 0, 0x02};
  std::optional<std::uint16_t> type = {};  // of what follows the tags
};

struct Vlan {
  std::uint16_t tci = 1;
  std::uint16_t tpid = 0x8100;
};

struct IPv4 {
  std::string src = "0.0.0.0";
  std::string dst = "0.0.0.0";
  std::uint8_t ttl = 64;
  std::uint8_t tos = 0;
  std::uint16_t id = 0x1234;
  std::uint16_t fragment = 0x4000;  // flags and offset, as in the header: DF
  Bytes options = {};
  std::optional<std::uint8_t> version = {};
  std::optional<std::uint8_t> ihl = {};
  std::optional<std::uint16_t> total_length = {};
  std::optional<std::uint8_t> protocol = {};
  std::optional<std::uint16_t> checksum = {};
};

struct IPv6 {
  std::string src = "::";
  std::string dst = "::";
  std::uint8_t hop_limit = 64;
  std::uint32_t class_and_label = 0x00a12345;
  std::optional<std::uint8_t> version = {};
  std::optional<std::uint16_t> payload_length = {};
  std::optional<std::uint8_t> next_header = {};
};

// An IPv6 extension header: its own number, then what follows its first byte (the next header, filled in).
struct Extension {
  std::uint8_t number = 60;
  Bytes body = {0, 1, 4, 0, 0, 0, 0};  // destination options: length 0 (8 bytes), PadN
  std::optional<std::uint8_t> next_header = {};
};

struct Tcp {
  std::uint16_t sport = 40000;
  std::uint16_t dport = 80;
  std::uint8_t flags = kSyn;
  std::uint32_t seq = 0x01020304;
  std::uint32_t ack = 0x0a0b0c0d;
  std::uint16_t window = 0xfaf0;
  Bytes options = {};                            // a multiple of 4 bytes
  std::optional<std::uint8_t> data_offset = {};  // in 32-bit words
  std::optional<std::uint16_t> checksum = {};
};

struct Udp {
  std::uint16_t sport = 40000;
  std::uint16_t dport = 53;
  std::optional<std::uint16_t> length = {};
  std::optional<std::uint16_t> checksum = {};  // 0: the sender did not compute one
};

struct Icmp {  // ICMP under IPv4, ICMPv6 under IPv6
  std::uint8_t type = 8;
  std::uint8_t code = 0;
  std::uint32_t rest = 0x00010001;
};

struct Payload {
  Payload() = default;
  Payload(const char* text) : bytes(text, text + std::char_traits<char>::length(text)) {}
  Payload(Bytes content) : bytes(std::move(content)) {}
  Bytes bytes;
};

using Layer = std::variant<Ethernet, Vlan, IPv4, IPv6, Extension, Tcp, Udp, Icmp, Payload>;

class Packet {
 public:
  Packet() = default;
  explicit Packet(Layer first) : layers_{std::move(first)} {}
  void append(Layer layer) { layers_.push_back(std::move(layer)); }
  [[nodiscard]] Bytes build() const;

  // The first layer of this kind, to change one field of a packet that stands; throws when there is none.
  template <typename T>
  T& at() {
    for (Layer& layer : layers_)
      if (T* found = std::get_if<T>(&layer)) return *found;
    throw std::bad_variant_access();
  }
  template <typename T>
  [[nodiscard]] bool has() const {
    for (const Layer& layer : layers_)
      if (std::holds_alternative<T>(layer)) return true;
    return false;
  }

 private:
  std::vector<Layer> layers_;
};

template <typename T>
concept IsLayer = requires(Layer layer) { std::get<T>(layer); };

template <IsLayer A, IsLayer B>
Packet operator/(A a, B b) {
  Packet packet{Layer(std::move(a))};
  packet.append(std::move(b));
  return packet;
}
template <IsLayer B>
Packet operator/(Packet packet, B b) {
  packet.append(std::move(b));
  return packet;
}

inline Packet operator/(Packet packet, const Layer& layer) {  // for a layer chosen at run time
  packet.append(layer);
  return packet;
}
template <IsLayer A>
Packet operator/(A a, const Layer& layer) {
  Packet packet{Layer(std::move(a))};
  packet.append(layer);
  return packet;
}

// ---- reading back --------------------------------------------------------------------------------------------------

// RFC 1071 over `bytes`: the folded sum, not complemented. 0xffff for a region that contains its correct checksum.
[[nodiscard]] std::uint16_t ones_sum(View bytes, std::uint32_t start = 0);

// Where things lie in a frame, by a parser of its own that believes nothing but what is there.
struct Parsed {
  Mac dst{}, src{};
  unsigned tags = 0;
  std::uint16_t type = 0;
  int family = 0;                       // AF_INET, AF_INET6, 0: neither
  std::size_t l3 = 0, l4 = 0, end = 0;  // offsets; end: where the IP length says the packet ends
  std::uint8_t protocol = 0;            // IPPROTO_TCP or IPPROTO_UDP when a whole such header is there, else 0
  std::uint8_t ttl = 0;
  std::string source, destination;
  std::uint16_t sport = 0, dport = 0;
};
[[nodiscard]] std::optional<Parsed> parse(View frame);  // nullopt: no complete, unfragmented TCP or UDP over IP

[[nodiscard]] bool ip_checksum_correct(View frame, const Parsed& at);  // IPv6: true
// A UDP checksum of 0 is correct over IPv4 (absent) and wrong over IPv6.
[[nodiscard]] bool l4_checksum_correct(View frame, const Parsed& at);

// "" when equal, else one line for each field or byte range that differs, and both checksums' state. A checksum may
// differ from the expected one only as 0x0000 from 0xffff where both verify.
[[nodiscard]] std::string difference(View actual, View expected);

[[nodiscard]] Bytes address_bytes(const std::string& address);  // 4 or 16; throws on nonsense
[[nodiscard]] std::string to_text(const Mac& mac);

}  // namespace xlvs::test
