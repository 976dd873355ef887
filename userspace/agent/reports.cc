// SPDX-License-Identifier: Apache-2.0
#include "agent/reports.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <string_view>
#include <unordered_map>

#include <fmt/ranges.h>

#include "agent/standing.h"

namespace xlvs::agent {
namespace {

control::Traffic report_traffic(const dataplane::TrafficCounters& traffic) {
  return {traffic.flows, traffic.in_packets, traffic.in_bytes, traffic.out_packets, traffic.out_bytes};
}

double seconds(std::chrono::microseconds duration) {
  return std::chrono::duration<double>(duration).count();
}

control::CheckReport report_check(const health::CheckHealth& check) {
  control::CheckReport report;
  report.name = check.name;
  report.state = !check.decided ? "unchecked" : check.state == health::HealthState::up ? "up" : "down";
  if (check.last) {
    report.reason = check.last->reason;
    report.detail = check.last->detail;
    report.latency = seconds(check.last->latency);
    report.at = seconds_since_epoch(check.at);
    if (const auto end = check.last->certificate_end) report.certificate_end = seconds_since_epoch(*end);
  }
  report.passes = check.passes;
  report.failures = check.failures;
  report.rise = check.rise;
  report.fall = check.fall;
  for (const auto& [reason, count] : check.results) report.results.push_back({reason, count});
  return report;
}

control::HealthReport report_health(const health::Health* health) {
  control::HealthReport report;
  report.state = "unchecked";
  if (health == nullptr) return report;
  if (health->checked) {
    report.state = health->state == health::HealthState::up ? "up" : "down";
    report.since = seconds_since_epoch(health->since);
  }
  if (!health->checks.empty()) report.life = to_string(health->life);
  if (health->until) report.until = seconds_since_epoch(*health->until);
  if (health->last) {
    report.reason = health->last->reason;
    report.detail = health->last->detail;
    report.latency = seconds(health->last->latency);
  }
  report.checks_passed = health->checks_passed;
  report.checks_failed = health->checks_failed;
  for (const health::CheckHealth& check : health->checks) report.checks.push_back(report_check(check));
  return report;
}

control::BackendReport report_backend(const ServiceConfig& service, const BackendConfig& config,
                                      const Balancer& balancer, const NextHops& hops,
                                      const dataplane::BackendStats* stats) {
  const BackendRef ref{service.name, config.endpoint()};
  const Override override_ = balancer.override_of(ref);
  const health::Health* health = balancer.health(ref);
  control::BackendReport report;
  report.service = service.name;
  report.address = ref.endpoint.to_string();
  report.forward = to_string(config.forward);
  report.configured_weight = config.weight;
  report.tier = config.tier;
  report.host = config.host;
  report.leaving = config.leaving;
  report.drained = override_.drained;
  report.disabled = override_.disabled;
  if (override_.forced) report.forced = to_string(*override_.forced);
  report.reason = override_.reason;
  if (const auto* file = config.tier == kSorryTier ? nullptr : balancer.maintenance(ref)) {
    report.maintenance = file->first;
    if (report.reason.empty()) report.reason = file->second;
  }
  report.weight_override = override_.weight;
  report.effective_weight = weight_in_force(config, override_, balancer.fitness(ref));
  report.weight = static_cast<std::uint32_t>(std::ceil(report.effective_weight));
  report.health = report_health(health);
  if (stats != nullptr) {
    report.active = stats->active;
    report.inactive = stats->inactive;
    report.traffic = report_traffic(stats->traffic);
    if (stats->next_hop) {
      report.next_hop = hops.describe(*stats->next_hop);
      if (stats->next_hop->local) report.forward = "local";
    }
  }
  const Standing standing = standing_of(report, balancer.is_used(ref), health);
  report.state = standing.word;
  report.why = standing.why;
  return report;
}

control::PoolReport report_pool(const ServiceConfig& service, const Balancer& balancer) {
  const auto found = balancer.pools().find(service.name);
  if (found == balancer.pools().end()) return {};
  const PoolStatus& pool = found->second;
  control::PoolReport report{pool_state(pool), {},          pool.panic,     pool.quorum,
                             pool.withdrawn,   pool.weight, pool.fit_weight};
  if (pool.tier) report.tier = *pool.tier;
  return report;
}

control::ServiceReport report_service(const ServiceConfig& service, const Balancer& balancer, const NextHops& hops,
                                      const dataplane::ServiceStats* stats) {
  control::ServiceReport report;
  report.name = service.name;
  for (const Listener& listener : service.listeners) report.listeners.push_back(listener.to_string());
  report.forward = to_string(service.forward);
  report.scheduler = to_string(service.scheduler);
  std::vector<std::string> checks;
  for (const CheckSpec& check : service.checks) checks.push_back(check.type);
  report.check = checks.empty() ? "none" : fmt::format("{}", fmt::join(checks, ", "));
  report.pool = report_pool(service, balancer);
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

control::LatenessReport report_lateness(const health::Lateness& lateness) {
  control::LatenessReport report{{}, {lateness.counts.begin(), lateness.counts.end()}, lateness.sum.count()};
  for (const auto bound : health::Lateness::kBounds)
    report.bounds.push_back(std::chrono::duration<double>(bound).count());
  return report;
}

std::vector<std::string> service_warnings(const std::vector<control::ServiceReport>& services) {
  std::vector<std::string> warnings;
  for (const control::ServiceReport& service : services) {
    const std::string& state = service.pool.state;
    const bool usable = std::any_of(service.backends.begin(), service.backends.end(), [](const auto& backend) {
      return backend.state == "up" || backend.state == "slow-start";
    });
    if (state == "panic") {
      warnings.push_back(fmt::format("service {}: panic: too few backends are fit, all are used", service.name));
    } else if (state == "sorry" || state == "backup") {
      warnings.push_back(fmt::format("service {}: {} in use", service.name,
                                     state == "sorry" ? "the sorry server is" : "backup backends are"));
    } else if (!usable) {
      warnings.push_back(fmt::format("service {}: no backend takes new connections", service.name));
    }
    if (!service.pool.quorum) {
      warnings.push_back(fmt::format("service {}: no quorum: weight {} of {} is fit", service.name,
                                     service.pool.fit_weight, service.pool.weight));
    }
    if (service.pool.withdrawn) warnings.push_back(fmt::format("service {}: its VIPs are withdrawn", service.name));
    for (const control::BackendReport& backend : service.backends) {
      if (backend.state != "no-route") continue;
      warnings.push_back(fmt::format("service {}: backend {} has no next hop: its packets are dropped", service.name,
                                     backend.address));
    }
  }
  return warnings;
}

}  // namespace xlvs::agent
