// SPDX-License-Identifier: Apache-2.0
#include "agent/operations.h"

#include <unistd.h>

#include <algorithm>
#include <memory>
#include <set>

#include <spdlog/spdlog.h>

#include "agent/agent.h"
#include "agent/backend_match.h"
#include "agent/config_files.h"
#include "agent/configuration.h"
#include "agent/flow_query.h"
#include "agent/pushed_config.h"
#include "agent/reports.h"

namespace xlvs::agent {
namespace {

constexpr std::uint32_t kMaxWeight = 65535;

double now() {
  return seconds_since_epoch(std::chrono::system_clock::now());
}

std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> result;
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    result.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return result;
}

}  // namespace

control::Version AgentOperations::version() const {
  return {agent_.options().version, agent_.options().instance, getpid()};
}

std::vector<std::string> AgentOperations::warnings(const std::vector<control::ServiceReport>& services,
                                                   std::uint64_t count_drift) const {
  std::vector<std::string> all;
  const auto add = [&](std::vector<std::string> more) { all.insert(all.end(), more.begin(), more.end()); };
  const control::ConfigReport config = agent_.config_report();
  if (config.stale)
    all.push_back("the configuration on disk was rejected, an older one is in force: " + config.stale_reason);
  add(agent_.interfaces().warnings());
  add(agent_.vips().warnings());
  add(agent_.upkeep_problems());
  if (const auto report = agent_.pair().report()) add(ha_warnings(report_ha(*report, {})));
  add(service_warnings(services));
  add(agent_.balancer().monitor().warnings());
  add(agent_.next_hops().warnings(agent_.interfaces()));
  if (agent_.config_pushing().accepts()) add(push_warnings(agent_.options().config_path));
  add(agent_.names().warnings());
  add(agent_.anycast().warnings(agent_.balancer().config(), agent_.vips()));
  if (const auto report = agent_.pair().report()) add(conflict_warnings(*report, services));
  if (const std::string& error = agent_.names_error(); !error.empty())
    all.push_back("addresses that names have now are not applied: " + error);
  if (const std::string& error = agent_.balancer().apply_error(); !error.empty()) {
    all.push_back("health changes are not applied: " + error);
  }
  if (const std::string& error = agent_.state_keeper().error(); !error.empty()) {
    all.push_back("runtime overrides would not survive a restart: " + error);
  }
  if (count_drift != 0)
    all.push_back(fmt::format("flow counts drifted by {}: please report this as a bug", count_drift));
  return all;
}

control::Status AgentOperations::status() const {
  const dataplane::Stats stats = agent_.dataplane().stats();
  control::Status status;
  status.version = version();
  status.started_at = seconds_since_epoch(agent_.started_at());
  status.config = agent_.config_report();
  for (const dataplane::PortStatus& port : agent_.dataplane().ports()) {
    status.interfaces.push_back({port.name, port.ifindex, port.native ? "native" : "generic", port.mode_reason,
                                 port.program_id, agent_.interfaces().is_up(port.name)});
  }
  const std::set<IpAddress> there = agent_.vips().present();
  for (const IpAddress& vip : agent_.vips().placed().addresses)
    if (there.contains(vip)) status.vips.push_back(vip.to_string());
  for (const IpAddress& vip : agent_.vips().missing()) status.vips_missing.push_back(vip.to_string());
  if (const auto report = ha()) status.ha = *report;
  status.flow_tables = report_flow_tables(stats);
  status.services = report_services(agent_.balancer(), agent_.next_hops(), stats);
  status.names = agent_.names().reports();
  status.reasons = report_reasons(stats);
  status.warnings = warnings(status.services, stats.count_drift);
  return status;
}

std::vector<control::ServiceReport> AgentOperations::services() const {
  return report_services(agent_.balancer(), agent_.next_hops(), agent_.dataplane().stats());
}

Result<control::FlowList> AgentOperations::flows(const std::vector<std::pair<std::string, std::string>>& query) const {
  const auto parsed = parse_flow_query(query);
  if (!parsed) return tl::make_unexpected(parsed.error());
  if (const auto& service = parsed->filter.service) {
    const auto& services = agent_.balancer().config().services;
    if (std::none_of(services.begin(), services.end(), [&](const auto& s) { return s.name == *service; })) {
      return fail(ErrorKind::not_found, "no service '{}'; see `lvsctl service list`", *service);
    }
  }
  control::FlowList list;
  for (const dataplane::Flow& flow : agent_.dataplane().flows(parsed->filter, parsed->limit, &list.total)) {
    list.flows.push_back(report_flow(flow));
  }
  return list;
}

