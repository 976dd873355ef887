// SPDX-License-Identifier: Apache-2.0
#include "agent/reports.h"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <unordered_map>

namespace xlvs::agent {
namespace {

control::Traffic report_traffic(const dataplane::TrafficCounters& traffic) {
  return {traffic.flows, traffic.in_packets, traffic.in_bytes, traffic.out_packets, traffic.out_bytes};
}

control::HealthReport report_health(const health::Health* health) {
  control::HealthReport report;
  report.state = "unchecked";
  if (health == nullptr) return report;
  if (health->checked) {
    report.state = health->state == health::HealthState::up ? "up" : "down";
    report.since = seconds_since_epoch(health->since);
  }
  if (health->last) {
    report.reason = health->last->reason;
    report.detail = health->last->detail;
    report.latency = std::chrono::duration<double>(health->last->latency).count();
  }
  report.checks_passed = health->checks_passed;
  report.checks_failed = health->checks_failed;
  return report;
}

// What the operator sees first: the one thing that decides whether the backend gets new connections.
std::string state_word(const control::BackendReport& backend, bool checked_by_us) {
  if (backend.weight == 0) return "drained";
  if (checked_by_us && backend.health.state != "up") return backend.health.state;
  return backend.next_hop.empty() ? "no-route" : "up";
}

control::BackendReport report_backend(const ServiceConfig& service, const BackendConfig& config,
                                      const Balancer& balancer, const NextHops& hops,
                                      const dataplane::BackendStats* stats) {
  const BackendRef ref{service.name, config.endpoint()};
  const Override override_ = balancer.override_of(ref);
  control::BackendReport report;
  report.service = service.name;
  report.address = ref.endpoint.to_string();
  report.forward = to_string(config.forward);
  report.configured_weight = config.weight;
  report.drained = override_.drained;
  report.weight_override = override_.weight;
  report.weight = override_.drained ? 0 : override_.weight.value_or(config.weight);
  report.health = report_health(balancer.health(ref));
  if (stats != nullptr) {
    report.active = stats->active;
    report.inactive = stats->inactive;
    report.traffic = report_traffic(stats->traffic);
    if (stats->next_hop) {
      report.next_hop = hops.describe(*stats->next_hop);
      if (stats->next_hop->local) report.forward = "local";
    }
  }
  report.state = state_word(report, service.check.type != "none");
  return report;
}

control::ServiceReport report_service(const ServiceConfig& service, const Balancer& balancer, const NextHops& hops,
                                      const dataplane::ServiceStats* stats) {
  control::ServiceReport report;
  report.name = service.name;
  for (const Listener& listener : service.listeners) report.listeners.push_back(listener.to_string());
  report.forward = to_string(service.forward);
  report.scheduler = to_string(service.scheduler);
  report.check = service.check.type;
  if (stats != nullptr) report.traffic = report_traffic(stats->traffic);
  std::unordered_map<Endpoint, const dataplane::BackendStats*> by_endpoint;
  if (stats != nullptr) {
    for (const dataplane::BackendStats& backend : stats->backends) by_endpoint[backend.endpoint] = &backend;
  }
  for (const BackendConfig& backend : service.backends) {
    const auto found = by_endpoint.find(backend.endpoint());
    report.backends.push_back(
        report_backend(service, backend, balancer, hops, found == by_endpoint.end() ? nullptr : found->second));
  }
  return report;
}

control::FlowTableReport report_flow_table(const char* family, const dataplane::FlowTableStats& stats) {
  return {family, stats.capacity, stats.used, stats.overflow_capacity, stats.overflow_used};
}

}  // namespace

double seconds_since_epoch(std::chrono::system_clock::time_point time) {
  return std::chrono::duration<double>(time.time_since_epoch()).count();
}

std::vector<control::ServiceReport> report_services(const Balancer& balancer, const NextHops& hops,
                                                    const dataplane::Stats& stats) {
  std::unordered_map<std::string_view, const dataplane::ServiceStats*> by_name;
  for (const dataplane::ServiceStats& service : stats.services) by_name[service.name] = &service;
  std::vector<control::ServiceReport> reports;
  for (const ServiceConfig& service : balancer.config().services) {
    const auto found = by_name.find(service.name);
    reports.push_back(report_service(service, balancer, hops, found == by_name.end() ? nullptr : found->second));
  }
  return reports;
}

std::vector<control::ReasonReport> report_reasons(const dataplane::Stats& stats) {
  std::vector<control::ReasonReport> reports;
  std::transform(stats.reasons.begin(), stats.reasons.end(), std::back_inserter(reports), [](const auto& reason) {
    return control::ReasonReport{reason.name, reason.verdict, reason.text, reason.packets};
  });
  return reports;
}

std::vector<control::FlowTableReport> report_flow_tables(const dataplane::Stats& stats) {
  return {report_flow_table("ipv4", stats.flows_ipv4), report_flow_table("ipv6", stats.flows_ipv6)};
}

control::FlowReport report_flow(const dataplane::Flow& flow) {
  return {std::string(to_string(flow.protocol)),
          flow.client.to_string(),
          flow.destination.to_string(),
          flow.service,
          flow.backend.to_string(),
          flow.state,
          flow.expires_in.count()};
}

std::vector<std::string> service_warnings(const std::vector<control::ServiceReport>& services) {
  std::vector<std::string> warnings;
  for (const control::ServiceReport& service : services) {
    const bool usable = std::any_of(service.backends.begin(), service.backends.end(),
                                    [](const auto& backend) { return backend.state == "up"; });
    if (!usable) warnings.push_back(fmt::format("service {}: no backend takes new connections", service.name));
    for (const control::BackendReport& backend : service.backends) {
      if (backend.state != "no-route") continue;
      warnings.push_back(fmt::format("service {}: backend {} has no next hop: its packets are dropped", service.name,
                                     backend.address));
    }
  }
  return warnings;
}

}  // namespace xlvs::agent
