// SPDX-License-Identifier: Apache-2.0
// What concerns one service: its keys against each other.
#include <algorithm>
#include <set>

#include "config/sections.h"
#include "core/scheduler.h"

namespace xlvs::config {
namespace {

void validate_listen(Diagnostics& diagnostics, ParsedService& service) {
  if (service.listeners.empty() && !service.listen_broken)
    diagnostics.error(service.listen_where.value_or(service.where), "service {}: listen: the list is empty",
                      service.config.name);
  for (const auto& [listener, where] : service.listeners) {
    const Listener& first = service.listeners.front().value;
    if (listener.address.family() != first.address.family())
      diagnostics.error(where,
                        "service {}: listeners of IPv4 and IPv6 in one service are not supported yet: write two "
                        "services",
                        service.config.name);
    service.config.listeners.push_back(listener);
  }
}

void validate_scheduler(Diagnostics& diagnostics, const ParsedService& service) {
  const ServiceConfig& config = service.config;
  const PickRule rule = scheduler_info(config.scheduler).pick;
  const auto hash_only = [&](bool set, const std::optional<Position>& where, std::string_view key) {
    if (set && rule != PickRule::source_hash)
      diagnostics.error(where.value_or(service.where),
                        "service {}: {} does not apply to the scheduler {}: it is for sh and mh", config.name, key,
                        to_string(config.scheduler));
  };
  hash_only(config.hash_port, service.hash_port_where, "hash_port");
  hash_only(config.hash_fallback, service.hash_fallback_where, "hash_fallback");
  const bool compares = rule == PickRule::least_connection || rule == PickRule::weighted_least_connection;
  if (compares && service.backends.size() > kMaxCandidates)
    diagnostics.error(service.where, "service {}: {} backends are more than the scheduler {} can compare ({}): use mh",
                      config.name, service.backends.size(), to_string(config.scheduler), kMaxCandidates);
}

// The port of a backend that does not name one.
std::uint16_t inherited_port(Diagnostics& diagnostics, const ParsedService& service, const ParsedBackend& backend) {
  if (service.listeners.empty()) return 0;
  const std::uint16_t port = service.listeners.front().value.port;
  const bool differ = std::any_of(service.listeners.begin(), service.listeners.end(),
                                  [&](const auto& listener) { return listener.value.port != port; });
  // With dr the packet keeps its port; the backend's is only that of its check and its name.
  if (differ && backend.forward == ForwardMethod::nat && !service.listen_broken)
    diagnostics.error(backend.where, "service {}: backend {} needs a port: the listeners have different ones",
                      service.config.name, backend.label());
  return port;
}

void validate_port(Diagnostics& diagnostics, const ParsedService& service, const ParsedBackend& backend) {
  if (backend.forward != ForwardMethod::dr || service.listen_broken) return;
  const bool listened = std::any_of(service.listeners.begin(), service.listeners.end(),
                                    [&](const auto& listener) { return listener.value.port == backend.port->value; });
  if (!listened && !service.listeners.empty())
    diagnostics.error(backend.port->where,
                      "service {}: backend {}: dr can not change the port to {}: leave it out, or use nat",
                      service.config.name, backend.label(), backend.port->value);
}

// The sorry server may be one of the backends, too: they become one. False: these are two of a kind.
bool merge_sorry(Diagnostics& diagnostics, ServiceConfig& service, const BackendConfig& next, const Position& where) {
  const auto first = std::find_if(service.backends.begin(), service.backends.end(),
                                  [&](const BackendConfig& backend) { return backend.endpoint() == next.endpoint(); });
  if (first == service.backends.end() || (first->tier == kSorryTier) == (next.tier == kSorryTier)) return false;
  if (first->forward != next.forward)
    diagnostics.error(where,
                      "service {}: backend {} is the sorry server, too, with another forward: give both the same",
                      service.name, next.endpoint().to_string());
  if (first->tier == kSorryTier) *first = next;
  first->sorry = true;
  return true;
}

void validate_backends(Diagnostics& diagnostics, ParsedService& service) {
  std::set<Endpoint> seen;
  std::set<std::pair<std::string, std::uint16_t>> names;
  for (const ParsedBackend& backend : service.backends) {
    if (!backend.named()) continue;
    if (backend.address && !service.listeners.empty() &&
        service.listeners.front().value.address.family() != backend.address->family())
      diagnostics.error(backend.where,
                        "service {}: backend {} and the listener {} are of different address families, which is not "
                        "supported yet",
                        service.config.name, backend.address->to_string(), service.listeners.front().value.to_string());
    BackendConfig config;
    config.address = backend.address.value_or(IpAddress{});
    config.host = backend.host;
    config.weight = backend.weight;
    config.forward = backend.forward.value_or(service.config.forward);
    config.tier = backend.tier;
    config.checks = backend.checks;
    if (config.checks) validate_checks(diagnostics, backend.check_where, service.config.name, *config.checks);
    if (backend.port) {
      config.port = backend.port->value;
      validate_port(diagnostics, service, backend);
    } else {
      config.port = inherited_port(diagnostics, service, backend);
    }
    const bool first =
        backend.address ? seen.insert(config.endpoint()).second : names.emplace(config.host, config.port).second;
    if (!first && backend.address && merge_sorry(diagnostics, service.config, config, backend.where)) continue;
    if (!first)
      diagnostics.error(backend.where, "service {}: backend {} is listed twice", service.config.name,
                        backend.address ? config.endpoint().to_string() : backend.host);
    (backend.address ? service.config.backends : service.config.named).push_back(config);
  }
}

void validate_quorum(Diagnostics& diagnostics, const ParsedService& service) {
  const auto& quorum = service.config.pool.quorum;
  if (quorum && quorum->down > quorum->up)
    diagnostics.error(service.quorum_where.value_or(service.where),
                      "service {}: the quorum is lost below {} and gained at {}: down must be at most up",
                      service.config.name, quorum->down, quorum->up);
}

}  // namespace

void validate_service(Diagnostics& diagnostics, ParsedService& service) {
  validate_listen(diagnostics, service);
  validate_scheduler(diagnostics, service);
  validate_checks(diagnostics, service.check_where, service.config.name, service.config.checks);
  validate_quorum(diagnostics, service);
  validate_backends(diagnostics, service);
}

}  // namespace xlvs::config
