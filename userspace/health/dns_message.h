// SPDX-License-Identifier: Apache-2.0
// A DNS query, and what a reply to it is worth. Private to health/.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/ip.h"
#include "health/health.h"

namespace xlvs::health {

// Of a reply. Names may point to each other, so reading costs the square of the size: a fraction of a second for the
// 64 KiB that TCP could carry, some milliseconds for this.
inline constexpr std::size_t kMaxDnsReply = 16U << 10;

struct DnsExpectation {
  std::string query;                 // the name asked for, relative to the root: "www.example.com", "."
  std::string record = "A";          // its type
  std::string rcode = "NOERROR";     // that the reply must have
  bool answered = true;              // with NOERROR: at least one such record among the answers
  std::optional<IpAddress> address;  // which must be one of the A or AAAA records
};

// A recursive query of class IN.
[[nodiscard]] std::string make_dns_query(const DnsExpectation& expected, std::uint16_t id);

struct DnsVerdict {
  enum class Kind { judged, truncated, foreign };
  Kind kind = Kind::judged;  // truncated: ask again by TCP; foreign: no reply to this query, wait on
  ProbeResult result;
};
[[nodiscard]] DnsVerdict read_dns_reply(std::string_view message, const DnsExpectation& expected, std::uint16_t id);

}  // namespace xlvs::health
