// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <iterator>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <prometheus/text_serializer.h>

#include "control/metric_family.h"
#include "control/metrics_ha.h"
#include "control/server.h"

namespace xlvs::control {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

// ---- single values --------------------------------------------------------------------------------------------------

struct Value {
  const char* name;
  const char* help;
  MetricType type;
  double (*of)(const Status& status, const StatsReport& stats);
};

constexpr Value kValues[] = {
    {"lvs_config_stale", "1 when the last reload was rejected and an older configuration runs.", MetricType::Gauge,
     [](const Status& status, const StatsReport&) { return number(status.config.stale); }},
    {"lvs_config_generation", "Successful configuration loads since lvsd started.", MetricType::Gauge,
     [](const Status& status, const StatsReport&) { return number(status.config.generation); }},
    {"lvs_config_loaded_timestamp_seconds", "When the running configuration was loaded.", MetricType::Gauge,
     [](const Status& status, const StatsReport&) { return status.config.loaded_at; }},
    {"lvs_flows_expired_total", "Flows that ended by their idle timeout.", MetricType::Counter,
     [](const Status&, const StatsReport& stats) { return number(stats.flows_expired); }},
    {"lvs_flow_count_drift", "Difference between kept and recounted active and inactive flows; must be 0.",
     MetricType::Gauge, [](const Status&, const StatsReport& stats) { return number(stats.count_drift); }},
    {"process_start_time_seconds", "When lvsd started.", MetricType::Gauge,
     [](const Status& status, const StatsReport&) { return status.started_at; }},
};

void add_values(std::vector<MetricFamily>& out, const Status& status, const StatsReport& stats) {
  Family(out, "lvs_info", "Always 1; version and instance are labels.", MetricType::Gauge)
      .add({{"version", status.version.version}, {"instance", status.version.instance}}, 1);
  for (const Value& value : kValues) Family(out, value.name, value.help, value.type).add({}, value.of(status, stats));
}

// ---- per interface, flow table and reason ---------------------------------------------------------------------------

void add_interfaces(std::vector<MetricFamily>& out, const Status& status) {
  Family native(out, "lvs_interface_native", "1 when XDP runs in the driver, 0 in the slow generic mode.",
                MetricType::Gauge);
  Family up(out, "lvs_interface_up", "1 when the interface has a carrier.", MetricType::Gauge);
  for (const InterfaceReport& interface : status.interfaces) {
    native.add({{"interface", interface.name}}, number(interface.mode == "native"));
    up.add({{"interface", interface.name}}, number(interface.up));
  }
}

struct TableValue {
  const char* name;
  const char* help;
  std::uint64_t FlowTableReport::* member;
};

constexpr TableValue kTableValues[] = {
    {"lvs_flow_table_capacity", "Slots of the flow table, without overflow.", &FlowTableReport::capacity},
    {"lvs_flow_table_used", "Flows in the flow table as of the last complete sweep.", &FlowTableReport::used},
    {"lvs_flow_overflow_capacity", "Slots of the overflow table.", &FlowTableReport::overflow_capacity},
    {"lvs_flow_overflow_used", "Flows in the overflow table.", &FlowTableReport::overflow_used},
};

void add_flow_tables(std::vector<MetricFamily>& out, const Status& status) {
  for (const TableValue& value : kTableValues) {
    Family family(out, value.name, value.help, MetricType::Gauge);
    for (const FlowTableReport& table : status.flow_tables) {
      family.add({{"family", table.family}}, number(table.*value.member));
    }
  }
}

void add_reasons(std::vector<MetricFamily>& out, const StatsReport& stats) {
  Family family(out, "lvs_reason_packets_total", "Packets that were not plainly forwarded, by reason and verdict.",
                MetricType::Counter);
  for (const ReasonReport& reason : stats.reasons) {
    family.add({{"reason", reason.name}, {"verdict", reason.verdict}}, number(reason.packets));
  }
}

void add_upkeep(std::vector<MetricFamily>& out, const Status& status, const StatsReport& stats) {
  Family voids(out, "lvs_checks_void_total",
               "Checks that gave no result, for want of something on this router: the backend stays as it is.",
               MetricType::Counter);
  for (const auto& [cause, count] : stats.checks_void) voids.add({{"cause", cause}}, number(count));
  Family repairs(out, "lvs_repairs_total", "What others had taken out of the kernel and lvsd put back.",
                 MetricType::Counter);
  for (const auto& [kind, count] : stats.repairs) repairs.add({{"kind", kind}}, number(count));
  Family present(out, "lvs_vip_present", "1 while a virtual address that lvsd keeps here is really there.",
                 MetricType::Gauge);
  for (const std::string& vip : status.vips) present.add({{"vip", vip}}, 1);
  for (const std::string& vip : status.vips_missing) present.add({{"vip", vip}}, 0);
}

// ---- per service and backend ----------------------------------------------------------------------------------------

struct TrafficValue {
  const char* suffix;
  const char* help;
  std::uint64_t Traffic::* member;
};

constexpr TrafficValue kTrafficValues[] = {
    {"flows_total", "Flows created", &Traffic::flows},
    {"in_packets_total", "Packets from clients", &Traffic::in_packets},
    {"in_bytes_total", "Bytes of IP packets from clients", &Traffic::in_bytes},
    {"out_packets_total", "Packets to clients", &Traffic::out_packets},
    {"out_bytes_total", "Bytes of IP packets to clients", &Traffic::out_bytes},
};

void add_traffic(std::vector<MetricFamily>& out, const StatsReport& stats) {
  for (const TrafficValue& value : kTrafficValues) {
    Family services(out, std::string("lvs_service_") + value.suffix,
                    std::string(value.help) + ", by service; backends removed since are included.",
                    MetricType::Counter);
    for (const ServiceReport& service : stats.services) {
      services.add({{"service", service.name}}, number(service.traffic.*value.member));
    }
  }
  for (const TrafficValue& value : kTrafficValues) {
    Family backends(out, std::string("lvs_backend_") + value.suffix, std::string(value.help) + ", by backend.",
                    MetricType::Counter);
    for (const ServiceReport& service : stats.services) {
      for (const BackendReport& backend : service.backends) {
        backends.add({{"service", service.name}, {"backend", backend.address}}, number(backend.traffic.*value.member));
      }
    }
  }
}

struct BackendValue {
  const char* name;
  const char* help;
  double (*of)(const BackendReport& backend);
};

// Numbers are only ever added: dashboards and alerts know them.
constexpr std::string_view kStates[] = {"down",    "up",      "slow-start", "reentry",     "flapping", "unchecked",
                                        "drained", "standby", "disabled",   "forced-down", "no-route"};

double state_number(std::string_view state) {
  const auto* found = std::find(std::begin(kStates), std::end(kStates), state);
  return found == std::end(kStates) ? -1 : static_cast<double>(found - std::begin(kStates));
}

constexpr BackendValue kBackendValues[] = {
    {"lvs_backend_up", "1 when the health check passes or there is none.",
     [](const BackendReport& b) { return number(is_healthy(b)); }},
    {"lvs_backend_state", "What decides whether it takes new flows; docs/metrics.md has the numbers.",
     [](const BackendReport& b) { return state_number(b.state); }},
    {"lvs_backend_weight", "Weight in force; 0 takes no new flows.",
     [](const BackendReport& b) { return b.effective_weight; }},
    {"lvs_backend_drained", "1 when an operator drained the backend.",
     [](const BackendReport& b) { return number(b.drained); }},
    {"lvs_backend_active_flows", "TCP flows in state ESTABLISHED.",
     [](const BackendReport& b) { return number(std::uint64_t{b.active}); }},
    {"lvs_backend_inactive_flows", "All other flows: opening and closing TCP, UDP.",
     [](const BackendReport& b) { return number(std::uint64_t{b.inactive}); }},
    {"lvs_backend_check_latency_seconds", "How long the last health check took.",
     [](const BackendReport& b) { return b.health.latency; }},
    {"lvs_backend_state_change_timestamp_seconds", "When the health state last changed.",
     [](const BackendReport& b) { return b.health.since; }},
};

// By check, for those that speak TLS.
void add_certificates(std::vector<MetricFamily>& out, const Status& status) {
  Family family(out, "lvs_check_certificate_expiry_timestamp_seconds",
                "When the certificate expires that the last check found.", MetricType::Gauge);
  for (const ServiceReport& service : status.services) {
    for (const BackendReport& backend : service.backends) {
      for (const CheckReport& check : backend.health.checks) {
        if (!check.certificate_end) continue;
        family.add({{"service", service.name}, {"backend", backend.address}, {"check", check.name}},
                   *check.certificate_end);
      }
    }
  }
}

void add_backends(std::vector<MetricFamily>& out, const Status& status) {
  for (const BackendValue& value : kBackendValues) {
    Family family(out, value.name, value.help, MetricType::Gauge);
    for (const ServiceReport& service : status.services) {
      for (const BackendReport& backend : service.backends) {
        family.add({{"service", service.name}, {"backend", backend.address}}, value.of(backend));
      }
    }
  }
  Family checks(out, "lvs_backend_checks_total", "Health checks made, by result.", MetricType::Counter);
  for (const ServiceReport& service : status.services) {
    for (const BackendReport& backend : service.backends) {
      const HealthReport& health = backend.health;
      for (const auto& [result, count] :
           {std::pair("passed", health.checks_passed), {"failed", health.checks_failed}}) {
        checks.add({{"service", service.name}, {"backend", backend.address}, {"result", result}}, number(count));
      }
    }
  }
}

void add_check_results(std::vector<MetricFamily>& out, const Status& status) {
  Family results(out, "lvs_check_results_total", "Results of each check of a backend, by reason.", MetricType::Counter);
  for (const ServiceReport& service : status.services) {
    for (const BackendReport& backend : service.backends) {
      for (const CheckReport& check : backend.health.checks) {
        for (const ReasonCount& result : check.results) {
          results.add({{"service", service.name},
                       {"backend", backend.address},
                       {"check", check.name},
                       {"reason", result.reason}},
                      number(result.count));
        }
      }
    }
  }
}

void add_lateness(std::vector<MetricFamily>& out, const LatenessReport& lateness) {
  if (lateness.counts.size() != lateness.bounds.size() + 1) return;
  MetricFamily family{
      "lvs_check_lateness_seconds", "How long after their time health checks began.", MetricType::Histogram, {}};
  ClientMetric metric;
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < lateness.counts.size(); ++i) {
    sum += lateness.counts[i];
    const double bound = i < lateness.bounds.size() ? lateness.bounds[i] : std::numeric_limits<double>::infinity();
    metric.histogram.bucket.push_back({sum, bound});
  }
  metric.histogram.sample_count = sum;
  metric.histogram.sample_sum = lateness.sum;
  family.metric.push_back(std::move(metric));
  out.push_back(std::move(family));
}

