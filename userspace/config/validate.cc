// SPDX-License-Identifier: Apache-2.0
// What concerns the whole configuration.
#include <map>
#include <set>

#include "config/sections.h"

namespace xlvs::config {
namespace {

void validate_interfaces(Diagnostics& diagnostics, const Parsed& parsed) {
  if (parsed.config.interfaces.empty() && parsed.interfaces_where)
    diagnostics.error(*parsed.interfaces_where,
                      "interfaces: the list is empty: name the interfaces that carry traffic");
  std::set<std::string_view> seen;
  for (std::size_t i = 0; i < parsed.config.interfaces.size(); ++i)
    if (!seen.insert(parsed.config.interfaces[i].name).second)
      diagnostics.error(parsed.interface_where[i], "interface {} is listed twice", parsed.config.interfaces[i].name);
}

void validate_names(Diagnostics& diagnostics, const Parsed& parsed) {
  std::map<std::string, Position> seen;
  for (const ParsedService& service : parsed.services) {
    if (service.config.name.empty()) continue;
    const auto [first, added] = seen.emplace(service.config.name, service.where);
    if (!added)
      diagnostics.error(service.where, "service {}: there is another service of this name at {}", service.config.name,
                        diagnostics.place(first->second));
  }
}

struct Owner {
  const ParsedService* service;
  Position where;
};

std::map<Listener, Owner> validate_listeners(Diagnostics& diagnostics, const Parsed& parsed) {
  std::map<Listener, Owner> seen;
  for (const ParsedService& service : parsed.services)
    for (const auto& [listener, where] : service.listeners) {
      const auto [first, added] = seen.emplace(listener, Owner{&service, where});
      if (!added)
        diagnostics.error(where, "service {}: listener {} is taken by service {} at {}", service.config.name,
                          listener.to_string(), first->second.service->config.name,
                          diagnostics.place(first->second.where));
    }
  return seen;
}

void validate_backends_are_no_vips(Diagnostics& diagnostics, const Parsed& parsed,
                                   const std::map<Listener, Owner>& listeners) {
  std::map<IpAddress, const Owner*> vips;
  for (const auto& [listener, owner] : listeners) vips.emplace(listener.address, &owner);
  for (const ParsedService& service : parsed.services)
    for (const ParsedBackend& backend : service.backends) {
      const auto found = backend.address ? vips.find(*backend.address) : vips.end();
      if (found != vips.end())
        diagnostics.error(backend.where, "service {}: backend {} is a virtual address: service {} listens on it",
                          service.config.name, backend.address->to_string(), found->second->service->config.name);
    }
}

void validate_limits(Diagnostics& diagnostics, const Parsed& parsed) {
  std::size_t listeners = 0;
  std::size_t backends = 0;
  for (const ParsedService& service : parsed.services) {
    listeners += service.listeners.size();
    backends += service.backends.size();
  }
  const LimitConfig& limits = parsed.config.limits;
  const auto check = [&](std::string_view what, std::size_t count, std::uint32_t limit) {
    if (count > limit)
      diagnostics.error({parsed.where.source, 0, 0}, "{} {} are configured, but limits.{} is {}: raise it", count, what,
                        what, limit);
  };
  check("services", parsed.services.size(), limits.services);
  check("listeners", listeners, limits.listeners);
  check("backends", backends, limits.backends);
}

}  // namespace

void validate(Diagnostics& diagnostics, Parsed& parsed) {
  validate_interfaces(diagnostics, parsed);
  validate_names(diagnostics, parsed);
  const auto listeners = validate_listeners(diagnostics, parsed);
  validate_backends_are_no_vips(diagnostics, parsed, listeners);
  validate_limits(diagnostics, parsed);
  validate_ha(diagnostics, parsed);
  for (ParsedService& service : parsed.services) {
    validate_via(diagnostics, service);
    validate_service(diagnostics, service);
    parsed.config.services.push_back(std::move(service.config));
  }
  validate_vias(diagnostics, parsed);
}

}  // namespace xlvs::config