control::StatsReport AgentOperations::stats() const {
  const dataplane::Stats stats = agent_.dataplane().stats();
  return {now(),
          report_services(agent_.balancer(), agent_.next_hops(), stats),
          report_reasons(stats),
          stats.flows_expired,
          stats.count_drift,
          report_lateness(agent_.balancer().lateness()),
          agent_.balancer().monitor().voids().counts,
          agent_.repairs()};
}

Result<control::BackendChangeResult> AgentOperations::change_backends(const control::BackendChange& change,
                                                                      const Edit& edit, const std::string& done) {
  Balancer& balancer = agent_.balancer();
  const auto matches = match_backends(balancer.config(), balancer.overrides(), change);
  if (!matches) return tl::make_unexpected(matches.error());
  Overrides next = balancer.overrides();
  std::vector<BackendRef> edited;
  for (const BackendRef& ref : *matches) {
    Override& override_ = next[ref];
    const Override before = override_;
    edit(override_);
    if (!(override_ == before)) edited.push_back(ref);
    if (override_.empty()) next.erase(ref);
  }
  control::BackendChangeResult result;
  result.changed = !edited.empty();
  if (result.changed) {
    if (auto applied = balancer.set_overrides(std::move(next)); !applied) return tl::make_unexpected(applied.error());
    agent_.state_keeper().save_now();
    const std::string reason = change.reason.empty() ? "" : ": " + change.reason;
    for (const BackendRef& ref : edited) spdlog::info("{} {} by the operator{}", describe(ref), done, reason);
  }
  const std::set<BackendRef> named(matches->begin(), matches->end());
  for (control::ServiceReport& service : services()) {
    for (control::BackendReport& backend : service.backends) {
      if (const auto endpoint = Endpoint::parse(backend.address);
          endpoint && named.contains({service.name, *endpoint})) {
        result.backends.push_back(std::move(backend));
      }
    }
  }
  return result;
}

Result<control::BackendChangeResult> AgentOperations::drain(const control::BackendChange& change) {
  return change_backends(
      change,
      [&](Override& override_) {
        override_.drained = true;
        override_.disabled = false;
        override_.reason = change.reason;
      },
      "drained");
}

Result<control::BackendChangeResult> AgentOperations::disable(const control::BackendChange& change) {
  return change_backends(
      change,
      [&](Override& override_) {
        override_.disabled = true;
        override_.drained = false;
        override_.reason = change.reason;
      },
      "disabled");
}

Result<control::BackendChangeResult> AgentOperations::enable(const control::BackendChange& change) {
  return change_backends(
      change,
      [](Override& override_) {
        override_.drained = false;
        override_.disabled = false;
        if (!override_.forced) override_.reason.clear();
      },
      "enabled");
}

Result<control::BackendChangeResult> AgentOperations::force(const control::BackendChange& change) {
  std::optional<Forced> forced;
  if (change.forced) {
    forced = parse_forced(*change.forced);
    if (!forced) return fail(ErrorKind::invalid, "forced: '{}' is neither up nor down", *change.forced);
  }
  return change_backends(
      change,
      [&](Override& override_) {
        override_.forced = forced;
        if (forced) override_.reason = change.reason;
        if (!forced && !override_.drained && !override_.disabled) override_.reason.clear();
      },
      forced ? fmt::format("forced {}", to_string(*forced)) : "left to its checks");
}

Result<control::BackendChangeResult> AgentOperations::set_weight(const control::BackendChange& change) {
  if (change.weight && *change.weight > kMaxWeight) {
    return fail(ErrorKind::invalid, "weight {} is more than {}", *change.weight, kMaxWeight);
  }
  return change_backends(
      change, [&](Override& override_) { override_.weight = change.weight; },
      change.weight ? fmt::format("given weight {}", *change.weight) : "given its configured weight");
}

