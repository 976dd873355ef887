// SPDX-License-Identifier: Apache-2.0
#include "dataplane/limits.h"

#include <algorithm>
#include <bit>

#include "abi.h"

namespace xlvs::dataplane {
namespace {

constexpr std::uint32_t kMinFlows = 1024;
constexpr std::uint32_t kMaxFlows = 1U << 26;

// A reload that replaces everything needs room for the old and the new at once: what is new is installed before what is
// old goes, and removed ids rest until a sweep has passed. So there are twice as many ids as the limit allows in use.
std::uint32_t ids(std::uint32_t limit, std::uint32_t most) {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(2ULL * limit, most - 1)) + 1;
}

std::uint32_t slots(std::uint32_t flows) {
  return std::bit_ceil(std::clamp(flows, kMinFlows, kMaxFlows));
}

}  // namespace

std::vector<MapSize> map_sizes(const LimitConfig& limits) {
  const std::uint32_t services = ids(limits.services, LVS_MAX_SERVICES);
  const std::uint32_t listeners = ids(limits.listeners, LVS_MAX_LISTENERS);
  const std::uint32_t backends = ids(limits.backends, LVS_MAX_BACKENDS);
  // Each listener may bring the entry of its address along; each backend may be reached by TCP and by UDP.
  const std::uint32_t listener_keys = 2 * listeners;
  const std::uint32_t real_keys = 2 * backends;
  const std::uint32_t slots4 = slots(limits.flows_ipv4);
  const std::uint32_t slots6 = slots(limits.flows_ipv6);
  // The overflow table takes what finds no place in its two buckets at 75 % fill: about 3 % with 4 slots in a bucket,
  // twice that with 2.
  const std::uint32_t overflow4 = std::max(slots4 / 16 / LVS_OVERFLOW_SLOTS4, 1U);
  const std::uint32_t overflow6 = std::max(slots6 / 8 / LVS_OVERFLOW_SLOTS6, 1U);
  const std::uint32_t hops = slots4 + slots6 + overflow4 * LVS_OVERFLOW_SLOTS4 + overflow6 * LVS_OVERFLOW_SLOTS6;
  return {
      {"services", "services", services},         {"tables", "services", services},
      {"cursors", "services", services},          {"names", "services", services},
      {"retired", "services", services},          {"vips", "listeners", listeners},
      {"listeners4", "listeners", listener_keys}, {"listeners6", "listeners", listener_keys},
      {"backends", "backends", backends},         {"loads", "backends", backends},
      {"counters", "backends", backends},         {"reals4", "backends", real_keys},
      {"reals6", "backends", real_keys},          {"buckets4", "flows_ipv4", slots4 / LVS_SLOTS4},
      {"overflow4", "flows_ipv4", overflow4},     {"buckets6", "flows_ipv6", slots6 / LVS_SLOTS6},
      {"overflow6", "flows_ipv6", overflow6},     {"hops", "flows_ipv4", hops},
  };
}

}  // namespace xlvs::dataplane
