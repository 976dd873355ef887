// SPDX-License-Identifier: Apache-2.0
#include "ha/claim.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ha/announcer.h"

namespace xlvs::ha {
namespace {

const MacAddress kMac{{2, 0, 0, 0, 0, 7}};

IpAddress ip(std::string_view text) {
  return IpAddress::parse(text).value();
}

TEST(Claim, AnnouncementsClaimTheirAddress) {
  EXPECT_EQ(parse_claim(arp_announcement(kMac, ip("198.51.100.10"))), (Claim{ip("198.51.100.10"), kMac}));
  EXPECT_EQ(parse_claim(neighbour_advertisement(kMac, ip("2001:db8::10"))), (Claim{ip("2001:db8::10"), kMac}));
}

TEST(Claim, AnAnswerClaimsItsSender) {
  auto reply = arp_announcement(kMac, ip("198.51.100.10"));
  reply[21] = 2;                                   // operation: reply
  for (int i = 0; i < 4; ++i) reply[38 + i] = 99;  // to somebody else
  EXPECT_EQ(parse_claim(reply), (Claim{ip("198.51.100.10"), kMac}));
}

TEST(Claim, AProbeClaimsNothing) {
  const auto four = address_probe(kMac, ip("198.51.100.10"));
  EXPECT_EQ(four.size(), 14U + 28);
  EXPECT_THAT(std::vector(four.begin() + 28, four.begin() + 32), testing::Each(0)) << "its sender address";
  EXPECT_THAT(std::vector(four.begin() + 38, four.end()), testing::ElementsAre(198, 51, 100, 10));
  EXPECT_FALSE(parse_claim(four));
  EXPECT_FALSE(parse_claim(address_probe(kMac, ip("2001:db8::10"))));
}

TEST(Claim, OtherFramesClaimNothing) {
  auto solicitation = neighbour_advertisement(kMac, ip("2001:db8::10"));
  solicitation[14 + 40] = 135;
  EXPECT_FALSE(parse_claim(solicitation));
  auto tcp = neighbour_advertisement(kMac, ip("2001:db8::10"));
  tcp[14 + 6] = 6;
  EXPECT_FALSE(parse_claim(tcp));
  auto token_ring = arp_announcement(kMac, ip("198.51.100.10"));
  token_ring[15] = 6;
  EXPECT_FALSE(parse_claim(token_ring));
  auto other = arp_announcement(kMac, ip("198.51.100.10"));
  other[13] = 0;  // IPv4
  EXPECT_FALSE(parse_claim(other));
}

TEST(Claim, FramesCutShortClaimNothing) {
  const auto arp = arp_announcement(kMac, ip("198.51.100.10"));
  for (std::size_t size = 0; size < 14 + 28; ++size) EXPECT_FALSE(parse_claim(std::span(arp).first(size))) << size;
  const auto nd = neighbour_advertisement(kMac, ip("2001:db8::10"));
  for (std::size_t size = 0; size < 14 + 40 + 24; ++size) EXPECT_FALSE(parse_claim(std::span(nd).first(size))) << size;
}

}  // namespace
}  // namespace xlvs::ha
