// SPDX-License-Identifier: Apache-2.0
#include "config/fields.h"
#include "core/status_range.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "config/reader.h"
#include "core/check_type.h"

namespace xlvs::config {
namespace {

std::string yes_no(bool value) {
  return value ? "true" : "false";
}

void add(Fields& fields, std::string name, std::string_view value) {
  fields.push_back({std::move(name), std::string(value)});
}

void add_secret(Fields& fields, std::string name, std::string value) {
  fields.push_back({std::move(name), std::move(value), true});
}

struct CheckValueText {
  std::string operator()(bool value) const { return yes_no(value); }
  std::string operator()(std::int64_t value) const { return std::to_string(value); }
  std::string operator()(const std::string& value) const { return fmt::format("\"{}\"", value); }
  std::string operator()(Milliseconds value) const { return duration_text(value); }
  std::string operator()(const std::vector<StatusRange>& ranges) const { return to_string(ranges); }
  std::string operator()(const std::vector<std::string>& list) const {
    std::string text;
    for (const std::string& item : list) text += fmt::format("{}\"{}\"", text.empty() ? "" : ", ", item);
    return text;
  }
  std::string operator()(const std::map<std::string, std::string>& map) const {
    std::string text;
    for (const auto& [name, value] : map)
      text += fmt::format("{}\"{}\": \"{}\"", text.empty() ? "" : ", ", name, value);
    return text;
  }
};

// Of a path only what follows the question mark: tokens are given there.
bool is_secret(const CheckType* type, const std::string& name, const CheckValue& value) {
  if (type == nullptr) return true;
  const auto param =
      std::find_if(type->params.begin(), type->params.end(), [&](const CheckParam& row) { return row.name == name; });
  if (param == type->params.end() || !param->secret) return param == type->params.end();
  const auto* text = std::get_if<std::string>(&value);
  return name != "path" || text == nullptr || text->find('?') != std::string::npos;
}

void add_check(Fields& fields, const std::string& prefix, const CheckSpec& check) {
  const auto tell = [&](const char* name, const std::string& text) { add(fields, prefix + name, text); };
  tell("type", check.type);
  tell("interval", duration_text(check.interval));
  tell("timeout", duration_text(check.timeout));
  tell("fast_interval", check.fast_interval ? duration_text(*check.fast_interval) : "the interval");
  tell("rise", std::to_string(check.rise));
  tell("fall", std::to_string(check.fall));
  tell("connect", check.connect ? check.connect->to_string() : "the backend");
  tell("port", check.port ? std::to_string(*check.port) : "the backend's");
  if (check.via) tell("via", check.via->to_string());
  const CheckType* type = find_check_type(check.type);
  for (const auto& [name, value] : check.params)
    fields.push_back({prefix + name, std::visit(CheckValueText{}, value), is_secret(type, name, value)});
}

void add_checks(Fields& fields, const CheckList& checks) {
  if (checks.size() == 1) return add_check(fields, "check.", checks.front());
  for (std::size_t i = 0; i < checks.size(); ++i) add_check(fields, fmt::format("checks[{}].", i), checks[i]);
}

void add_life(Fields& fields, const LifeRules& life) {
  add(fields, "start", to_string(life.start));
  add(fields, "on_failure", to_string(life.on_failure));
  add(fields, "reentry_delay", duration_text(life.reentry_delay));
  add(fields, "slow_start", duration_text(life.slow_start));
  if (!life.flap) return;
  add(fields, "flap.changes", std::to_string(life.flap->changes));
  add(fields, "flap.within", duration_text(life.flap->within));
  add(fields, "flap.hold", duration_text(life.flap->hold));
}

void add_pool(Fields& fields, const PoolRules& pool) {
  add(fields, "panic", pool.panic == 0 ? "never" : fmt::format("{}%", pool.panic));
  add(fields, "withdraw_vip", yes_no(pool.withdraw_vip));
  if (!pool.quorum) return;
  add(fields, "quorum.up", std::to_string(pool.quorum->up));
  add(fields, "quorum.down", std::to_string(pool.quorum->down));
}

std::string joined(const std::vector<IpAddress>& addresses) {
  std::string text;
  for (const IpAddress& address : addresses) text += (text.empty() ? "" : ", ") + address.to_string();
  return text;
}

void add_peer(Fields& fields, const PeerConfig& peer) {
  add(fields, "ha.peer.local", peer.local.to_string());
  add(fields, "ha.peer.address", peer.address.to_string());
  add(fields, "ha.peer.port", std::to_string(peer.port));
  add(fields, "ha.peer.key_file", peer.key_file);
  add(fields, "ha.peer.interval", duration_text(peer.interval));
  add(fields, "ha.peer.takeover", peer.takeover == Takeover::vrrp ? "vrrp" : "both_silent");
  if (peer.accept_config) add(fields, "ha.peer.accept_config", yes_no(true));
  add(fields, "ha.peer.flows.on", yes_no(peer.flows.on));
  add(fields, "ha.peer.flows.after", duration_text(peer.flows.after));
  add(fields, "ha.peer.flows.rate", std::to_string(peer.flows.rate));
}

void add_ha(Fields& fields, const HaConfig& ha) {
  if (ha.mode == HaMode::anycast) {
    add(fields, "ha.mode", "anycast");
    if (ha.table != 0) add(fields, "ha.table", std::to_string(ha.table));
    return;
  }
  add(fields, "ha.preempt", yes_no(ha.preempt));
  add(fields, "ha.preempt_delay", duration_text(ha.preempt_delay));
  add(fields, "ha.startup_delay", duration_text(ha.startup_delay));
  for (const VrrpInstanceConfig& instance : ha.instances) {
    const std::string prefix = fmt::format("ha.instances[{}].", instance.name);
    add(fields, prefix + "interface", instance.interface);
    add(fields, prefix + "vrid", std::to_string(instance.vrid));
    add(fields, prefix + "version", std::to_string(instance.version));
    add(fields, prefix + "family", std::string(to_string(instance.family)));
    add(fields, prefix + "priority", std::to_string(instance.priority));
    add(fields, prefix + "advert_interval", duration_text(instance.advert_interval));
    add(fields, prefix + "addresses", joined(instance.addresses));
    add(fields, prefix + "peers", joined(instance.peers));
    if (!instance.only_peers.empty()) add(fields, prefix + "only_peers", joined(instance.only_peers));
    add_secret(fields, prefix + "password", instance.password);
  }
  if (ha.peer) add_peer(fields, *ha.peer);
}

void add_tracks(Fields& fields, const HaConfig& ha) {
  for (const TrackConfig& track : ha.track) {
    const std::string prefix = fmt::format("ha.track[{}].", track.name);
    std::string program;
    for (const std::string& word : track.program) program += (program.empty() ? "" : " ") + word;
    add(fields, prefix + "interface", track.interface);
    add(fields, prefix + "services", yes_no(track.services));
    fields.push_back({prefix + "program", program, track.program.size() > 1});
    add(fields, prefix + "user", track.user);
    add(fields, prefix + "interval", duration_text(track.interval));
    add(fields, prefix + "timeout", duration_text(track.timeout));
    add(fields, prefix + "rise", std::to_string(track.rise));
    add(fields, prefix + "fall", std::to_string(track.fall));
    add(fields, prefix + "weight", std::to_string(track.weight));
  }
}

void add_names(Fields& fields, const NameRules& names) {
  const NameRules usual;
  const auto tell = [&](const char* name, Milliseconds value, Milliseconds standard) {
    if (value != standard) add(fields, name, duration_text(value));
  };
  tell("names.min_ttl", names.min_ttl, usual.min_ttl);
  tell("names.max_ttl", names.max_ttl, usual.max_ttl);
  tell("names.drain", names.drain, usual.drain);
  if (names.max_addresses != usual.max_addresses)
    add(fields, "names.max_addresses", std::to_string(names.max_addresses));
  std::string servers;
  for (const Endpoint& server : names.servers) servers += (servers.empty() ? "" : ", ") + server.to_string();
  if (!servers.empty()) add(fields, "names.servers", servers);
}

}  // namespace

Fields global_fields(const Config& config) {
  const TimeoutConfig& timeouts = config.timeouts;
  const LimitConfig& limits = config.limits;
  Fields fields{
      {"timeouts.tcp_established", duration_text(timeouts.tcp_established)},
      {"timeouts.tcp_syn_sent", duration_text(timeouts.tcp_syn_sent)},
      {"timeouts.tcp_syn_recv", duration_text(timeouts.tcp_syn_recv)},
      {"timeouts.tcp_fin_wait", duration_text(timeouts.tcp_fin_wait)},
      {"timeouts.tcp_time_wait", duration_text(timeouts.tcp_time_wait)},
      {"timeouts.tcp_close", duration_text(timeouts.tcp_close)},
      {"timeouts.tcp_close_wait", duration_text(timeouts.tcp_close_wait)},
      {"timeouts.tcp_last_ack", duration_text(timeouts.tcp_last_ack)},
      {"timeouts.udp", duration_text(timeouts.udp)},
      {"limits.flows_ipv4", std::to_string(limits.flows_ipv4)},
      {"limits.flows_ipv6", std::to_string(limits.flows_ipv6)},
      {"limits.services", std::to_string(limits.services)},
      {"limits.listeners", std::to_string(limits.listeners)},
      {"limits.backends", std::to_string(limits.backends)},
      {"metrics.listen", config.metrics ? config.metrics->to_string() : "off"},
      {"manage_vips", yes_no(config.manage_vips)},
      {"vip_interface", config.vip_interface},
      {"hash_seed", std::to_string(config.hash_seed)},
      {"log_level", config.log_level},
  };
  // Keys of later versions are told only when they are given: a configuration without them keeps its hash.
  if (timeouts.udp_answered != TimeoutConfig{}.udp_answered)
    add(fields, "timeouts.udp_answered", duration_text(timeouts.udp_answered));
  if (config.max_programs != Config{}.max_programs) add(fields, "max_programs", std::to_string(config.max_programs));
  if (config.root_programs) add(fields, "root_programs", yes_no(config.root_programs));
  if (config.check_mark != Config{}.check_mark) add(fields, "check_mark", std::to_string(config.check_mark));
  add_names(fields, config.names);
  if (!config.maintenance_dir.empty()) add(fields, "maintenance_dir", config.maintenance_dir);
  for (std::size_t i = 0; i < config.hooks.size(); ++i) {
    const HookConfig& hook = config.hooks[i];
    fields.push_back({fmt::format("hooks[{}]", i),
                      fmt::format("{} {} {} {} ({}){}", fmt::join(hook.program, " "), hook.path, hook.user,
                                  duration_text(hook.timeout), fmt::join(hook.events, ", "),
                                  hook.keepalived_arguments ? " keepalived_arguments" : ""),
                      hook.program.size() > 1});
  }
  if (config.ha) {
    add_ha(fields, *config.ha);
    add_tracks(fields, *config.ha);
  }
  return fields;
}

Fields service_fields(const ServiceConfig& service) {
  std::vector<Listener> listeners = service.listeners;
  std::sort(listeners.begin(), listeners.end());
  std::string listen;
  for (const Listener& listener : listeners) listen += (listen.empty() ? "" : ", ") + listener.to_string();
  Fields fields{
      {"listen", listen},
      {"forward", std::string(to_string(service.forward))},
      {"scheduler", std::string(to_string(service.scheduler))},
      {"hash_port", yes_no(service.hash_port)},
      {"hash_fallback", yes_no(service.hash_fallback)},
      {"sloppy_tcp", yes_no(service.sloppy_tcp)},
      {"no_flow", std::string(to_string(service.no_flow))},
      {"flows_on_failure", std::string(to_string(service.flows_on_failure))},
  };
  add_checks(fields, service.checks);
  add_life(fields, service.life);
  add_pool(fields, service.pool);
  return fields;
}

Fields backend_fields(const BackendConfig& backend) {
  Fields fields{{"weight", std::to_string(backend.weight)},
                {"forward", std::string(to_string(backend.forward))},
                {"tier", backend.tier == kSorryTier ? "sorry" : std::to_string(backend.tier)}};
  if (backend.sorry) add(fields, "sorry", yes_no(true));
  if (backend.checks) add_checks(fields, *backend.checks);
  return fields;
}

}  // namespace xlvs::config
