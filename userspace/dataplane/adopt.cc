// SPDX-License-Identifier: Apache-2.0
#include "dataplane/adopt.h"

#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <algorithm>

#include "dataplane/encode.h"

namespace xlvs::dataplane {
namespace {

class Adoption {
 public:
  Adoption(Maps& maps, std::uint64_t sweep)
      : maps_(maps),
        sweep_(sweep),
        registry_(maps.services.size() - 1, maps.vips.size() - 1, maps.backends.size() - 1) {}

  Adopted run() {
    maps_.store_word(maps_.services[0].flags, 0);  // of a change of maps that was interrupted: those flows are gone
    find_services();
    find_listeners<lvs_key4>("listeners4");
    find_listeners<lvs_key6>("listeners6");
    drop_services_without_listener();
    for (const auto& [id, name] : names_) registry_.adopt_service(id, name);
    adopt_listeners();
    adopt_backends();
    adopt_reals<lvs_key4>("reals4");
    adopt_reals<lvs_key6>("reals6");
    return {std::move(registry_), std::move(reals_), std::move(addresses_)};
  }

 private:
  void find_services() {
    std::set<std::string> seen;
    for (std::uint32_t id = 1; id < maps_.services.size(); ++id) {
      const std::string name = decode_name(maps_.names[id]);
      const bool complete = maps_.services[id].pick != LVS_PICK_NONE && !name.empty() && seen.insert(name).second;
      if (complete)
        names_[id] = name;
      else
        clear_service(id);
    }
  }

  void clear_service(std::uint32_t id) {
    maps_.store_record(maps_.services[id], lvs_service{});
    if (maps_.has_table(id)) maps_.drop_table(id);
    maps_.store_record(maps_.retired[id], lvs_counters{});
    maps_.store_record(maps_.names[id], lvs_name{});
  }

  static IpAddress address_of(const lvs_key4& key) { return decode_address4(key.addr); }
  static IpAddress address_of(const lvs_key6& key) { return decode_address(key.addr, Family::ipv6); }

  template <typename Key>
  void find_listeners(std::string_view map) {
    for (const auto& [key, entry] : maps_.entries<Key, lvs_listener>(map)) {
      if (key.port == 0) {
        addresses_.insert(address_of(key));
        continue;
      }
      const Listener listener{address_of(key), decode_port(key.port), static_cast<Protocol>(key.protocol)};
      const bool known = entry.id != 0 && entry.id < maps_.vips.size() && names_.contains(entry.service) &&
                         maps_.vips[entry.id].family != 0 && decode_vip(maps_.vips[entry.id]) == listener;
      if (known)
        listeners_[entry.id] = {listener, entry.service};
      else
        maps_.erase(map, &key);
    }
  }

  void drop_services_without_listener() {
    std::set<std::uint32_t> listening;
    for (const auto& [id, entry] : listeners_) listening.insert(entry.second);
    for (auto service = names_.begin(); service != names_.end();) {
      if (listening.contains(service->first)) {
        ++service;
        continue;
      }
      clear_service(service->first);
      service = names_.erase(service);
    }
  }

  void adopt_listeners() {
    for (std::uint32_t id = 1; id < maps_.vips.size(); ++id) {
      if (const auto found = listeners_.find(id); found != listeners_.end()) {
        const std::uint8_t tag = maps_.vips[id].tag;
        registry_.adopt_listener(found->second.first, {id, found->second.second, tag});
        maps_.store_record(maps_.vips[id], encode_vip(found->second.first, found->second.second, tag));
      } else if (maps_.vips[id].protocol != 0) {
        maps_.store_word(maps_.vips[id].family, 0);
        registry_.quarantine_listener(id, sweep_);
      }
    }
  }

  void adopt_backends() {
    std::set<std::pair<std::uint32_t, Endpoint>> seen;
    for (std::uint32_t id = 1; id < maps_.backends.size(); ++id) {
      lvs_backend& record = maps_.backends[id];
      if (record.method == LVS_METHOD_NONE) continue;
      const auto service = registry_.services().find(record.service);
      const bool owned = service != registry_.services().end();
      if (owned && (record.flags & LVS_BACKEND_VALID) != 0) {
        const Family family = service->second.listeners.begin()->address.family();
        const Endpoint endpoint{decode_address(record.addr, family), decode_port(record.port)};
        if (seen.emplace(record.service, endpoint).second) {
          const ForwardMethod forward = record.method == LVS_METHOD_DR ? ForwardMethod::dr : ForwardMethod::nat;
          registry_.adopt_backend(id, {record.service, endpoint, forward, decode_policy(record.flags),
                                       (record.flags & LVS_BACKEND_DOWN) != 0});
          continue;
        }
      }
      maps_.store_backend_word(id, backend_word(record) & ~(std::uint32_t{LVS_BACKEND_VALID} << 24));
      if (!owned) maps_.store_word(record.service, 0);
      registry_.quarantine_backend(id, record.service, sweep_);
    }
  }

  template <typename Key>
  void adopt_reals(std::string_view map) {
    for (const auto& [key, value] : maps_.entries<Key, lvs_real>(map)) {
      if ((value.flags & LVS_REAL_CHECK) != 0) continue;  // of checks: via.cc
      const IpAddress address = address_of(key);
      const auto protocol = static_cast<Protocol>(key.protocol);
      const Listener vip{decode_address(value.vip, address.family()), decode_port(value.vip_port), protocol};
      reals_[{{address, decode_port(key.port)}, protocol}] = {value.backend,
                                                              value.listener,
                                                              vip,
                                                              (value.flags & LVS_REAL_SHARED) != 0,
                                                              (value.flags & LVS_REAL_MANY) != 0,
                                                              static_cast<std::uint8_t>(LVS_REAL_TAG(value.flags)),
                                                              value.tags};
    }
  }

  Maps& maps_;
  std::uint64_t sweep_;
  Registry registry_;
  Reals reals_;
  std::set<IpAddress> addresses_;
  std::map<std::uint32_t, std::string> names_;
  std::map<std::uint32_t, std::pair<Listener, std::uint32_t>> listeners_;
};

}  // namespace

Adopted adopt(Maps& maps, std::uint64_t sweep) {
  return Adoption(maps, sweep).run();
}

}  // namespace xlvs::dataplane
