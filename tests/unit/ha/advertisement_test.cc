// SPDX-License-Identifier: Apache-2.0
#include "ha/advertisement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace xlvs::ha {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;

IpAddress ip(std::string_view text) {
  return IpAddress::parse(text).value();
}

const AdvertisementPath kPath4{ip("10.0.0.1"), ip("224.0.0.18")};
const AdvertisementPath kPath6{ip("fe80::1"), ip("ff02::12")};

Advertisement v3() {
  return {VrrpVersion::v3, 51, 150, milliseconds(100), {ip("198.51.100.10")}, {}};
}
Advertisement v2() {
  return {VrrpVersion::v2, 51, 150, milliseconds(1000), {ip("198.51.100.10")}, {}};
}
Advertisement v6() {
  return {VrrpVersion::v3, 7, 100, milliseconds(1000), {ip("fe80::10"), ip("2001:db8::10")}, {}};
}

// RFC 1071 the slow and plain way, for what the code under test computes its own way.
std::uint16_t plain_sum(std::vector<std::uint8_t> bytes) {
  if (bytes.size() % 2 != 0) bytes.push_back(0);
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); i += 2) sum += bytes[i] * 256U + bytes[i + 1];
  while (sum > 0xffff) sum = sum % 0x10000 + sum / 0x10000;
  return static_cast<std::uint16_t>(0xffff - sum);
}

std::vector<std::uint8_t> with_pseudo_header(const AdvertisementPath& path, const std::vector<std::uint8_t>& message) {
  std::vector<std::uint8_t> all(path.source.bytes().begin(), path.source.bytes().end());
  all.insert(all.end(), path.destination.bytes().begin(), path.destination.bytes().end());
  const auto length = static_cast<std::uint8_t>(message.size());
  all.insert(all.end(), {0, length, 0, 112});  // IPv6 has four bytes each; zeros add nothing
  all.insert(all.end(), message.begin(), message.end());
  return all;
}

void store_sum(std::vector<std::uint8_t>& message, std::uint16_t sum) {
  message[6] = static_cast<std::uint8_t>(sum >> 8);
  message[7] = static_cast<std::uint8_t>(sum);
}

// What decode() says of a message whose byte at `offset` was changed and whose checksum was made right again.
std::string altered(Advertisement advertisement, std::size_t offset, std::uint8_t value,
                    const AdvertisementPath& path = kPath4) {
  auto message = encode(advertisement, path);
  message[offset] = value;
  store_sum(message, 0);
  store_sum(message, plain_sum(advertisement.version == VrrpVersion::v3 ? with_pseudo_header(path, message) : message));
  const auto decoded = decode(message, path, 255);
  return decoded ? "taken" : std::string(to_string(decoded.error()));
}

TEST(Advertisement, Version3AsBytes) {
  auto message = encode(v3(), kPath4);
  EXPECT_EQ(plain_sum(with_pseudo_header(kPath4, message)), 0);
  store_sum(message, 0);
  EXPECT_THAT(message, ElementsAre(0x31, 51, 150, 1, 0, 10, 0, 0, 198, 51, 100, 10));
}

TEST(Advertisement, Version2AsBytes) {
  auto message = encode(v2(), kPath4);
  EXPECT_EQ(plain_sum(message), 0);
  store_sum(message, 0);
  EXPECT_THAT(message, ElementsAre(0x21, 51, 150, 1, 0, 1, 0, 0, 198, 51, 100, 10, 0, 0, 0, 0, 0, 0, 0, 0));
}

TEST(Advertisement, Version2WithAPassword) {
  Advertisement sent = v2();
  sent.password = {'s', 'e', 'c', 'r', 'e', 't', 0, 0};
  const auto message = encode(sent, kPath4);
  EXPECT_EQ(message[4], 1);
  EXPECT_EQ(std::string(message.begin() + 12, message.begin() + 18), "secret");
  EXPECT_EQ(decode(message, kPath4, 255), sent);
}

