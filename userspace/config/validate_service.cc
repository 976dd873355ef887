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
                      service.config.name, backend.address->to_string());
  return port;
}

void validate_port(Diagnostics& diagnostics, const ParsedService& service, const ParsedBackend& backend) {
  if (backend.forward != ForwardMethod::dr || service.listen_broken) return;
  const bool listened = std::any_of(service.listeners.begin(), service.listeners.end(),
                                    [&](const auto& listener) { return listener.value.port == backend.port->value; });
  if (!listened && !service.listeners.empty())
    diagnostics.error(backend.port->where,
                      "service {}: backend {}: dr can not change the port to {}: leave it out, or use nat",
                      service.config.name, backend.address->to_string(), backend.port->value);
}

void validate_backends(Diagnostics& diagnostics, ParsedService& service) {
  std::set<Endpoint> seen;
  for (const ParsedBackend& backend : service.backends) {
    if (!backend.address) continue;
    if (!service.listeners.empty() && service.listeners.front().value.address.family() != backend.address->family())
      diagnostics.error(backend.where,
                        "service {}: backend {} and the listener {} are of different address families, which is not "
                        "supported yet",
                        service.config.name, backend.address->to_string(), service.listeners.front().value.to_string());
    BackendConfig config;
    config.address = *backend.address;
    config.weight = backend.weight;
    config.forward = backend.forward.value_or(service.config.forward);
    if (backend.port) {
      config.port = backend.port->value;
      validate_port(diagnostics, service, backend);
    } else {
      config.port = inherited_port(diagnostics, service, backend);
    }
    if (!seen.insert(config.endpoint()).second)
      diagnostics.error(backend.where, "service {}: backend {} is listed twice", service.config.name,
                        config.endpoint().to_string());
    service.config.backends.push_back(config);
  }
}

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

bool has_blank(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; });
}

template <typename T>
const T* param(const CheckSpec& check, const std::string& name) {
  const auto found = check.params.find(name);
  return found == check.params.end() ? nullptr : std::get_if<T>(&found->second);
}

void validate_headers(Diagnostics& diagnostics, const Position& where, const std::string& service,
                      const CheckSpec& check) {
  const auto* headers = param<std::map<std::string, std::string>>(check, "headers");
  if (headers == nullptr) return;
  for (const auto& [name, value] : *headers) {
    if (!is_token(name))
      diagnostics.error(where, "service {}: headers: {} can not be the name of a header", service, quote(name));
    if (value.find_first_of("\r\n") != std::string::npos)
      diagnostics.error(where, "service {}: headers: the value of {} has a line end", service, quote(name));
    if (name.size() == 4 &&
        std::equal(name.begin(), name.end(), "host", [](char a, char b) { return (a | 0x20) == b; }))
      diagnostics.error(where, "service {}: headers: give the Host header as 'host'", service);
  }
}

}  // namespace

void validate_check(Diagnostics& diagnostics, const Position& where, const std::string& service,
                    const CheckSpec& check) {
  if (check.timeout > check.interval)
    diagnostics.error(where, "service {}: the check's timeout ({}) is longer than its interval ({})", service,
                      duration_text(check.timeout), duration_text(check.interval));
  const auto* path = param<std::string>(check, "path");
  if (path != nullptr && (!path->starts_with('/') || has_blank(*path)))
    diagnostics.error(where, "service {}: the check's path {} must begin with / and have no blanks", service,
                      quote(*path));
  for (const char* name : {"host", "sni"}) {
    const auto* text = param<std::string>(check, name);
    if (text != nullptr && (text->empty() || has_blank(*text)))
      diagnostics.error(where, "service {}: the check's {} {} is not a host name", service, name, quote(*text));
  }
  const auto* method = param<std::string>(check, "method");
  if (method != nullptr && *method == "HEAD" && check.params.contains("body"))
    diagnostics.error(where, "service {}: the check looks for a body, but HEAD has none: use GET", service);
  const auto* ca_file = param<std::string>(check, "ca_file");
  if (ca_file != nullptr && !ca_file->starts_with('/'))
    diagnostics.error(where, "service {}: the check's ca_file {} must be an absolute path", service, quote(*ca_file));
  const auto* verify = param<bool>(check, "verify");
  if (verify != nullptr && !*verify && ca_file != nullptr)
    diagnostics.error(where, "service {}: the check's ca_file has no effect with verify: false", service);
  validate_headers(diagnostics, where, service, check);
}

void validate_service(Diagnostics& diagnostics, ParsedService& service) {
  validate_listen(diagnostics, service);
  validate_scheduler(diagnostics, service);
  validate_check(diagnostics, service.check_where.value_or(service.where), service.config.name, service.config.check);
  validate_backends(diagnostics, service);
}

}  // namespace xlvs::config