// ---- pools ---------------------------------------------------------------------------------------------------------

struct PoolValue {
  const char* name;
  const char* help;
  double (*of)(const PoolReport& pool);
};

constexpr PoolValue kPoolValues[] = {
    {"lvs_service_tier", "The tier of backends in use; 255 is the sorry server, -1 nobody.",
     [](const PoolReport& p) { return p.tier ? static_cast<double>(*p.tier) : -1; }},
    {"lvs_service_quorum", "1 when the service has quorum, or needs none.",
     [](const PoolReport& p) { return number(p.quorum); }},
    {"lvs_service_panic", "1 when so little is fit that all backends are used.",
     [](const PoolReport& p) { return number(p.panic); }},
    {"lvs_service_withdrawn", "1 when the service wants its virtual addresses withdrawn.",
     [](const PoolReport& p) { return number(p.withdrawn); }},
    {"lvs_service_fit_weight", "Weight of the first tier's backends that are fit.",
     [](const PoolReport& p) { return number(p.fit_weight); }},
    {"lvs_service_weight", "Weight of the first tier's backends.",
     [](const PoolReport& p) { return number(p.weight); }},
};

void add_pools(std::vector<MetricFamily>& out, const Status& status) {
  for (const PoolValue& value : kPoolValues) {
    Family family(out, value.name, value.help, MetricType::Gauge);
    for (const ServiceReport& service : status.services)
      family.add({{"service", service.name}}, value.of(service.pool));
  }
}

