// SPDX-License-Identifier: Apache-2.0
#include "agent/vips.h"

#include <spdlog/spdlog.h>

namespace xlvs::agent {
namespace {

// Those that this router is to be reached at. An address that several services listen on stays as long as one of them
// wants it.
std::set<IpAddress> taken(const Config& config, const Pools& pools, const std::set<IpAddress>& present, bool active) {
  std::set<IpAddress> addresses;
  if (!active) return addresses;
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

void hold_back(std::set<IpAddress>& wanted, const std::set<IpAddress>& present, const std::set<IpAddress>& waiting) {
  for (const IpAddress& address : waiting)
    if (!present.contains(address)) wanted.erase(address);
}

Vips::Placed wanted_by(const Config& config, const Pools& pools, const Vips::Placed& before, bool active,
                       const std::set<IpAddress>& waiting) {
  Vips::Placed wanted{config.vip_interface, {}, config.ha ? config.ha->table : 0, {}};
  if (wanted.table != 0) {
    // The addresses stay while the routes go: what the network still sends meanwhile, and the XDP program passes, is
    // answered here instead of being routed back.
    wanted.routes = taken(config, pools, before.routes, active);
    hold_back(wanted.routes, before.routes, waiting);
    if (config.manage_vips) wanted.addresses = listened_on(config);
  } else if (config.manage_vips) {
    wanted.addresses = taken(config, pools, before.addresses, active);
    hold_back(wanted.addresses, before.addresses, waiting);
  }
  return wanted;
}

void log_added(const std::set<IpAddress>& before, const std::set<IpAddress>& after, bool moved, const char* what,
               const std::string& place) {
  for (const IpAddress& address : after)
    if (moved || !before.contains(address)) spdlog::info("VIP {} {} {}", address.to_string(), what, place);
}

void log_difference(const Vips::Placed& before, const Vips::Placed& after) {
  const auto table = [](const Vips::Placed& placed) { return std::to_string(placed.table); };
  const bool moved = before.interface != after.interface;
  log_added(before.addresses, after.addresses, moved, "added to", after.interface);
  log_added(after.addresses, before.addresses, moved, "removed from", before.interface);
  const bool other = before.table != after.table;
  log_added(before.routes, after.routes, other, "announced in table", table(after));
  log_added(after.routes, before.routes, other, "withdrawn from table", table(before));
}

// Makes `to` carry `wanted` instead of what `from` carries of `owned`. New ones first: one that moves is always at one
// of the two places. `set` does it for one place, and keeps account of what lvsd has there.
template <typename Place, typename Set>
Result<void> move(Place& from, std::set<IpAddress>& owned, const Place& to, const std::set<IpAddress>& wanted,
                  const Set& set) {
  if (to == from) {
    if (wanted.empty() && owned.empty()) return {};
    return set(to, wanted, owned);
  }
  std::set<IpAddress> there;
  if (!wanted.empty()) {
    if (auto result = set(to, wanted, there); !result) {
      (void)set(to, {}, there);
      return result;
    }
  }
  if (!owned.empty()) {
    // The old interface may be gone, and its addresses with it.
    if (auto result = set(from, {}, owned); !result) spdlog::warn("{}", result.error().message);
  }
  from = to;
  owned = std::move(there);
  return {};
}

}  // namespace

std::set<IpAddress> listened_on(const Config& config) {
  std::set<IpAddress> addresses;
  for (const ServiceConfig& service : config.services)
    for (const Listener& listener : service.listeners) addresses.insert(listener.address);
  return addresses;
}

Result<void> Vips::set(const Config& config, const Pools& pools, bool active, const std::set<IpAddress>& waiting) {
  const Placed before = placed_;
  const Placed wanted = wanted_by(config, pools, before, active, waiting);
  if (auto result = place(wanted); !result) {
    (void)place(before);
    return result;
  }
  note_foreign(wanted, before, listened_on(config));
  log_difference(before, placed_);
  return {};
}

// Found out when it was wanted, and true while it is not.
void Vips::note_foreign(const Placed& wanted, const Placed& before, const std::set<IpAddress>& known) {
  if (wanted.interface != before.interface) foreign_.clear();
  foreign_.insert(wanted.addresses.begin(), wanted.addresses.end());
  std::erase_if(foreign_, [&](const IpAddress& address) {
    return placed_.addresses.contains(address) || !known.contains(address);
  });
}

void Vips::restore(const Placed& wanted) {
  const Placed before = placed_;
  if (auto result = place(wanted); !result) spdlog::warn("VIPs: {}", result.error().message);
  log_difference(before, placed_);
}

// Nothing is announced that is not there, and an address that can not be placed keeps no route from being withdrawn.
Result<void> Vips::place(const Placed& wanted) {
  if (wanted.table == placed_.table) {
    std::set<IpAddress> staying;
    for (const IpAddress& address : placed_.routes)
      if (wanted.routes.contains(address)) staying.insert(address);
    if (auto result = place_routes(wanted.table, staying); !result) return result;
  }
  if (auto result = place_addresses(wanted.interface, wanted.addresses); !result) return result;
  return place_routes(wanted.table, wanted.routes);
}

Result<void> Vips::place_addresses(const std::string& interface, const std::set<IpAddress>& wanted) {
  return move(placed_.interface, placed_.addresses, interface, wanted,
              [this](const std::string& where, const std::set<IpAddress>& addresses, std::set<IpAddress>& owned) {
                return host_.set_vips(where, addresses, owned);
              });
}

Result<void> Vips::place_routes(std::uint32_t table, const std::set<IpAddress>& wanted) {
  return move(placed_.table, placed_.routes, table, wanted,
              [this](std::uint32_t where, const std::set<IpAddress>& addresses, std::set<IpAddress>& owned) {
                return host_.set_vip_routes(where, addresses, owned);
              });
}

}  // namespace xlvs::agent