std::function<std::function<control::ConfigCheck()>()> AgentOperations::begin_check(control::ConfigText text) {
  return [this, text = std::move(text)] {
    const config::Source source{text.name, text.text};
    const auto loaded = std::make_shared<const config::ParseResult>(config::parse(std::span(&source, 1)));
    return [this, loaded] {
      control::ConfigCheck check;
      if (!*loaded) {
        for (const config::Diagnostic& diagnostic : loaded->error()) check.errors.push_back(diagnostic.to_string());
        return check;
      }
      check.errors = agent_.check_next((*loaded)->config);
      check.valid = check.errors.empty();
      check.changes = config::describe_changes(without_names(agent_.balancer().config()), (*loaded)->config);
      return check;
    };
  };
}

std::function<std::function<control::ConfigDiff()>()> AgentOperations::begin_diff() {
  return [this, path = agent_.options().config_path] {
    const auto loaded = std::make_shared<const Result<config::Loaded>>(load_configuration(path));
    return [this, loaded] {
      control::ConfigDiff diff;
      if (!*loaded) {
        diff.errors = lines(loaded->error().message);
        return diff;
      }
      diff.errors = agent_.check_next((*loaded)->config);
      diff.valid = diff.errors.empty();
      diff.changes = config::describe_changes(without_names(agent_.balancer().config()), (*loaded)->config);
      return diff;
    };
  };
}

std::function<std::function<Result<control::ConfigApplied>()>()> AgentOperations::begin_apply() {
  return [this, path = agent_.options().config_path] {
    const auto loaded = std::make_shared<const Result<config::Loaded>>(load_configuration(path));
    return [this, loaded] { return agent_.reload(*loaded); };
  };
}

control::ConfigCheck AgentOperations::check_config(const control::ConfigText& text) const {
  return const_cast<AgentOperations*>(this)->begin_check(text)()();
}

control::ConfigDiff AgentOperations::diff_config() const {
  return const_cast<AgentOperations*>(this)->begin_diff()()();
}

Result<control::ConfigApplied> AgentOperations::apply_config() {
  return agent_.reload();
}

Result<control::ConfigPush> AgentOperations::push_config(const control::ConfigPushRequest& request) {
  const std::string& path = agent_.options().config_path;
  const auto sources = config::read_sources(path);
  if (!sources) return tl::make_unexpected(sources.error());
  const auto loaded = config::parse(*sources);
  if (!loaded || loaded->hash != agent_.config_report().hash)
    return fail(ErrorKind::conflict, "the files on disk are not what is in force here: `lvsctl config apply` first");
  const auto files = files_to_push(path, *sources);
  if (!files) return tl::make_unexpected(files.error());
  std::vector<std::string> names;
  for (const ha::ConfigFile& file : *files) names.push_back(path_of(path, file.name));
  if (auto begun = agent_.config_pushing().push(*files, std::move(names), request.dry_run); !begun)
    return tl::make_unexpected(begun.error());
  return config_push();
}

control::ConfigPush AgentOperations::config_push() const {
  return agent_.config_pushing().report();
}

Result<control::HaReport> AgentOperations::ha() const {
  if (agent_.anycast().configured()) {
    const Anycast& anycast = agent_.anycast();
    const Balancer& balancer = agent_.balancer();
    return anycast.report(balancer.config(), balancer.pools(), anycast.unsettled(balancer, agent_.names().memories()),
                          agent_.vips());
  }
  const auto speaker = agent_.pair().report();
  if (!speaker) return fail(ErrorKind::not_found, "the configuration has no `ha`: this router is the only one");
  control::HaReport report = report_ha(*speaker, agent_.pair().tracks());
  report.released = report.released || agent_.flow_syncing().flushing();
  report.flows = agent_.flow_syncing().report();
  if (report.peer) agent_.config_pushing().report_counts(*report.peer);
  return report;
}

Result<control::HaReport> AgentOperations::release_ha() {
  if (agent_.anycast().configured()) agent_.set_released(true);
  agent_.release_role();
  return ha();
}

Result<control::HaReport> AgentOperations::resume_ha() {
  if (agent_.anycast().configured()) agent_.set_released(false);
  agent_.flow_syncing().cancel_flush();
  agent_.pair().resume();
  return ha();
}

}  // namespace xlvs::agent
