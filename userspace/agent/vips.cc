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
// of the two places. `set` does it for one place, and keeps account of what lvsd has there; `facts` are those of `to`.
template <typename Place, typename Set>
Result<void> move(Place& from, std::set<IpAddress>& owned, const Place& to, const std::set<IpAddress>& wanted,
                  const Set& set, net::VipFacts& facts) {
  net::VipFacts ignored;
  facts.present.clear();
  if (to == from) {
    if (wanted.empty() && owned.empty()) return {};
    return set(to, wanted, owned, facts);
  }
  std::set<IpAddress> there;
  if (!wanted.empty()) {
    if (auto result = set(to, wanted, there, facts); !result) {
      (void)set(to, {}, there, ignored);
      return result;
    }
  }
  if (!owned.empty()) {
    // The old interface may be gone, and its addresses with it.
    if (auto result = set(from, {}, owned, ignored); !result) spdlog::warn("{}", result.error().message);
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

Result<void> Vips::set(const Config& config, const Pools& pools, bool active, const std::set<IpAddress>& waiting,
                       OnError on_error) {
  const Placed before = placed_;
  const Placed wanted = wanted_by(config, pools, before, active, waiting);
  auto result = place(wanted, on_error);
  if (!result && on_error == OnError::undo) {
    (void)place(before);
    return result;
  }
  wanted_ = wanted;
  error_ = result ? absent_ : result.error().message;
  note_repairs(before);
  note_foreign(wanted, before, listened_on(config));
  log_difference(before, placed_);
  return result;
}

// Those of `before` that had to be added again.
void Vips::note_repairs(const Placed& before) {
  for (const IpAddress& address : addresses_.restored) {
    if (!before.addresses.contains(address)) continue;
    ++repairs_;
    spdlog::warn("VIP {} was removed from {} by somebody; added again", address.to_string(), placed_.interface);
  }
  for (const IpAddress& address : routes_.restored) {
    if (!before.routes.contains(address)) continue;
    ++repairs_;
    spdlog::warn("the route that announces VIP {} was removed from table {} by somebody; added again",
                 address.to_string(), placed_.table);
  }
}

std::set<IpAddress> Vips::present() const {
  return addresses_.present;
}

std::set<IpAddress> Vips::present_routes() const {
  return routes_.present;
}

std::set<IpAddress> Vips::missing() const {
  std::set<IpAddress> missing = wanted_.addresses;
  for (const IpAddress& address : addresses_.present) missing.erase(address);
  return missing;
}

std::vector<std::string> Vips::warnings() const {
  std::vector<std::string> warnings;
  const auto add = [&](const std::set<IpAddress>& wanted, const std::set<IpAddress>& present, const char* is_not,
                       const std::string& place) {
    std::string names;
    std::size_t count = 0;
    constexpr std::size_t kNamed = 3;
    for (const IpAddress& address : wanted) {
      if (present.contains(address)) continue;
      if (++count <= kNamed) names += (names.empty() ? "" : ", ") + address.to_string();
    }
    if (count == 0) return;
    if (count > kNamed) names += fmt::format(" and {} more", count - kNamed);
    warnings.push_back(fmt::format("VIP {} {} {}{}{}", names, is_not, place, error_.empty() ? "" : ": ", error_));
  };
  add(wanted_.addresses, addresses_.present, "is not on", wanted_.interface);
  add(wanted_.routes, routes_.present, "is not announced in table", std::to_string(wanted_.table));
  return warnings;
}

// Found out when it was wanted, and true while it is not.
void Vips::note_foreign(const Placed& wanted, const Placed& before, const std::set<IpAddress>& known) {
  if (wanted.interface != before.interface) foreign_.clear();
  for (const IpAddress& address : wanted.addresses) {
    if (addresses_.present.contains(address))
      foreign_.insert(address);
    else
      foreign_.erase(address);
  }
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
Result<void> Vips::place(const Placed& wanted, OnError on_error) {
  addresses_.restored.clear();
  routes_.restored.clear();
  absent_.clear();
  if (wanted.table == placed_.table) {
    std::set<IpAddress> staying;
    for (const IpAddress& address : placed_.routes)
      if (wanted.routes.contains(address)) staying.insert(address);
    if (auto result = place_routes(wanted.table, staying); !result) return result;
  }
  const auto placed = place_addresses(wanted.interface, wanted.addresses);
  if (!placed && on_error == OnError::undo) return placed;
  std::set<IpAddress> routes = wanted.routes;
  for (const IpAddress& address : wanted.addresses)
    if (!addresses_.present.contains(address)) routes.erase(address);
  const auto announced = place_routes(wanted.table, routes);
  return placed ? announced : placed;
}

Result<void> Vips::place_addresses(const std::string& interface, const std::set<IpAddress>& wanted) {
  const auto set = [this](const std::string& where, const std::set<IpAddress>& addresses, std::set<IpAddress>& owned,
                          net::VipFacts& facts) {
    net::VipFacts found;
    auto result = host_.set_vips(where, addresses, owned, found);
    facts.present = std::move(found.present);
    facts.restored.merge(found.restored);
    absent_ = result ? "" : result.error().message;
    if (result || result.error().kind != ErrorKind::not_found) return result;
    std::erase_if(owned, [&](const IpAddress& gone) { return !addresses.contains(gone); });
    return Result<void>();
  };
  return move(placed_.interface, placed_.addresses, interface, wanted, set, addresses_);
}

Result<void> Vips::place_routes(std::uint32_t table, const std::set<IpAddress>& wanted) {
  const auto set = [this](std::uint32_t where, const std::set<IpAddress>& addresses, std::set<IpAddress>& owned,
                          net::VipFacts& facts) {
    net::VipFacts found;
    auto result = host_.set_vip_routes(where, addresses, owned, found);
    facts.present = std::move(found.present);
    facts.restored.merge(found.restored);
    return result;
  };
  return move(placed_.table, placed_.routes, table, wanted, set, routes_);
}

}  // namespace xlvs::agent
