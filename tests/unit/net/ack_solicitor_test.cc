// SPDX-License-Identifier: Apache-2.0
#include "net/ack_solicitor.h"

#include <gtest/gtest.h>

namespace xlvs::net {
namespace {

using Bytes = std::vector<std::uint8_t>;

// The folded ones' complement sum: 0xffff over what contains its checksum.
std::uint32_t ones_sum(const Bytes& bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) sum += i % 2 == 0 ? bytes[i] << 8 : bytes[i];
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

TEST(Solicitation, IsAnAcknowledgementOverIpv4) {
  const Bytes packet =
      solicitation(*Endpoint::parse("198.51.100.10:80"), *Endpoint::parse("192.0.2.7:40000"), 0x01020304);
  ASSERT_EQ(packet.size(), 40U);
  EXPECT_EQ(Bytes(packet.begin(), packet.begin() + 10), (Bytes{0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6}));
  EXPECT_EQ(Bytes(packet.begin() + 12, packet.begin() + 20), (Bytes{198, 51, 100, 10, 192, 0, 2, 7}));
  EXPECT_EQ(Bytes(packet.begin() + 20, packet.begin() + 36),
            (Bytes{0, 80, 0x9c, 0x40, 1, 2, 3, 4, 0xfe, 0xfd, 0xfc, 0xfb, 0x50, 0x10, 0, 0}));
  EXPECT_EQ(ones_sum(Bytes(packet.begin(), packet.begin() + 20)), 0xffffU);
  Bytes pseudo(packet.begin() + 12, packet.begin() + 20);
  pseudo.insert(pseudo.end(), {0, 6, 0, 20});
  pseudo.insert(pseudo.end(), packet.begin() + 20, packet.end());
  EXPECT_EQ(ones_sum(pseudo), 0xffffU);
}

TEST(Solicitation, IsAnAcknowledgementOverIpv6) {
  const Bytes packet =
      solicitation(*Endpoint::parse("[2001:db8::10]:80"), *Endpoint::parse("[2001:db8:c::7]:40000"), 7);
  ASSERT_EQ(packet.size(), 60U);
  EXPECT_EQ(Bytes(packet.begin(), packet.begin() + 8), (Bytes{0x60, 0, 0, 0, 0, 20, 6, 64}));
  Bytes pseudo(packet.begin() + 8, packet.begin() + 40);
  pseudo.insert(pseudo.end(), {0, 6, 0, 20});
  pseudo.insert(pseudo.end(), packet.begin() + 40, packet.end());
  EXPECT_EQ(ones_sum(pseudo), 0xffffU);
  EXPECT_EQ(packet[7 + 1 + 15], 0x10);
}

}  // namespace
}  // namespace xlvs::net
