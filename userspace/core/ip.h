// SPDX-License-Identifier: Apache-2.0
// Addresses. All types are small values, immutable in practice, usable as keys of ordered and unordered containers, and
// may be used from any thread. Bytes are in network order, ports in host order.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "core/result.h"

namespace xlvs {

enum class Family : std::uint8_t { ipv4 = 4, ipv6 = 6 };
enum class Protocol : std::uint8_t { tcp = 6, udp = 17 };  // the IANA protocol numbers

[[nodiscard]] std::string_view to_string(Family family);      // "ipv4", "ipv6"
[[nodiscard]] std::string_view to_string(Protocol protocol);  // "tcp", "udp"

class IpAddress {
 public:
  constexpr IpAddress() = default;  // 0.0.0.0

  // Dotted quad or RFC 4291 text; no zone, no prefix length, no leading or trailing blanks. IPv4-mapped IPv6 is
  // refused.
  [[nodiscard]] static Result<IpAddress> parse(std::string_view text);
  [[nodiscard]] static IpAddress v4(std::array<std::uint8_t, 4> bytes);
  [[nodiscard]] static IpAddress v6(const std::array<std::uint8_t, 16>& bytes);

  [[nodiscard]] Family family() const { return family_; }
  [[nodiscard]] bool is_v4() const { return family_ == Family::ipv4; }
  [[nodiscard]] bool is_v6() const { return family_ == Family::ipv6; }
  // 4 or 16 bytes.
  [[nodiscard]] std::span<const std::uint8_t> bytes() const { return {bytes_.data(), is_v4() ? 4U : 16U}; }
  // Could be the address of one host: neither unspecified, multicast nor limited broadcast.
  [[nodiscard]] bool is_unicast() const;
  // RFC 5952 text.
  [[nodiscard]] std::string to_string() const;

  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;

 private:
  Family family_ = Family::ipv4;
  std::array<std::uint8_t, 16> bytes_{};  // IPv4: the first four, the rest zero
};

// An address and a port: "10.0.0.1:80", "[2001:db8::1]:80".
struct Endpoint {
  IpAddress address;
  std::uint16_t port = 0;

  [[nodiscard]] static Result<Endpoint> parse(std::string_view text);
  [[nodiscard]] std::string to_string() const;
  friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

// What a virtual service listens on: "198.51.100.10:80/tcp", "[2001:db8::10]:53/udp".
struct Listener {
  IpAddress address;
  std::uint16_t port = 0;  // 1..65535
  Protocol protocol = Protocol::tcp;

  [[nodiscard]] static Result<Listener> parse(std::string_view text);
  [[nodiscard]] std::string to_string() const;
  friend auto operator<=>(const Listener&, const Listener&) = default;
};

struct MacAddress {
  std::array<std::uint8_t, 6> bytes{};

  [[nodiscard]] std::string to_string() const;  // "02:00:00:00:00:01"
  friend auto operator<=>(const MacAddress&, const MacAddress&) = default;
};

}  // namespace xlvs

template <>
struct std::hash<xlvs::IpAddress> {
  std::size_t operator()(const xlvs::IpAddress& address) const noexcept;
};
template <>
struct std::hash<xlvs::Endpoint> {
  std::size_t operator()(const xlvs::Endpoint& endpoint) const noexcept;
};
