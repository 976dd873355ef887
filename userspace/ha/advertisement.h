// SPDX-License-Identifier: Apache-2.0
// VRRP advertisements, from and to bytes. Version 3 is RFC 9568, version 2 is RFC 3768 (with the simple password of
// RFC 2338, which old peers may still ask for). Pure; may be used from any thread.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include "core/ip.h"

namespace xlvs::ha {

inline constexpr std::uint8_t kVrrpProtocol = 112;
inline constexpr std::uint8_t kVrrpTtl = 255;        // sent and demanded: an advertisement never crosses a router
inline constexpr std::uint8_t kPriorityStop = 0;     // the active router gives up
inline constexpr std::uint8_t kPriorityOwner = 255;  // the router whose own address the VIP is
// 224.0.0.18 and ff02::12.
[[nodiscard]] IpAddress vrrp_multicast(Family family);

enum class VrrpVersion : std::uint8_t { v2 = 2, v3 = 3 };

struct Advertisement {
  VrrpVersion version = VrrpVersion::v3;
  std::uint8_t vrid = 1;  // 1..255
  std::uint8_t priority = 100;
  std::chrono::milliseconds interval{1000};  // v3: steps of 10 ms up to 40,950 ms; v2: whole seconds up to 255
  std::vector<IpAddress> addresses;          // of one family; v2: IPv4
  std::optional<std::array<std::uint8_t, 8>> password;  // v2 only: authentication type 1, in clear text

  friend bool operator==(const Advertisement&, const Advertisement&) = default;
};

// Why a packet is no advertisement that may be acted upon. The words of to_string() are metric labels and stay.
enum class AdvertisementError : std::uint8_t {
  ttl,             // not 255: it came through a router, or is forged
  truncated,       // shorter than its own fields say
  version,         // neither 2 nor 3, or version 2 over IPv6
  type,            // not an advertisement
  vrid,            // 0
  interval,        // 0 (RFC 9568, erratum 8301)
  authentication,  // v2: a type that is neither none nor simple password
  checksum,
};
[[nodiscard]] std::string_view to_string(AdvertisementError error);

// Where a packet came from and went to: part of the checksum.
struct AdvertisementPath {
  IpAddress source;
  IpAddress destination;
};

// The VRRP message, without IP header. Version 3 over IPv4 is sent with the pseudo-header in the checksum, as RFC 5798
// had it and keepalived does by default; `interval` is rounded up to what the version can say.
[[nodiscard]] std::vector<std::uint8_t> encode(const Advertisement& advertisement, const AdvertisementPath& path);

// The reverse. `ttl`: of the IP header (hop limit for IPv6). Bytes after the addresses are ignored, but count for the
// checksum. Version 3 over IPv4 is accepted with and without the pseudo-header in its checksum: implementations of RFC
// 5798 and RFC 9568 differ there.
[[nodiscard]] tl::expected<Advertisement, AdvertisementError> decode(std::span<const std::uint8_t> message,
                                                                     const AdvertisementPath& path, std::uint8_t ttl);

}  // namespace xlvs::ha
