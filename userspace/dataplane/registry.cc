// SPDX-License-Identifier: Apache-2.0
#include "dataplane/registry.h"

#include <algorithm>

#include "core/scheduler.h"

namespace xlvs::dataplane {

Registry::Registry(std::uint32_t service_ids, std::uint32_t listener_ids, std::uint32_t backend_ids)
    : service_ids_(service_ids), listener_ids_(listener_ids), backend_ids_(backend_ids) {}

void Registry::adopt_service(std::uint32_t id, const std::string& name) {
  service_ids_.adopt(id);
  names_[name] = id;
  services_[id].name = name;
}

void Registry::adopt_listener(std::uint32_t id, const Listener& listener, std::uint32_t service) {
  listener_ids_.adopt(id);
  listeners_[listener] = {id, service};
  services_.at(service).listeners.insert(listener);
}

void Registry::adopt_backend(std::uint32_t id, const InstalledBackend& backend) {
  backend_ids_.adopt(id);
  backends_[id] = backend;
  by_endpoint_[{backend.service, backend.endpoint}] = id;
  by_address_[backend.endpoint.address].insert(id);
  services_.at(backend.service).backends.push_back(id);
}

// ---- planning --------------------------------------------------------------------------------------------------

struct Registry::Wanted {
  std::set<std::string> services;
  std::set<Listener> listeners;
};

std::optional<std::uint32_t> Registry::service_id(const std::string& name) const {
  const auto found = names_.find(name);
  if (found == names_.end()) return std::nullopt;
  return found->second;
}

namespace {

Result<void> check_service(const DesiredService& service) {
  if (service.name.empty() || service.name.size() > 63)
    return fail(ErrorKind::invalid, "service name \"{}\" must have 1 to 63 characters", service.name);
  if (service.listeners.empty()) return fail(ErrorKind::invalid, "service {} listens nowhere", service.name);
  const bool compares = service.scheduler == Scheduler::lc || service.scheduler == Scheduler::wlc;
  if (compares && service.backends.size() > kMaxCandidates)
    return fail(ErrorKind::invalid, "service {} has {} backends, but scheduler {} compares at most {}; use wrr or mh",
                service.name, service.backends.size(), to_string(service.scheduler), kMaxCandidates);
  const Family family = service.listeners.front().address.family();
  std::set<Endpoint> endpoints;
  for (const DesiredBackend& backend : service.backends) {
    if (!endpoints.insert(backend.endpoint).second)
      return fail(ErrorKind::invalid, "service {} has backend {} twice", service.name, backend.endpoint.to_string());
    if (backend.endpoint.address.family() != family)
      return fail(ErrorKind::invalid, "service {}: backend {} is not of the family of its listeners", service.name,
                  backend.endpoint.to_string());
  }
  return {};
}

Result<void> check_limit(std::string_view what, std::size_t wanted, std::uint32_t limit) {
  if (wanted <= limit) return {};
  return fail(ErrorKind::invalid, "{} {} are more than limits.{} allows ({}); raise it and {}", wanted, what, what,
              limit, kLimitsRemedy);
}

}  // namespace

Result<void> Registry::check(const Desired& desired, const LimitConfig& limits, Wanted& wanted) const {
  std::size_t backends = 0;
  for (const DesiredService& service : desired.services) {
    if (auto good = check_service(service); !good) return good;
    if (!wanted.services.insert(service.name).second)
      return fail(ErrorKind::invalid, "service {} is described twice", service.name);
    for (const Listener& listener : service.listeners)
      if (!wanted.listeners.insert(listener).second)
        return fail(ErrorKind::invalid, "service {}: listener {} is used twice", service.name, listener.to_string());
    backends += service.backends.size();
  }
  if (auto good = check_limit("services", wanted.services.size(), limits.services); !good) return good;
  if (auto good = check_limit("listeners", wanted.listeners.size(), limits.listeners); !good) return good;
  return check_limit("backends", backends, limits.backends);
}

namespace {

// Only quarantine can make ids short: there are twice as many as the limits allow in use.
tl::unexpected<Error> out_of_ids(std::string_view what, const IdPool& pool) {
  return fail(
      ErrorKind::unavailable,
      "no free id for another of the {}: {} ids of removed ones rest until a sweep of the flow table has passed; "
      "try again in some seconds",
      what, pool.quarantined());
}

}  // namespace

Result<void> Registry::plan_service(const DesiredService& desired, const Wanted& wanted, Plan& plan) const {
  PlannedService planned;
  planned.desired = &desired;
  if (const auto id = service_id(desired.name)) {
    const InstalledService& installed = services_.at(*id);
    if (installed.applied && installed.applied->hash_seed == plan.hash_seed && installed.applied->desired == desired)
      return {};
    planned.id = *id;
    plan_removal(*id, &desired, wanted, plan);
  } else {
    if (plan.service_ids.free_count() == 0) return out_of_ids("services", plan.service_ids);
    planned.id = plan.service_ids.allocate();
    planned.added = true;
  }
  for (const DesiredBackend& backend : desired.backends) {
    const auto found = by_endpoint_.find({planned.id, backend.endpoint});
    if (found != by_endpoint_.end()) {
      planned.backends.push_back({found->second, false, &backend});
      continue;
    }
    if (plan.backend_ids.free_count() == 0) return out_of_ids("backends", plan.backend_ids);
    planned.backends.push_back({plan.backend_ids.allocate(), true, &backend});
  }
  for (const Listener& listener : desired.listeners) {
    const auto found = listeners_.find(listener);
    if (found != listeners_.end()) {
      if (found->second.service != planned.id) planned.listeners.emplace_back(listener, found->second.id);
      continue;
    }
    if (plan.listener_ids.free_count() == 0) return out_of_ids("listeners", plan.listener_ids);
    planned.listeners.emplace_back(listener, plan.listener_ids.allocate());
  }
  plan.services.push_back(std::move(planned));
  return {};
}

void Registry::plan_removal(std::uint32_t id, const DesiredService* desired, const Wanted& wanted, Plan& plan) const {
  const InstalledService& installed = services_.at(id);
  std::set<Endpoint> endpoints;
  if (desired != nullptr)
    for (const DesiredBackend& backend : desired->backends) endpoints.insert(backend.endpoint);
  else
    plan.removed_services.push_back(id);
  for (const std::uint32_t backend : installed.backends)
    if (!endpoints.contains(backends_.at(backend).endpoint)) plan.removed_backends.push_back(backend);
  for (const Listener& listener : installed.listeners)
    if (!wanted.listeners.contains(listener)) plan.removed_listeners.emplace_back(listener, listeners_.at(listener).id);
}

Result<Plan> Registry::plan(const Desired& desired, const LimitConfig& limits) const {
  Wanted wanted;
  if (auto good = check(desired, limits, wanted); !good) return tl::make_unexpected(good.error());
  Plan plan;
  plan.hash_seed = desired.hash_seed;
  plan.service_ids = service_ids_;
  plan.listener_ids = listener_ids_;
  plan.backend_ids = backend_ids_;
  for (const DesiredService& service : desired.services)
    if (auto done = plan_service(service, wanted, plan); !done) return tl::make_unexpected(done.error());
  for (const auto& [id, service] : services_)
    if (!wanted.services.contains(service.name)) plan_removal(id, nullptr, wanted, plan);
  return plan;
}

// ---- changing --------------------------------------------------------------------------------------------------

void Registry::add(const Plan& plan) {
  for (const PlannedService& planned : plan.services) {
    if (planned.added) adopt_service(planned.id, planned.desired->name);
    for (const PlannedBackend& backend : planned.backends) {
      if (backend.added)
        adopt_backend(backend.id, {planned.id, backend.desired->endpoint, backend.desired->forward});
      else
        backends_.at(backend.id).forward = backend.desired->forward;
    }
    for (const auto& [listener, id] : planned.listeners) {
      const auto found = listeners_.find(listener);
      if (found == listeners_.end()) {
        adopt_listener(id, listener, planned.id);
        continue;
      }
      services_.at(found->second.service).listeners.erase(listener);
      found->second.service = planned.id;
      services_.at(planned.id).listeners.insert(listener);
    }
  }
}

void Registry::remove(const Plan& plan, std::uint64_t sweep) {
  for (const auto& [listener, id] : plan.removed_listeners) {
    services_.at(listeners_.at(listener).service).listeners.erase(listener);
    listeners_.erase(listener);
    listener_ids_.quarantine(id, sweep);
  }
  for (const std::uint32_t id : plan.removed_backends) {
    const InstalledBackend backend = backends_.at(id);
    std::erase(services_.at(backend.service).backends, id);
    by_endpoint_.erase({backend.service, backend.endpoint});
    auto& neighbours = by_address_[backend.endpoint.address];
    neighbours.erase(id);
    if (neighbours.empty()) by_address_.erase(backend.endpoint.address);
    backends_.erase(id);
    quarantine_backend(id, backend.service, sweep);
  }
  for (const std::uint32_t id : plan.removed_services) {
    names_.erase(services_.at(id).name);
    services_.erase(id);
    service_ids_.release(id);
    for (auto& [backend, owner] : resting_)
      if (owner == id) owner = 0;
  }
  for (const PlannedService& planned : plan.services) {
    InstalledService& installed = services_.at(planned.id);
    installed.backends.clear();
    for (const PlannedBackend& backend : planned.backends) installed.backends.push_back(backend.id);
    installed.applied = AppliedService{*planned.desired, plan.hash_seed};
  }
}

void Registry::quarantine_backend(std::uint32_t id, std::uint32_t service, std::uint64_t sweep) {
  backend_ids_.quarantine(id, sweep);
  resting_[id] = service;
}

void Registry::release_backend(std::uint32_t id) {
  backend_ids_.release(id);
  resting_.erase(id);
}

// ---- looking ---------------------------------------------------------------------------------------------------

std::optional<std::uint32_t> Registry::backend_id(std::uint32_t service, const Endpoint& endpoint) const {
  const auto found = by_endpoint_.find({service, endpoint});
  if (found == by_endpoint_.end()) return std::nullopt;
  return found->second;
}

std::vector<std::uint32_t> Registry::backends_at(const IpAddress& address) const {
  const auto found = by_address_.find(address);
  if (found == by_address_.end()) return {};
  return {found->second.begin(), found->second.end()};
}

std::set<IpAddress> Registry::addresses() const {
  std::set<IpAddress> out;
  for (const auto& [listener, entry] : listeners_) out.insert(listener.address);
  return out;
}

Reals Registry::reals() const {
  Reals out;
  for (const auto& [service_id, service] : services_) {
    for (const Protocol protocol : {Protocol::tcp, Protocol::udp}) {
      const auto first = std::find_if(service.listeners.begin(), service.listeners.end(),
                                      [&](const Listener& listener) { return listener.protocol == protocol; });
      if (first == service.listeners.end()) continue;
      for (const std::uint32_t id : service.backends) {
        const InstalledBackend& backend = backends_.at(id);
        if (backend.forward != ForwardMethod::nat) continue;
        const Real real{id, listeners_.at(*first).id, *first, false};
        const auto [entry, added] = out.try_emplace({backend.endpoint, protocol}, real);
        if (!added) entry->second.shared = true;
      }
    }
  }
  return out;
}

}  // namespace xlvs::dataplane