// ---- names ---------------------------------------------------------------------------------------------------------

struct NameValue {
  const char* name;
  const char* help;
  double (*of)(const NameReport& report);
};

constexpr NameValue kNameValues[] = {
    {"lvs_name_up", "1 when the DNS name could be resolved the last time it was asked for.",
     [](const NameReport& r) { return number(r.error.empty()); }},
    {"lvs_name_addresses", "Addresses of the DNS name that are backends.",
     [](const NameReport& r) { return number(std::uint64_t{r.addresses.size()}); }},
    {"lvs_name_leaving", "Addresses that the DNS name has lost and that still have flows.",
     [](const NameReport& r) { return number(std::uint64_t{r.leaving.size()}); }},
};

void add_names(std::vector<MetricFamily>& out, const Status& status) {
  for (const NameValue& value : kNameValues) {
    Family family(out, value.name, value.help, MetricType::Gauge);
    for (const NameReport& report : status.names)
      family.add({{"name", report.name}, {"family", report.family}}, value.of(report));
  }
  Family family(out, "lvs_name_resolutions_total", "How often the DNS name was asked for.", MetricType::Counter);
  for (const NameReport& report : status.names) {
    const Labels labels{{"name", report.name}, {"family", report.family}};
    for (const auto& [result, count] : {std::pair("ok", report.resolved), std::pair("failed", report.failed)}) {
      Labels all = labels;
      all.push_back({"result", result});
      family.add(all, number(count));
    }
  }
}

}  // namespace

std::string render_metrics(const Status& status, const StatsReport& stats) {
  std::vector<MetricFamily> families;
  add_values(families, status, stats);
  add_interfaces(families, status);
  add_flow_tables(families, status);
  add_ha(families, status);
  add_reasons(families, stats);
  add_upkeep(families, status, stats);
  add_traffic(families, stats);
  add_backends(families, status);
  add_check_results(families, status);
  add_pools(families, status);
  add_names(families, status);
  add_lateness(families, stats.check_lateness);
  add_certificates(families, status);
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace xlvs::control
