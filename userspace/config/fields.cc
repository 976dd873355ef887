// SPDX-License-Identifier: Apache-2.0
#include "config/fields.h"

#include <algorithm>

#include <fmt/format.h>

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
  std::string operator()(const std::vector<StatusRange>& ranges) const {
    std::string text;
    for (const StatusRange& range : ranges) {
      if (!text.empty()) text += ", ";
      text += range.first == range.last ? std::to_string(range.first) : fmt::format("{}-{}", range.first, range.last);
    }
    return text;
  }
  std::string operator()(const std::map<std::string, std::string>& map) const {
    std::string text;
    for (const auto& [name, value] : map)
      text += fmt::format("{}\"{}\": \"{}\"", text.empty() ? "" : ", ", name, value);
    return text;
  }
};

void add_check(Fields& fields, const CheckSpec& check) {
  fields.emplace_back("check.type", check.type);
  fields.emplace_back("check.interval", duration_text(check.interval));
  fields.emplace_back("check.timeout", duration_text(check.timeout));
  fields.emplace_back("check.rise", std::to_string(check.rise));
  fields.emplace_back("check.fall", std::to_string(check.fall));
  fields.emplace_back("check.connect", check.connect ? check.connect->to_string() : "the backend");
  fields.emplace_back("check.port", check.port ? std::to_string(*check.port) : "the backend's");
  for (const auto& [name, value] : check.params)
    fields.emplace_back("check." + name, std::visit(CheckValueText{}, value));
}

}  // namespace

Fields global_fields(const Config& config) {
  const TimeoutConfig& timeouts = config.timeouts;
  const LimitConfig& limits = config.limits;
  return {
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
  };
  add_check(fields, service.check);
  return fields;
}

Fields backend_fields(const BackendConfig& backend) {
  return {{"weight", std::to_string(backend.weight)}, {"forward", std::string(to_string(backend.forward))}};
}

}  // namespace xlvs::config
