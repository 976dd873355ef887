// SPDX-License-Identifier: Apache-2.0
#include <bit>

#include "config/sections.h"

namespace xlvs::config {
namespace {

// The data plane's fields: 16 bits for a service and for a listener, 20 for a backend; 0 means none in each.
constexpr std::int64_t kMaxServices = (1 << 16) - 1;
constexpr std::int64_t kMaxListeners = (1 << 16) - 1;
constexpr std::int64_t kMaxBackends = (1 << 20) - 1;
constexpr std::int64_t kMinFlows = 1024;
constexpr std::int64_t kMaxFlows = 1 << 26;

}  // namespace

void parse_limits(Context& context, const Node& node, LimitConfig& limits) {
  Section section(context, node, "limits", "limits");
  section.integer("flows_ipv4", limits.flows_ipv4, kMinFlows, kMaxFlows);
  section.integer("flows_ipv6", limits.flows_ipv6, kMinFlows, kMaxFlows);
  section.integer("services", limits.services, 1, kMaxServices);
  section.integer("listeners", limits.listeners, 1, kMaxListeners);
  section.integer("backends", limits.backends, 1, kMaxBackends);
  section.finish();
  limits.flows_ipv4 = std::bit_ceil(limits.flows_ipv4);
  limits.flows_ipv6 = std::bit_ceil(limits.flows_ipv6);
}

}  // namespace xlvs::config
