// SPDX-License-Identifier: Apache-2.0
#include "config/config.h"

#include "config/hash.h"
#include "config/sections.h"
#include "config/yaml.h"

namespace xlvs::config {
namespace {

bool is_too_long(std::span<const Source> sources) {
  std::size_t total = 0;
  for (const Source& source : sources) total += source.text.size();
  return total > kMaxText;
}

}  // namespace

ParseResult parse(std::span<const Source> sources) {
  Diagnostics diagnostics(sources);
  if (is_too_long(sources)) {
    diagnostics.error({}, "the configuration is longer than {} MiB", kMaxText >> 20);
    return tl::make_unexpected(diagnostics.take());
  }
  Context context{diagnostics};
  Root root(context);
  try {
    bool readable = true;
    for (std::size_t i = 0; i < sources.size(); ++i) {
      const Node node = read_yaml(sources[i], i, diagnostics);
      readable = readable && node.kind != Node::Kind::broken;
      root.parse(node);
    }
    if (readable) root.finish();
    validate(diagnostics, root.parsed());
  } catch (const TooManyErrors&) {
  }
  if (!diagnostics.empty()) return tl::make_unexpected(diagnostics.take());
  Loaded loaded;
  loaded.config = std::move(root.parsed().config);
  loaded.hash = meaning_hash(loaded.config);
  loaded.shared_hash = shared_hash(loaded.config);
  return loaded;
}

std::set<std::string> known_keys() {
  std::set<std::string> keys;
  Diagnostics diagnostics({});
  Context context{diagnostics, &keys};
  const Node empty{.kind = Node::Kind::mapping};
  Root root(context);
  root.parse(empty);
  Parsed parsed;
  ParsedService service;
  CheckSpec check;
  parse_interface(context, empty, parsed);
  parse_service(context, empty, parsed);
  parse_backend(context, empty, service);
  parse_check(context, empty, check);
  parse_hook(context, empty, parsed.config.hooks);
  parse_sorry(context, empty, service);
  parse_quorum(context, empty, service.config.pool.quorum);
  parse_flap(context, empty, service.config.life.flap);
  std::vector<ParsedVrrp> instances;
  parse_ha(context, empty, parsed);
  parse_vrrp_instance(context, empty, instances);
  std::vector<Located<TrackConfig>> tracks;
  parse_track(context, empty, tracks);
  std::optional<PeerConfig> peer;
  parse_peer(context, empty, peer);
  parse_flow_sync(context, empty, peer->flows);
  parse_timeouts(context, empty, parsed.config.timeouts);
  parse_limits(context, empty, parsed.config.limits);
  parse_names(context, empty, parsed.config.names);
  parse_metrics(context, empty, parsed.config.metrics);
  Section section(context, empty, "services[].check", "a check");
  for (const CheckType& type : check_types()) parse_check_params(section, type, check);
  return keys;
}

}  // namespace xlvs::config
