// SPDX-License-Identifier: Apache-2.0
// Writes a plan to the maps. The order keeps every packet's view whole, and a crash at any point repairable (adopt.cc):
// what is pointed to is written before what points to it, and removed after.
#include <linux/membarrier.h>
#include <spdlog/spdlog.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "core/scheduler.h"
#include "dataplane/encode.h"
#include "dataplane/xdp_dataplane.h"

namespace xlvs::dataplane {
namespace {

// Packets that were being processed when we began to wait are done when this returns.
void wait_for_packets_in_flight() {
  ::syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
}

lvs_real encode_real(const Real& real) {
  lvs_real value{};
  value.backend = real.backend;
  value.listener = static_cast<__u16>(real.listener);
  value.tags = real.tags;
  const lvs_vip vip = encode_vip(real.vip, 0, real.tag);
  std::copy(std::begin(vip.addr), std::end(vip.addr), value.vip);
  value.vip_port = vip.port;
  value.flags = static_cast<__u16>((real.shared ? LVS_REAL_SHARED : 0) | (real.many ? LVS_REAL_MANY : 0) |
                                   (real.tag << 8));
  value.sum = vip.sum;
  return value;
}

}  // namespace

class XdpDataplane::Applier {
 public:
  Applier(XdpDataplane& dataplane, const Plan& plan) : dp_(dataplane), maps_(dataplane.maps_), plan_(plan) {}

  Result<ApplySummary> run() {
    for (const PlannedService& service : plan_.services) note_settings(service);
    dp_.registry_.add(plan_);
    for (const PlannedService& service : plan_.services) write_backends(service);
    for (const PlannedService& service : plan_.services) write_vips(service);
    if (auto done = write_reals(/*remove=*/false); !done) return tl::make_unexpected(done.error());
    if (auto done = swap_tables(); !done) return tl::make_unexpected(done.error());
    write_failures();
    for (const PlannedService& service : plan_.services)
      if (auto done = write_service(service); !done) return tl::make_unexpected(done.error());
    remove_listeners();
    remove_backends();
    dp_.registry_.remove(plan_, dp_.sweeper_.next_full_sweep());
    if (auto done = write_reals(/*remove=*/true); !done) return tl::make_unexpected(done.error());
    if (auto done = write_addresses(); !done) return tl::make_unexpected(done.error());
    for (const auto& [listener, id] : plan_.removed_listeners) maps_.store_word(maps_.vips[id].family, 0);
    for (const std::uint32_t id : plan_.removed_services) clear_service(id);
    if (!plan_.removed_backends.empty() || !plan_.removed_listeners.empty()) wait_for_packets_in_flight();
    for (const std::uint32_t id : plan_.removed_services) changed_.erase(id);
    summary_.services_changed = static_cast<unsigned>(changed_.size());
    return summary_;
  }

 private:
  // A service is called changed when its own settings are; changed backends are counted themselves.
  void note_settings(const PlannedService& service) {
    if (service.added) return;
    const auto& applied = dp_.registry_.services().at(service.id).applied;
    if (!applied) return;
    DesiredService before = applied->desired;
    before.backends = service.desired->backends;
    if (before != *service.desired || applied->hash_seed != plan_.hash_seed) changed_.insert(service.id);
  }

  // ---- adding

  void write_backends(const PlannedService& service) {
    for (const PlannedBackend& planned : service.backends) {
      const DesiredBackend& desired = *planned.desired;
      if (planned.added) {
        maps_.store_record(maps_.loads[planned.id], lvs_load{});
        dp_.records_.install(planned.id);
        ++summary_.backends_added;
      }
      bool changed = store_weight(planned.id, desired.up ? desired.weight : 0);
      changed |= dp_.records_.update(planned.id);
      if (changed && !planned.added) backends_changed_.insert(planned.id);
      if (changed || planned.added) backends_differ_.insert(service.id);
    }
  }

  // Since when it takes no new flows, for those that have no end of their own (sweeper.h).
  bool store_weight(std::uint32_t id, std::uint32_t weight) {
    lvs_load& load = maps_.loads[id];
    if (weight != 0)
      maps_.store_word(load.drained, 0);
    else if (load.drained == 0)
      maps_.store_word(load.drained, drained_now());
    return maps_.store_word(load.weight, weight);
  }

  // Only now, when no table names them any more: a new flow never meets a backend that refuses it.
  void write_failures() {
    dp_.registry_.judge(plan_);
    for (const PlannedService& service : plan_.services)
      for (const PlannedBackend& planned : service.backends)
        if (dp_.records_.update(planned.id) && !planned.added) backends_changed_.insert(planned.id);
    summary_.backends_changed = static_cast<unsigned>(backends_changed_.size());
  }

