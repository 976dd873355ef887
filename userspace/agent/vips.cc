// SPDX-License-Identifier: Apache-2.0
#include "agent/vips.h"

#include <spdlog/spdlog.h>

namespace xlvs::agent {
namespace {

// An address that several services listen on stays as long as one of them wants it.
std::set<IpAddress> wanted_by(const Config& config, const Pools& pools, const std::set<IpAddress>& present,
                              bool active) {
  std::set<IpAddress> addresses;
  if (!config.manage_vips || !active) return addresses;
  if (config.ha) {
    for (const VrrpInstanceConfig& instance : config.ha->instances)
      addresses.insert(instance.addresses.begin(), instance.addresses.end());
    for (const ServiceConfig& service : config.services)  // theirs follow what is said below
      for (const Listener& listener : service.listeners) addresses.erase(listener.address);
  }
  for (const ServiceConfig& service : config.services) {
    const auto pool = pools.find(service.name);
    const bool unknown = service.pool.withdraw_vip && pool == pools.end();
    if (service.pool.withdraw_vip && !unknown && pool->second.withdrawn) continue;
    for (const Listener& listener : service.listeners) {
      if (!unknown || present.contains(listener.address)) addresses.insert(listener.address);
    }
  }
  return addresses;
}

void log_difference(const Vips::Placed& before, const Vips::Placed& after) {
  const bool moved = before.interface != after.interface;
  for (const IpAddress& address : after.addresses) {
    if (moved || !before.addresses.contains(address))
      spdlog::info("VIP {} added to {}", address.to_string(), after.interface);
  }
  for (const IpAddress& address : before.addresses) {
    if (moved || !after.addresses.contains(address)) {
      spdlog::info("VIP {} removed from {}", address.to_string(), before.interface);
    }
  }
}

}  // namespace

Result<void> Vips::set(const Config& config, const Pools& pools, bool active) {
  const Placed before = placed_;
  if (auto result = place(config.vip_interface, wanted_by(config, pools, before.addresses, active)); !result) {
    (void)place(before.interface, before.addresses);
    return result;
  }
  log_difference(before, placed_);
  return {};
}

void Vips::restore(const Placed& wanted) {
  const Placed before = placed_;
  if (auto result = place(wanted.interface, wanted.addresses); !result) {
    spdlog::warn("VIPs on {}: {}", wanted.interface, result.error().message);
  }
  log_difference(before, placed_);
}

// New addresses first: one that moves between interfaces is always on one of them.
Result<void> Vips::place(const std::string& interface, const std::set<IpAddress>& wanted) {
  if (interface == placed_.interface) {
    if (wanted.empty() && placed_.addresses.empty()) return {};
    return host_.set_vips(interface, wanted, placed_.addresses);
  }
  Placed next{interface, {}};
  if (!wanted.empty()) {
    if (auto result = host_.set_vips(interface, wanted, next.addresses); !result) {
      (void)host_.set_vips(interface, {}, next.addresses);
      return result;
    }
  }
  if (!placed_.addresses.empty()) {
    // The old interface may be gone, and its addresses with it.
    if (auto result = host_.set_vips(placed_.interface, {}, placed_.addresses); !result) {
      spdlog::warn("{}", result.error().message);
    }
  }
  placed_ = std::move(next);
  return {};
}

}  // namespace xlvs::agent
