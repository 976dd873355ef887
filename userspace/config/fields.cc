// SPDX-License-Identifier: Apache-2.0
#include "config/fields.h"
#include "core/status_range.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "config/reader.h"

namespace xlvs::config {
namespace {

std::string yes_no(bool value) {
  return value ? "true" : "false";
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

void add_check(Fields& fields, const std::string& prefix, const CheckSpec& check) {
  const auto add = [&](const char* name, std::string text) { fields.emplace_back(prefix + name, std::move(text)); };
  add("type", check.type);
  add("interval", duration_text(check.interval));
  add("timeout", duration_text(check.timeout));
  add("fast_interval", check.fast_interval ? duration_text(*check.fast_interval) : "the interval");
  add("rise", std::to_string(check.rise));
  add("fall", std::to_string(check.fall));
  add("connect", check.connect ? check.connect->to_string() : "the backend");
  add("port", check.port ? std::to_string(*check.port) : "the backend's");
  if (check.via) add("via", check.via->to_string());
  for (const auto& [name, value] : check.params) add(name.c_str(), std::visit(CheckValueText{}, value));
}

void add_checks(Fields& fields, const CheckList& checks) {
  if (checks.size() == 1) return add_check(fields, "check.", checks.front());
  for (std::size_t i = 0; i < checks.size(); ++i) add_check(fields, fmt::format("checks[{}].", i), checks[i]);
}

void add_life(Fields& fields, const LifeRules& life) {
  fields.emplace_back("start", to_string(life.start));
  fields.emplace_back("on_failure", to_string(life.on_failure));
  fields.emplace_back("reentry_delay", duration_text(life.reentry_delay));
  fields.emplace_back("slow_start", duration_text(life.slow_start));
  if (!life.flap) return;
  fields.emplace_back("flap.changes", std::to_string(life.flap->changes));
  fields.emplace_back("flap.within", duration_text(life.flap->within));
  fields.emplace_back("flap.hold", duration_text(life.flap->hold));
}

void add_pool(Fields& fields, const PoolRules& pool) {
  fields.emplace_back("panic", pool.panic == 0 ? "never" : fmt::format("{}%", pool.panic));
  fields.emplace_back("withdraw_vip", yes_no(pool.withdraw_vip));
  if (!pool.quorum) return;
  fields.emplace_back("quorum.up", std::to_string(pool.quorum->up));
  fields.emplace_back("quorum.down", std::to_string(pool.quorum->down));
}

std::string joined(const std::vector<IpAddress>& addresses) {
  std::string text;
  for (const IpAddress& address : addresses) text += (text.empty() ? "" : ", ") + address.to_string();
  return text;
}

void add_peer(Fields& fields, const PeerConfig& peer) {
  fields.emplace_back("ha.peer.local", peer.local.to_string());
  fields.emplace_back("ha.peer.address", peer.address.to_string());
  fields.emplace_back("ha.peer.port", std::to_string(peer.port));
  fields.emplace_back("ha.peer.key_file", peer.key_file);
  fields.emplace_back("ha.peer.interval", duration_text(peer.interval));
  fields.emplace_back("ha.peer.takeover", peer.takeover == Takeover::vrrp ? "vrrp" : "both_silent");
  if (peer.accept_config) fields.emplace_back("ha.peer.accept_config", yes_no(true));
  fields.emplace_back("ha.peer.flows.on", yes_no(peer.flows.on));
  fields.emplace_back("ha.peer.flows.after", duration_text(peer.flows.after));
  fields.emplace_back("ha.peer.flows.rate", std::to_string(peer.flows.rate));
}

void add_ha(Fields& fields, const HaConfig& ha) {
  if (ha.mode == HaMode::anycast) {
    fields.emplace_back("ha.mode", "anycast");
    if (ha.table != 0) fields.emplace_back("ha.table", std::to_string(ha.table));
    return;
  }
  fields.emplace_back("ha.preempt", yes_no(ha.preempt));
  fields.emplace_back("ha.preempt_delay", duration_text(ha.preempt_delay));
  fields.emplace_back("ha.startup_delay", duration_text(ha.startup_delay));
  for (const VrrpInstanceConfig& instance : ha.instances) {
    const std::string prefix = fmt::format("ha.instances[{}].", instance.name);
    fields.emplace_back(prefix + "interface", instance.interface);
    fields.emplace_back(prefix + "vrid", std::to_string(instance.vrid));
    fields.emplace_back(prefix + "version", std::to_string(instance.version));
    fields.emplace_back(prefix + "family", std::string(to_string(instance.family)));
    fields.emplace_back(prefix + "priority", std::to_string(instance.priority));
    fields.emplace_back(prefix + "advert_interval", duration_text(instance.advert_interval));
    fields.emplace_back(prefix + "addresses", joined(instance.addresses));
    fields.emplace_back(prefix + "peers", joined(instance.peers));
    fields.emplace_back(prefix + "password", instance.password);
  }
  if (ha.peer) add_peer(fields, *ha.peer);
}

void add_tracks(Fields& fields, const HaConfig& ha) {
  for (const TrackConfig& track : ha.track) {
    const std::string prefix = fmt::format("ha.track[{}].", track.name);
    std::string program;
    for (const std::string& word : track.program) program += (program.empty() ? "" : " ") + word;
    fields.emplace_back(prefix + "interface", track.interface);
    fields.emplace_back(prefix + "services", yes_no(track.services));
    fields.emplace_back(prefix + "program", program);
    fields.emplace_back(prefix + "user", track.user);
    fields.emplace_back(prefix + "interval", duration_text(track.interval));
    fields.emplace_back(prefix + "timeout", duration_text(track.timeout));
    fields.emplace_back(prefix + "rise", std::to_string(track.rise));
    fields.emplace_back(prefix + "fall", std::to_string(track.fall));
    fields.emplace_back(prefix + "weight", std::to_string(track.weight));
  }
}

void add_names(Fields& fields, const NameRules& names) {
  const NameRules usual;
  const auto add = [&](const char* name, Milliseconds value, Milliseconds standard) {
    if (value != standard) fields.emplace_back(name, duration_text(value));
  };
  add("names.min_ttl", names.min_ttl, usual.min_ttl);
  add("names.max_ttl", names.max_ttl, usual.max_ttl);
  add("names.drain", names.drain, usual.drain);
  if (names.max_addresses != usual.max_addresses)
    fields.emplace_back("names.max_addresses", std::to_string(names.max_addresses));
  std::string servers;
  for (const Endpoint& server : names.servers) servers += (servers.empty() ? "" : ", ") + server.to_string();
  if (!servers.empty()) fields.emplace_back("names.servers", servers);
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
  if (config.max_programs != Config{}.max_programs)
    fields.emplace_back("max_programs", std::to_string(config.max_programs));
  if (!config.socket_group.empty()) fields.emplace_back("socket_group", config.socket_group);
  if (config.check_mark != Config{}.check_mark) fields.emplace_back("check_mark", std::to_string(config.check_mark));
  add_names(fields, config.names);
  if (!config.maintenance_dir.empty()) fields.emplace_back("maintenance_dir", config.maintenance_dir);
  for (std::size_t i = 0; i < config.hooks.size(); ++i) {
    const HookConfig& hook = config.hooks[i];
    fields.emplace_back(fmt::format("hooks[{}]", i),
                        fmt::format("{} {} {} {} ({})", fmt::join(hook.program, " "), hook.path, hook.user,
                                    duration_text(hook.timeout), fmt::join(hook.events, ", ")));
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
  if (backend.checks) add_checks(fields, *backend.checks);
  return fields;
}

}  // namespace xlvs::config
