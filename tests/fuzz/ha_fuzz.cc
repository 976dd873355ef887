// SPDX-License-Identifier: Apache-2.0
// Whatever arrives as IP protocol 112: it is refused, or says the same when it is sent on; and, the same bytes as a
// frame, as ARP and ND. Input: a byte that chooses family, whether the checksum is made right (or hardly anything would
// get past it) and TTL, then the message.
#include <cstdint>
#include <cstdlib>

#include "ha/advertisement.h"
#include "ha/claim.h"

namespace {

using namespace xlvs;
using namespace xlvs::ha;

void require(bool condition) {
  if (!condition) std::abort();
}

void make_checksum_right(std::vector<std::uint8_t>& message, const AdvertisementPath& path) {
  message[6] = message[7] = 0;
  std::uint32_t sum = 0;
  const auto add = [&](std::span<const std::uint8_t> bytes) {
    for (std::size_t i = 0; i < bytes.size(); ++i) sum += i % 2 == 0 ? bytes[i] * 256U : bytes[i];
  };
  if (path.source.is_v6()) {  // IPv4 may come without the pseudo-header
    add(path.source.bytes());
    add(path.destination.bytes());
    sum += static_cast<std::uint32_t>(message.size()) + kVrrpProtocol;
  }
  add(message);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  message[6] = static_cast<std::uint8_t>(~sum >> 8);
  message[7] = static_cast<std::uint8_t>(~sum);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  if (const auto claim = parse_claim({data, size})) require(claim->address != IpAddress{});
  std::vector<std::uint8_t> message(data + 1, data + size);
  const bool v6 = (data[0] & 1) != 0;
  const AdvertisementPath path{v6 ? *IpAddress::parse("fe80::1") : *IpAddress::parse("10.0.0.1"),
                               vrrp_multicast(v6 ? Family::ipv6 : Family::ipv4)};
  if ((data[0] & 2) != 0 && message.size() >= 8) make_checksum_right(message, path);
  const auto decoded = decode(message, path, (data[0] & 4) != 0 ? data[0] : kVrrpTtl);
  if (!decoded) {
    require(!to_string(decoded.error()).empty());
    return 0;
  }
  require(decoded->vrid != 0 && decoded->interval.count() > 0 && decoded->addresses.size() <= 255);
  for (const IpAddress& address : decoded->addresses) require(address.is_v6() == v6);
  require(decode(encode(*decoded, path), path, kVrrpTtl) == *decoded);
  return 0;
}
