// SPDX-License-Identifier: Apache-2.0
#include "ha/advertisement.h"

#include <algorithm>

namespace xlvs::ha {
namespace {

constexpr std::size_t kHeader = 8;
constexpr std::size_t kChecksumAt = 6;
constexpr std::size_t kPassword = 8;
constexpr std::uint8_t kTypeAdvertisement = 1;
constexpr std::uint8_t kAuthNone = 0;
constexpr std::uint8_t kAuthPassword = 1;
constexpr std::uint16_t kLargestCentiseconds = 0xfff;  // a field of 12 bits
constexpr std::uint16_t kLargestSeconds = 255;

// RFC 1071, not yet folded; each part but the last has an even length.
std::uint32_t add_words(std::uint32_t sum, std::span<const std::uint8_t> bytes) {
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    const std::uint32_t low = i + 1 < bytes.size() ? bytes[i + 1] : 0;
    sum += static_cast<std::uint32_t>(bytes[i]) << 8 | low;
  }
  return sum;
}

std::uint16_t fold(std::uint32_t sum) {
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum & 0xffff);
}

// RFC 768 and RFC 8200, section 8.1: addresses, length, protocol; their order does not matter to the sum.
std::uint32_t pseudo_header(const AdvertisementPath& path, std::size_t length) {
  return add_words(add_words(0, path.source.bytes()), path.destination.bytes()) + static_cast<std::uint32_t>(length) +
         kVrrpProtocol;
}

std::uint16_t checksum(std::span<const std::uint8_t> message, const AdvertisementPath& path, bool with_pseudo_header) {
  return fold(add_words(with_pseudo_header ? pseudo_header(path, message.size()) : 0, message));
}

// 0 is what the checksum of a message with its checksum in it comes to.
bool checksum_holds(std::span<const std::uint8_t> message, const AdvertisementPath& path, VrrpVersion version) {
  const bool v6 = path.source.is_v6();
  if (!v6 && checksum(message, path, false) == 0) return true;
  return version == VrrpVersion::v3 && checksum(message, path, true) == 0;
}

std::uint16_t units(std::chrono::milliseconds interval, std::chrono::milliseconds unit, std::uint16_t largest) {
  const auto count = (interval + unit - std::chrono::milliseconds(1)) / unit;
  return static_cast<std::uint16_t>(std::clamp<std::chrono::milliseconds::rep>(count, 1, largest));
}

IpAddress address_at(std::span<const std::uint8_t> bytes, Family family) {
  if (family == Family::ipv4) return IpAddress::v4({bytes[0], bytes[1], bytes[2], bytes[3]});
  std::array<std::uint8_t, 16> v6{};
  std::copy_n(bytes.begin(), v6.size(), v6.begin());
  return IpAddress::v6(v6);
}

}  // namespace

IpAddress vrrp_multicast(Family family) {
  if (family == Family::ipv4) return IpAddress::v4({224, 0, 0, 18});
  return IpAddress::v6({0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x12});
}

std::string_view to_string(AdvertisementError error) {
  switch (error) {
    case AdvertisementError::ttl:
      return "ttl";
    case AdvertisementError::truncated:
      return "truncated";
    case AdvertisementError::version:
      return "version";
    case AdvertisementError::type:
      return "type";
    case AdvertisementError::vrid:
      return "vrid";
    case AdvertisementError::interval:
      return "interval";
    case AdvertisementError::authentication:
      return "authentication";
    case AdvertisementError::checksum:
      return "checksum";
  }
  return "unknown";
}

std::vector<std::uint8_t> encode(const Advertisement& advertisement, const AdvertisementPath& path) {
  const bool v3 = advertisement.version == VrrpVersion::v3;
  std::vector<std::uint8_t> message(kHeader);
  message[0] = static_cast<std::uint8_t>(static_cast<unsigned>(advertisement.version) << 4 | kTypeAdvertisement);
  message[1] = advertisement.vrid;
  message[2] = advertisement.priority;
  message[3] = static_cast<std::uint8_t>(advertisement.addresses.size());
  if (v3) {
    const std::uint16_t interval = units(advertisement.interval, std::chrono::milliseconds(10), kLargestCentiseconds);
    message[4] = static_cast<std::uint8_t>(interval >> 8);
    message[5] = static_cast<std::uint8_t>(interval);
  } else {
    message[4] = advertisement.password ? kAuthPassword : kAuthNone;
    message[5] = static_cast<std::uint8_t>(units(advertisement.interval, std::chrono::seconds(1), kLargestSeconds));
  }
  for (const IpAddress& address : advertisement.addresses)
    message.insert(message.end(), address.bytes().begin(), address.bytes().end());
  if (!v3) {
    const auto password = advertisement.password.value_or(std::array<std::uint8_t, kPassword>{});
    message.insert(message.end(), password.begin(), password.end());
  }
  const std::uint16_t sum = checksum(message, path, v3);
  message[kChecksumAt] = static_cast<std::uint8_t>(sum >> 8);
  message[kChecksumAt + 1] = static_cast<std::uint8_t>(sum);
  return message;
}

tl::expected<Advertisement, AdvertisementError> decode(std::span<const std::uint8_t> message,
                                                       const AdvertisementPath& path, std::uint8_t ttl) {
  const auto refuse = [](AdvertisementError error) { return tl::make_unexpected(error); };
  const Family family = path.source.family();
  if (ttl != kVrrpTtl) return refuse(AdvertisementError::ttl);
  if (message.size() < kHeader) return refuse(AdvertisementError::truncated);
  Advertisement result;
  result.version = static_cast<VrrpVersion>(message[0] >> 4);
  const bool v3 = result.version == VrrpVersion::v3;
  if (!v3 && (result.version != VrrpVersion::v2 || family == Family::ipv6)) return refuse(AdvertisementError::version);
  if ((message[0] & 0xf) != kTypeAdvertisement) return refuse(AdvertisementError::type);
  const std::size_t width = family == Family::ipv4 ? 4 : 16;
  const std::size_t password_at = kHeader + message[3] * width;
  if (message.size() < password_at + (v3 ? 0 : kPassword)) return refuse(AdvertisementError::truncated);
  if (!checksum_holds(message, path, result.version)) return refuse(AdvertisementError::checksum);
  result.vrid = message[1];
  result.priority = message[2];
  result.interval = v3 ? std::chrono::milliseconds(((message[4] & 0xf) << 8 | message[5]) * 10)
                       : std::chrono::milliseconds(message[5] * 1000);
  if (result.vrid == 0) return refuse(AdvertisementError::vrid);
  if (result.interval.count() == 0) return refuse(AdvertisementError::interval);
  if (!v3 && message[4] == kAuthPassword)
    std::copy_n(message.begin() + static_cast<std::ptrdiff_t>(password_at), kPassword,
                result.password.emplace().begin());
  else if (!v3 && message[4] != kAuthNone)
    return refuse(AdvertisementError::authentication);
  for (std::size_t at = kHeader; at < password_at; at += width)
    result.addresses.push_back(address_at(message.subspan(at), family));
  return result;
}

}  // namespace xlvs::ha
