// SPDX-License-Identifier: Apache-2.0
// The keys of a service that say which of its backends are used.
#include <charconv>

#include "config/sections.h"

namespace xlvs::config {
namespace {

constexpr std::int64_t kGreatestQuorum = 1'000'000'000;

// "30%": 1..100.
void parse_percent(Context& context, const Node& node, std::string_view what, unsigned& target) {
  const std::string_view text = node.text;
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = node.kind == Node::Kind::scalar && error == std::errc{} && text.substr(end - text.data()) == "%";
  if (whole && value >= 1 && value <= 100) {
    target = value;
  } else if (node.kind != Node::Kind::broken) {
    context.diagnostics.error(node.where, "{}: expected a percentage such as 30% (1%..100%)", what);
  }
}

}  // namespace

void parse_sorry(Context& context, const Node& node, ParsedService& service) {
  ParsedBackend backend;
  backend.where = node.where;
  Section section(context, node, "services[].sorry", "a sorry server");
  if (const Node* address = section.require("address")) backend.address = read_address(context, *address, "address");
  if (const Node* port = section.take("port"))
    if (const auto value = read_integer(context, *port, "port", 1, 65535))
      backend.port = {static_cast<std::uint16_t>(*value), port->where};
  ForwardMethod forward = service.config.forward;
  section.choice("forward", forward, parse_forward_method, forward_names());
  backend.forward = forward;
  section.finish();
  backend.tier = kSorryTier;
  backend.checks = CheckList{};
  if (section.is_mapping()) service.backends.push_back(std::move(backend));
}

void parse_quorum(Context& context, const Node& node, std::optional<Quorum>& quorum) {
  Section section(context, node, "services[].quorum", "a quorum");
  Quorum value;
  if (const Node* up = section.require("up"))
    if (const auto number = read_integer(context, *up, "up", 1, kGreatestQuorum))
      value.up = static_cast<std::uint32_t>(*number);
  value.down = value.up;
  section.integer("down", value.down, 1, kGreatestQuorum);
  section.finish();
  if (section.is_mapping()) quorum = value;
}

void parse_pool(Section& section, ParsedService& service) {
  PoolRules& pool = service.config.pool;
  if (const Node* panic = section.take("panic")) parse_percent(section.context(), *panic, "panic", pool.panic);
  if (const Node* quorum = section.take("quorum")) {
    service.quorum_where = quorum->where;
    parse_quorum(section.context(), *quorum, pool.quorum);
  }
  if (const Node* withdraw = section.take("withdraw_vip"))
    if (const auto value = read_boolean(section.context(), *withdraw, "withdraw_vip")) {
      pool.withdraw_vip = *value;
      if (!*value) service.keeps_vip_where = withdraw->where;
    }
  if (const Node* sorry = section.take("sorry")) parse_sorry(section.context(), *sorry, service);
}

}  // namespace xlvs::config