TEST(Advertisement, WhatWasEncodedIsDecoded) {
  EXPECT_EQ(decode(encode(v3(), kPath4), kPath4, 255), v3());
  EXPECT_EQ(decode(encode(v2(), kPath4), kPath4, 255), v2());
  EXPECT_EQ(decode(encode(v6(), kPath6), kPath6, 255), v6());
  EXPECT_EQ(plain_sum(with_pseudo_header(kPath6, encode(v6(), kPath6))), 0);
  Advertisement bare = v3();
  bare.addresses.clear();
  EXPECT_EQ(decode(encode(bare, kPath4), kPath4, 255), bare);
}

TEST(Advertisement, IntervalsAreRoundedUpToTheWiresUnit) {
  struct Case {
    VrrpVersion version;
    int wanted;
    int sent;
  };
  for (const Case c :
       {Case{VrrpVersion::v3, 10, 10}, Case{VrrpVersion::v3, 11, 20}, Case{VrrpVersion::v3, 40950, 40950},
        Case{VrrpVersion::v3, 99999, 40950}, Case{VrrpVersion::v3, 0, 10}, Case{VrrpVersion::v2, 100, 1000},
        Case{VrrpVersion::v2, 1001, 2000}, Case{VrrpVersion::v2, 999000, 255000}}) {
    Advertisement advertisement = v3();
    advertisement.version = c.version;
    advertisement.interval = milliseconds(c.wanted);
    EXPECT_EQ(decode(encode(advertisement, kPath4), kPath4, 255)->interval, milliseconds(c.sent)) << c.wanted;
  }
}

TEST(Advertisement, Version3OverIpv4IsTakenWithoutPseudoHeaderToo) {
  auto message = encode(v3(), kPath4);
  store_sum(message, 0);
  store_sum(message, plain_sum(message));
  EXPECT_EQ(decode(message, kPath4, 255), v3());
  auto over6 = encode(v6(), kPath6);
  store_sum(over6, 0);
  store_sum(over6, plain_sum(over6));
  EXPECT_EQ(decode(over6, kPath6, 255).error(), AdvertisementError::checksum);
}

TEST(Advertisement, EveryRefusalHasItsReason) {
  for (const std::uint8_t ttl : std::array<std::uint8_t, 3>{0, 1, 254})
    EXPECT_EQ(decode(encode(v3(), kPath4), kPath4, ttl).error(), AdvertisementError::ttl);
  EXPECT_EQ(altered(v3(), 0, 0x11), "version");
  EXPECT_EQ(altered(v3(), 0, 0x41), "version");
  EXPECT_EQ(altered(v6(), 0, 0x21, kPath6), "version");  // there is no VRRPv2 over IPv6
  EXPECT_EQ(altered(v3(), 0, 0x32), "type");
  EXPECT_EQ(altered(v3(), 1, 0), "vrid");
  EXPECT_EQ(altered(v3(), 5, 0), "interval");
  EXPECT_EQ(altered(v2(), 5, 0), "interval");
  EXPECT_EQ(altered(v2(), 4, 2), "authentication");
  EXPECT_EQ(altered(v3(), 3, 2), "truncated");
  EXPECT_EQ(altered(v3(), 4, 0xf0), "taken");  // reserved bits are ignored
  EXPECT_EQ(altered(v3(), 2, 0), "taken");
}

TEST(Advertisement, AnyDamagedByteIsSeen) {
  for (const Advertisement& sent : {v3(), v2()}) {
    const auto message = encode(sent, kPath4);
    for (std::size_t i = 0; i < message.size(); ++i) {
      auto damaged = message;
      damaged[i] ^= 0x40;
      EXPECT_NE(decode(damaged, kPath4, 255), sent) << i;
      if (i != 0 && i != 3) {
        EXPECT_EQ(decode(damaged, kPath4, 255).error(), AdvertisementError::checksum) << i;
      }
    }
  }
}

TEST(Advertisement, EveryShorterLengthIsRefused) {
  for (const Advertisement& sent : {v3(), v2(), v6()}) {
    const AdvertisementPath& path = sent.addresses[0].is_v6() ? kPath6 : kPath4;
    const auto message = encode(sent, path);
    for (std::size_t length = 0; length < message.size(); ++length) {
      const std::vector<std::uint8_t> cut(message.begin(), message.begin() + static_cast<std::ptrdiff_t>(length));
      EXPECT_EQ(decode(cut, path, 255).error(), AdvertisementError::truncated) << length;
    }
  }
}

}  // namespace
}  // namespace xlvs::ha
