// SPDX-License-Identifier: Apache-2.0
#include "dataplane/limits.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>

namespace xlvs::dataplane {
namespace {

std::uint32_t size_of(const LimitConfig& limits, std::string_view map) {
  for (const MapSize& size : map_sizes(limits))
    if (size.map == map) return size.entries;
  ADD_FAILURE() << "no map " << map;
  return 0;
}

TEST(Limits, FlowsAreRoundedUpToAPowerOfTwo) {
  LimitConfig limits;
  limits.flows_ipv4 = 1'000'000;
  limits.flows_ipv6 = 4097;
  EXPECT_EQ(size_of(limits, "buckets4"), (1U << 20) / 4);
  EXPECT_EQ(size_of(limits, "overflow4") * 16, (1U << 20) / 16) << "1/16 of the slots";
  EXPECT_EQ(size_of(limits, "buckets6"), 8192U / 2);
  EXPECT_EQ(size_of(limits, "overflow6") * 16, 8192U / 8) << "1/8 of the slots";
}

TEST(Limits, EveryFlowTableIsAPowerOfTwoAndNeverEmpty) {
  for (const std::uint32_t flows : {0U, 1U, 1024U, 1025U, 3'000'000U, 1U << 26, ~0U}) {
    LimitConfig limits;
    limits.flows_ipv4 = limits.flows_ipv6 = flows;
    for (const char* map : {"buckets4", "buckets6", "overflow4", "overflow6"})
      EXPECT_TRUE(std::has_single_bit(size_of(limits, map))) << map << " for " << flows;
  }
}

TEST(Limits, LeaveRoomForTheOldBesideTheNew) {
  LimitConfig limits;
  limits.services = 10;
  limits.listeners = 20;
  limits.backends = 30;
  EXPECT_EQ(size_of(limits, "services"), 21U);
  EXPECT_EQ(size_of(limits, "vips"), 41U);
  EXPECT_EQ(size_of(limits, "backends"), 61U);
  EXPECT_GE(size_of(limits, "listeners4"), 2 * 40U) << "each listener and its address, twice";
  EXPECT_GE(size_of(limits, "reals6"), 2 * 60U) << "each backend by TCP and UDP, twice";
}

TEST(Limits, IdsFitTheFieldsOfAFlowsWord) {
  LimitConfig limits;
  limits.services = limits.listeners = limits.backends = ~0U;
  EXPECT_LE(size_of(limits, "vips"), 65536U);
  EXPECT_LE(size_of(limits, "services"), 65536U);
  EXPECT_LE(size_of(limits, "backends"), 1048576U);
}

TEST(Limits, NameTheConfigurationKey) {
  const auto sizes = map_sizes({});
  const auto limit_of = [&](std::string_view map) {
    return std::find_if(sizes.begin(), sizes.end(), [&](const MapSize& size) { return size.map == map; })->limit;
  };
  EXPECT_EQ(limit_of("buckets4"), "flows_ipv4");
  EXPECT_EQ(limit_of("reals4"), "backends");
}

}  // namespace
}  // namespace xlvs::dataplane