  void write_vips(const PlannedService& service) {
    for (const auto& [listener, id, tag] : service.listeners)
      maps_.store_record(maps_.vips[id], encode_vip(listener, service.id, tag));
  }

  Result<void> write_reals(bool remove) {
    const Reals wanted = dp_.registry_.reals();
    for (const auto& [key, real] : wanted) {
      const auto present = dp_.reals_.find(key);
      if (present != dp_.reals_.end() && present->second == real) continue;
      if (auto done = put_real(key, real); !done) return done;
      dp_.reals_[key] = real;
    }
    if (!remove) return {};
    for (auto present = dp_.reals_.begin(); present != dp_.reals_.end();) {
      if (wanted.contains(present->first)) {
        ++present;
        continue;
      }
      erase_keyed("reals4", "reals6", present->first.endpoint.address, present->first.endpoint.port,
                  static_cast<std::uint8_t>(present->first.protocol));
      present = dp_.reals_.erase(present);
    }
    return {};
  }

  Result<void> put_real(const RealKey& key, const Real& real) {
    const lvs_real value = encode_real(real);
    return put_keyed("reals4", "reals6", key.endpoint.address, key.endpoint.port,
                     static_cast<std::uint8_t>(key.protocol), &value);
  }

  [[nodiscard]] TableEntries build_table(const PlannedService& service) const {
    const DesiredService& desired = *service.desired;
    std::vector<Member> members;
    for (const PlannedBackend& planned : service.backends) {
      const DesiredBackend& backend = *planned.desired;
      if (backend.up) members.push_back({planned.id, backend.endpoint, backend.weight, backend.weight_before_drain});
    }
    const TableOptions options{desired.hash_fallback, plan_.hash_seed, desired.backends.size()};
    return scheduler_info(desired.scheduler).build(members, options);
  }

  Result<void> swap_tables() {
    std::vector<std::pair<std::uint32_t, TableEntries>> tables;
    for (const PlannedService& service : plan_.services) {
      TableEntries table = build_table(service);
      const bool present = !service.added && maps_.has_table(service.id);
      if (present && maps_.table(service.id) == table) continue;
      const bool explained = service.added || backends_differ_.contains(service.id) ||
                             dp_.registry_.services().at(service.id).applied.has_value() || loses_backend(service.id);
      if (!explained) changed_.insert(service.id);  // by what the previous lvsd had another opinion of
      tables.emplace_back(service.id, std::move(table));
    }
    return maps_.swap_tables(tables);
  }

  [[nodiscard]] bool loses_backend(std::uint32_t service) const {
    return std::any_of(plan_.removed_backends.begin(), plan_.removed_backends.end(),
                       [&](std::uint32_t id) { return dp_.registry_.backends().at(id).service == service; });
  }

  Result<void> write_service(const PlannedService& service) {
    const lvs_service record = encode_service(*service.desired);
    maps_.store_record(maps_.names[service.id], encode_name(service.desired->name));
    const bool changed = maps_.store_service_word(service.id, service_word(record));
    if (service.added)
      ++summary_.services_added;
    else if (changed || !service.listeners.empty())
      changed_.insert(service.id);
    for (const PlannedListener& planned : service.listeners) {
      if (auto done = dp_.put_listener(planned.listener); !done) return done;
      if (auto done = put_address(planned.listener.address); !done) return done;
    }
    return {};
  }

  // ---- addresses of listeners

  Result<void> put_address(const IpAddress& address) {
    if (dp_.addresses_.contains(address)) return {};
    const lvs_listener entry{};
    if (auto done = put_keyed("listeners4", "listeners6", address, 0, 0, &entry); !done) return done;
    dp_.addresses_.insert(address);
    return {};
  }

  Result<void> write_addresses() {
    const std::set<IpAddress> wanted = dp_.registry_.addresses();
    for (const IpAddress& address : wanted)
      if (auto done = put_address(address); !done) return done;
    std::erase_if(dp_.addresses_, [&](const IpAddress& address) {
      if (wanted.contains(address)) return false;
      erase_keyed("listeners4", "listeners6", address, 0, 0);
      return true;
    });
    return {};
  }

  // ---- removing

  void remove_listeners() {
    for (const auto& [listener, id] : plan_.removed_listeners) {
      changed_.insert(dp_.registry_.listeners().at(listener).service);
      erase_keyed("listeners4", "listeners6", listener.address, listener.port,
                  static_cast<std::uint8_t>(listener.protocol));
    }
  }

  void remove_backends() {
    for (const std::uint32_t id : plan_.removed_backends) {
      dp_.records_.invalidate(id);
      store_weight(id, 0);
      ++summary_.backends_removed;
    }
  }

