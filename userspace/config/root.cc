// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "config/sections.h"

namespace xlvs::config {
namespace {

constexpr Milliseconds kLeastTimeout{1000};
constexpr Milliseconds kGreatestTimeout{30'000'000};

}  // namespace

const std::vector<std::string_view>& forward_names() {
  static const std::vector<std::string_view> names{to_string(ForwardMethod::nat), to_string(ForwardMethod::dr)};
  return names;
}

void Root::repeated_keys(const Node& node) {
  for (const Key& key : node.keys) {
    if (key.text == "services") continue;
    const auto [earlier, first] = given_.emplace(key.text, key.where);
    if (!first && earlier->second.source != key.where.source)
      context_.diagnostics.error(key.where, "key {} is repeated: it was given at {} already", quote(key.text),
                                 context_.diagnostics.place(earlier->second));
  }
}

void Root::parse(const Node& node) {
  if (node.kind == Node::Kind::null) return;  // an empty file
  repeated_keys(node);
  Config& config = parsed_.config;
  Section section(context_, node, "", "the configuration");
  if (const Node* interfaces = section.take("interfaces"))
    if (is_sequence(context_, *interfaces, "interfaces", "interfaces")) {
      parsed_.interfaces_where = interfaces->where;
      for (const Node& item : interfaces->items) parse_interface(context_, item, parsed_);
    }
  section.each("services", "services", [&](const Node& item) { parse_service(context_, item, parsed_); });
  if (const Node* timeouts = section.take("timeouts")) parse_timeouts(context_, *timeouts, config.timeouts);
  if (const Node* limits = section.take("limits")) parse_limits(context_, *limits, config.limits);
  if (const Node* names = section.take("names")) parse_names(context_, *names, config.names);
  if (const Node* metrics = section.take("metrics")) parse_metrics(context_, *metrics, config.metrics);
  if (const Node* ha = section.take("ha")) parse_ha(context_, *ha, parsed_);
  section.boolean("manage_vips", config.manage_vips);
  section.interface("vip_interface", config.vip_interface);
  section.each("hooks", "hooks", [&](const Node& item) { parse_hook(context_, item, config.hooks); });
  if (const Node* directory = section.take("maintenance_dir")) {
    if (const auto path = read_text(context_, *directory, "maintenance_dir")) {
      config.maintenance_dir = *path;
      if (!path->starts_with('/'))
        context_.diagnostics.error(directory->where, "maintenance_dir: {} must be an absolute path", quote(*path));
    }
  }
  section.integer("hash_seed", config.hash_seed, 0, std::numeric_limits<std::uint32_t>::max());
  section.integer("max_programs", config.max_programs, 1, 4096);
  section.integer("check_mark", config.check_mark, 1, std::numeric_limits<std::uint16_t>::max());
  if (const Node* group = section.take("socket_group"))
    if (const auto name = read_text(context_, *group, "socket_group")) config.socket_group = *name;
  if (const Node* level = section.take("log_level")) {
    const std::vector<std::string_view> levels{"debug", "info", "warning", "error"};
    if (const auto index = read_choice(context_, *level, "log_level", levels)) config.log_level = levels[*index];
  }
  section.finish();
}

void Root::finish() {
  if (!given_.contains("interfaces"))
    context_.diagnostics.error(parsed_.where,
                               "the key 'interfaces' is missing: list those that carry traffic, such as [eth0]");
}

void parse_interface(Context& context, const Node& node, Parsed& parsed) {
  InterfaceConfig interface;
  if (node.kind == Node::Kind::scalar || node.kind == Node::Kind::null) {
    if (auto name = read_interface(context, node, "interfaces")) interface.name = std::move(*name);
  } else {
    Section section(context, node, "interfaces[]", "an interface");
    if (const Node* name_node = section.require("name"))
      if (auto name = read_interface(context, *name_node, "name")) interface.name = std::move(*name);
    section.choice("mode", interface.mode, parse_xdp_mode,
                   {to_string(XdpMode::automatic), to_string(XdpMode::native), to_string(XdpMode::generic)});
    section.boolean("optional", interface.optional);
    section.finish();
  }
  if (interface.name.empty()) {
    parsed.interfaces_where.reset();  // reported; the list is not what was meant
    return;
  }
  parsed.config.interfaces.push_back(std::move(interface));
  parsed.interface_where.push_back(node.where);
}

void parse_timeouts(Context& context, const Node& node, TimeoutConfig& timeouts) {
  Section section(context, node, "timeouts", "timeouts");
  section.duration("tcp_established", timeouts.tcp_established, kLeastTimeout, kGreatestTimeout);
  section.duration("tcp_syn_sent", timeouts.tcp_syn_sent, kLeastTimeout, kGreatestTimeout);
  section.duration("tcp_syn_recv", timeouts.tcp_syn_recv, kLeastTimeout, kGreatestTimeout);
  section.duration("tcp_fin_wait", timeouts.tcp_fin_wait, kLeastTimeout, kGreatestTimeout);
  section.duration("tcp_time_wait", timeouts.tcp_time_wait, kLeastTimeout, kGreatestTimeout);
  section.duration("tcp_close", timeouts.tcp_close, kLeastTimeout, kGreatestTimeout);
  section.duration("tcp_close_wait", timeouts.tcp_close_wait, kLeastTimeout, kGreatestTimeout);
  section.duration("tcp_last_ack", timeouts.tcp_last_ack, kLeastTimeout, kGreatestTimeout);
  section.duration("udp", timeouts.udp, kLeastTimeout, kGreatestTimeout);
  section.finish();
}

void parse_metrics(Context& context, const Node& node, std::optional<Endpoint>& metrics) {
  Section section(context, node, "metrics", "metrics");
  if (const Node* listen = section.take("listen")) {
    if (const auto text = read_text(context, *listen, "listen")) {
      const auto endpoint = Endpoint::parse(*text);
      if (*text == "off")
        metrics.reset();
      else if (endpoint)
        metrics = *endpoint;
      else
        context.diagnostics.error(listen->where, "listen: {}; or write off", endpoint.error().message);
    }
  }
  section.finish();
}

}  // namespace xlvs::config
