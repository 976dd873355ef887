// SPDX-License-Identifier: Apache-2.0
// Echo requests and replies, ICMP and ICMPv6 (RFC 792, RFC 4443). Private to health/.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/ip.h"

namespace xlvs::health {

struct Echo {
  std::uint16_t id = 0;
  std::uint16_t sequence = 0;
  std::string payload;
};

// With its checksum, except for IPv6, whose checksum the kernel adds.
[[nodiscard]] std::string make_echo_request(Family family, const Echo& echo);
// `message` begins with the ICMP header; nullopt: it is no echo reply.
[[nodiscard]] std::optional<Echo> read_echo_reply(Family family, std::string_view message);
// The request that an ICMP error quotes, of which at least the header is there; its payload is of no interest.
[[nodiscard]] std::optional<Echo> read_quoted_request(Family family, std::string_view message);
// What follows the IPv4 header, which a raw socket leaves before the message; nullopt: there is none.
[[nodiscard]] std::optional<std::string_view> skip_ipv4_header(std::string_view packet);

}  // namespace xlvs::health
