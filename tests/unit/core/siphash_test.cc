// SPDX-License-Identifier: Apache-2.0
#include "core/siphash.h"

#include <array>
#include <numeric>

#include <gtest/gtest.h>

namespace xlvs {
namespace {

// The authors' test: key 00 01 .. 0f, input 00 01 .. of the given length.
TEST(SipHash, PublishedVectors) {
  const SipKey key{0x0706050403020100, 0x0f0e0d0c0b0a0908};
  std::array<std::uint8_t, 64> input{};
  std::iota(input.begin(), input.end(), std::uint8_t{0});
  EXPECT_EQ(siphash(key, std::span(input).first(0)), 0x726fdb47dd0e0e31U);
  EXPECT_EQ(siphash(key, std::span(input).first(1)), 0x74f839c593dc67fdU);
  EXPECT_EQ(siphash(key, std::span(input).first(8)), 0x93f5f5799a932462U);
  EXPECT_EQ(siphash(key, std::span(input).first(15)), 0xa129ca6149be45e5U);
  EXPECT_EQ(siphash(key, std::span(input).first(63)), 0x958a324ceb064572U);
}

}  // namespace
}  // namespace xlvs