  // After registry.remove(): resting backends of the service have lost their owner, and their record says so too.
  void clear_service(std::uint32_t id) {
    for (const auto& [backend, owner] : dp_.registry_.resting_backends())
      if (owner == 0) dp_.records_.disown(backend);
    maps_.store_service_word(id, 0);
    maps_.drop_table(id);
    maps_.store_record(maps_.retired[id], lvs_counters{});
    maps_.store_record(maps_.names[id], lvs_name{});
    ++summary_.services_removed;
  }

  // ---- both families

  Result<void> put_keyed(const char* map4, const char* map6, const IpAddress& address, std::uint16_t port,
                         std::uint8_t protocol, const void* value) {
    if (address.is_v4()) {
      const lvs_key4 key = key4(address, port, protocol);
      return maps_.put(map4, &key, value);
    }
    const lvs_key6 key = key6(address, port, protocol);
    return maps_.put(map6, &key, value);
  }

  void erase_keyed(const char* map4, const char* map6, const IpAddress& address, std::uint16_t port,
                   std::uint8_t protocol) {
    if (address.is_v4()) {
      const lvs_key4 key = key4(address, port, protocol);
      maps_.erase(map4, &key);
    } else {
      const lvs_key6 key = key6(address, port, protocol);
      maps_.erase(map6, &key);
    }
  }

  XdpDataplane& dp_;
  Maps& maps_;
  const Plan& plan_;
  ApplySummary summary_;
  std::set<std::uint32_t> changed_;          // services
  std::set<std::uint32_t> backends_differ_;  // services
  std::set<std::uint32_t> backends_changed_;
};

// One of the service's dr servers is this host.
bool XdpDataplane::is_server_itself(std::uint32_t service) const {
  const auto& backends = registry_.services().at(service).backends;
  return std::any_of(backends.begin(), backends.end(), [&](std::uint32_t id) {
    const InstalledBackend& backend = registry_.backends().at(id);
    const NextHop* hop = records_.hop(backend.endpoint.address);
    return backend.forward == ForwardMethod::dr && hop != nullptr && hop->local;
  });
}

Result<void> XdpDataplane::put_listener(const Listener& listener) {
  const InstalledListener& installed = registry_.listeners().at(listener);
  lvs_listener entry{};
  entry.id = installed.id;
  entry.service = installed.service;
  entry.sum = address_sum(listener.address, listener.port);
  entry.tag = installed.tag;
  entry.flags = paired_ && is_server_itself(installed.service) ? LVS_LISTENER_HOST : 0;
  const auto protocol = static_cast<std::uint8_t>(listener.protocol);
  if (listener.address.is_v4()) {
    const lvs_key4 key = key4(listener.address, listener.port, protocol);
    return maps_.put_changed("listeners4", key, entry);
  }
  const lvs_key6 key = key6(listener.address, listener.port, protocol);
  return maps_.put_changed("listeners6", key, entry);
}

// Whether the backend is this host may have changed.
void XdpDataplane::write_listeners_of(const IpAddress& backend) {
  if (!paired_) return;
  std::set<std::uint32_t> services;
  for (const std::uint32_t id : registry_.backends_at(backend)) services.insert(registry_.backends().at(id).service);
  for (const std::uint32_t service : services)
    for (const Listener& listener : registry_.services().at(service).listeners)
      if (auto done = put_listener(listener); !done) spdlog::error("{}", done.error().message);
}

void XdpDataplane::apply_globals(const Desired& desired) {
  lvs_control& control = maps_.control();
  const auto timeouts = encode_timeouts(desired.timeouts);
  for (std::size_t state = 0; state < timeouts.size(); ++state)
    maps_.store_word(control.timeout[state], timeouts[state]);
  maps_.store_word(control.schedule_seed, desired.hash_seed);
  if (paired_ == desired.paired) return;
  paired_ = desired.paired;
  for (const auto& [listener, installed] : registry_.listeners())
    if (auto done = put_listener(listener); !done) spdlog::error("{}", done.error().message);
}

Result<ApplySummary> XdpDataplane::apply(const Desired& desired) {
  const auto plan = registry_.plan(desired, limits_);
  if (!plan) return tl::make_unexpected(plan.error());
  apply_globals(desired);
  if (plan->empty() && !reals_unknown_) return ApplySummary{};
  auto summary = Applier(*this, *plan).run();
  teller_.ids_changed();
  importer_.ids_changed();
  if (summary) {
    reals_unknown_ = false;
    return summary;
  }
  // The kernel refused a write half-way (out of memory). The maps are the truth: start from them again, as after a
  // crash.
  spdlog::error("applying stopped half-way: {}", summary.error().message);
  adopt_maps();
  return summary;
}

}  // namespace xlvs::dataplane
