// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "config/sections.h"
#include "core/names.h"
#include "core/scheduler.h"

namespace xlvs::config {
namespace {

bool is_service_name(std::string_view name) {
  constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  if (name.empty() || name.size() > 63 || kLetters.find(name[0]) == std::string_view::npos) return false;
  return std::all_of(name.begin(), name.end(), [&](char c) {
    return kLetters.find(c) != std::string_view::npos || c == '_' || c == '.' || c == '-';
  });
}

void parse_name(Section& section, std::string& target) {
  const Node* node = section.require("name");
  if (node == nullptr) return;
  auto name = read_text(section.context(), *node, "name");
  if (!name) return;
  if (is_service_name(*name))
    target = std::move(*name);
  else
    section.context().diagnostics.error(
        node->where, "name: {} is not a service's name: up to 63 letters, digits, '_', '.' and '-', no sign first",
        quote(*name));
}

// False: wrong, and reported.
bool parse_listener(Context& context, const Node& node, ParsedService& service) {
  const auto text = read_text(context, node, "listen");
  if (!text) return false;
  const auto listener = Listener::parse(*text);
  if (!listener) {
    context.diagnostics.error(node.where, "listen: {}", listener.error().message);
  } else if (!listener->address.is_unicast()) {
    context.diagnostics.error(node.where, "listen: {} is not the address of a host", listener->address.to_string());
  } else {
    service.listeners.push_back({*listener, node.where});
    return true;
  }
  return false;
}

void parse_listen(Section& section, ParsedService& service) {
  const Node* node = section.require("listen");
  service.listen_broken = true;  // until read
  if (node == nullptr || !is_sequence(section.context(), *node, "listen", "listeners")) return;
  service.listen_where = node->where;
  bool broken = false;
  for (const Node& item : node->items) broken |= !parse_listener(section.context(), item, service);
  service.listen_broken = broken;
}

std::vector<std::string_view> scheduler_names() {
  std::vector<std::string_view> names;
  for (const SchedulerInfo& info : schedulers()) names.push_back(info.name);
  return names;
}

// An address, or a DNS name.
void parse_place(Context& context, const Node& node, ParsedBackend& backend) {
  const bool literal =
      node.kind != Node::Kind::scalar || IpAddress::parse(node.text).has_value() || !is_host_name(node.text);
  if (literal) {
    backend.address = read_address(context, node, "address");
  } else if (auto host = read_text(context, node, "address")) {
    std::transform(host->begin(), host->end(), host->begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
    if (host->ends_with('.')) host->pop_back();
    backend.host = std::move(*host);
  }
}

std::optional<Position> position(const Node* node) {
  return node == nullptr ? std::nullopt : std::optional(node->where);
}

}  // namespace

void parse_service(Context& context, const Node& node, Parsed& parsed) {
  ParsedService service;
  service.where = node.where;
  ServiceConfig& config = service.config;
  Section section(context, node, "services[]", "a service");
  parse_name(section, config.name);
  parse_listen(section, service);
  section.choice("forward", config.forward, parse_forward_method, forward_names());
  section.choice("scheduler", config.scheduler, parse_scheduler, scheduler_names());
  section.boolean("hash_port", config.hash_port);
  section.boolean("hash_fallback", config.hash_fallback);
  section.boolean("sloppy_tcp", config.sloppy_tcp);
  section.choice("no_flow", config.no_flow, parse_no_flow_policy,
                 {to_string(NoFlowPolicy::pass), to_string(NoFlowPolicy::drop)});
  section.choice("flows_on_failure", config.flows_on_failure, parse_flows_on_failure,
                 {to_string(FlowsOnFailure::keep), to_string(FlowsOnFailure::reset), to_string(FlowsOnFailure::drop)});
  service.hash_port_where = position(section.take("hash_port"));
  service.hash_fallback_where = position(section.take("hash_fallback"));
  const CheckSpec standard = default_check(service);
  if (!parse_checks(section, standard, config.checks, service.check_where)) {
    config.checks = {standard};
    service.check_where = {service.where};
  }
  parse_life(section, config.life);
  section.each("backends", "backends", [&](const Node& item) { parse_backend(context, item, service); });
  parse_pool(section, service);
  section.finish();
  if (section.is_mapping()) parsed.services.push_back(std::move(service));
}

void parse_backend(Context& context, const Node& node, ParsedService& service) {
  ParsedBackend backend;
  backend.where = node.where;
  Section section(context, node, "services[].backends[]", "a backend");
  if (const Node* address = section.require("address")) parse_place(context, *address, backend);
  if (const Node* port = section.take("port"))
    if (const auto value = read_integer(context, *port, "port", 1, 65535))
      backend.port = {static_cast<std::uint16_t>(*value), port->where};
  section.integer("weight", backend.weight, 0, 65535);
  ForwardMethod forward = service.config.forward;
  section.choice("forward", forward, parse_forward_method, forward_names());
  backend.forward = forward;
  section.integer("tier", backend.tier, 0, 9);
  CheckList checks;
  if (parse_checks(section, default_check(service), checks, backend.check_where)) backend.checks = std::move(checks);
  section.finish();
  if (section.is_mapping()) service.backends.push_back(std::move(backend));
}

}  // namespace xlvs::config
