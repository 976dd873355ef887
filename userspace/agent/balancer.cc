// SPDX-License-Identifier: Apache-2.0
#include "agent/balancer.h"

#include <utility>

#include <spdlog/spdlog.h>

#include "agent/logging.h"

namespace xlvs::agent {
namespace {

using health::HealthState;
using std::chrono::milliseconds;

constexpr milliseconds kRetry{1000};

// In words: what the check found, and for how many times in a row.
std::string findings(const health::Health& health) {
  if (!health.last) return "";
  const std::string name = health.checks.size() > 1 ? health.deciding + ": " : "";
  const std::string counts = health.last->passed ? counted(health.passes, "pass") : counted(health.failures, "failure");
  return fmt::format("{}{} ({})", name, health.last->detail, counts);
}

void log_change(const BackendRef& backend, const health::Health& health) {
  using health::LifeState;
  const bool bad = health.life == LifeState::down || health.life == LifeState::flapping;
  spdlog::log(bad ? spdlog::level::warn : spdlog::level::info, "{} {}: {}", describe(backend), to_string(health.life),
              findings(health));
}

void log_tier(const std::string& service, const PoolStatus& pool) {
  if (!pool.tier) {
    spdlog::error("service {}: no backend is left, new connections are dropped", service);
  } else if (*pool.tier == kSorryTier) {
    spdlog::warn("service {}: no backend is left, the sorry server is in use", service);
  } else if (*pool.tier > 0) {
    spdlog::warn("service {}: backup backends of tier {} are in use", service, *pool.tier);
  } else {
    spdlog::info("service {}: its backends take new connections", service);
  }
}

std::string weights(const PoolStatus& pool) {
  return fmt::format("weight {} of {} is fit", pool.fit_weight, pool.weight);
}

}  // namespace

std::string pool_state(const PoolStatus& pool) {
  if (!pool.tier) return "down";
  if (*pool.tier == kSorryTier) return "sorry";
  if (pool.panic) return "panic";
  if (*pool.tier > 0) return "backup";
  return pool.quorum ? "up" : "no-quorum";
}

std::string describe(const BackendRef& backend) {
  return fmt::format("service {}: backend {}", backend.service, backend.endpoint.to_string());
}

Balancer::Balancer(boost::asio::io_context& loop, dataplane::Dataplane& dataplane, Start start,
                   std::function<void()> changed, std::function<void(const HookEvent&)> announce)
    : dataplane_(dataplane),
      changed_(std::move(changed)),
      announce_(std::move(announce)),
      overrides_(std::move(start.overrides)),
      monitor_(loop, [this](const BackendRef& backend, const health::Health& health,
                            health::Life::Change change) { on_health(backend, health, change); }),
      apply_timer_(loop),
      pools_(std::move(start.pools)) {
  monitor_.on_notice([](const std::string& text) { spdlog::warn("{}", text); });
}

Override Balancer::override_of(const BackendRef& backend) const {
  const auto found = overrides_.find(backend);
  return found == overrides_.end() ? Override{} : found->second;
}

AdoptedHealths Balancer::decided() const {
  AdoptedHealths states;
  for (const ServiceConfig& service : config_.services) {
    for (const BackendConfig& backend : service.backends) {
      const BackendRef ref{service.name, backend.endpoint()};
      if (auto state = monitor_.memory(ref)) states.emplace(ref, std::move(*state));
    }
  }
  return states;
}

Fitness Balancer::fitness(const BackendRef& backend) const {
  const health::Health* health = monitor_.find(backend);
  if (health == nullptr) return {false, 1000, {}};
  return {health->state == HealthState::up, health->permille, health->weight};
}

Plan Balancer::compute(const Config& config, const Overrides& overrides) const {
  return compute_plan(
      config, with_maintenance(config, overrides, maintenance_), [this](const BackendRef& ref) { return fitness(ref); },
      pools_);
}

Result<dataplane::ApplySummary> Balancer::apply(Plan plan) {
  auto summary = dataplane_.apply(plan.desired);
  if (!summary) return summary;
  apply_error_.clear();
  used_.clear();
  for (const DesiredService& service : plan.desired.services)
    for (const DesiredBackend& backend : service.backends)
      if (backend.up) used_.insert({service.name, backend.endpoint});
  tell_pools(plan.pools);
  pools_ = std::move(plan.pools);
  return summary;
}

// The monitor goes first, because it knows what the backends of the new configuration are fit for; should the data
// plane refuse, it goes back to the configuration that runs.
Result<dataplane::ApplySummary> Balancer::load(const Config& config, const AdoptedHealths& adopted) {
  if (auto ready = dataplane_.set_via_checks(via_checks(config)); !ready) return tl::make_unexpected(ready.error());
  const AdoptedHealths before = decided();
  monitor_.set(config, adopted);
  auto summary = apply(compute(config, overrides_));
  if (!summary) {
    monitor_.set(config_, before);
    (void)dataplane_.set_via_checks(via_checks(config_));
    return summary;
  }
  config_ = config;
  return summary;
}

Result<dataplane::ApplySummary> Balancer::set_overrides(Overrides overrides) {
  auto summary = apply(compute(config_, overrides));
  if (summary) overrides_ = std::move(overrides);
  return summary;
}

void Balancer::on_health(const BackendRef& backend, const health::Health& health, health::Life::Change change) {
  // Without a result nobody found anything out: adopted, or never checked.
  if (change == health::Life::Change::state && health.last) {
    log_change(backend, health);
    announce_({"backend", backend.service, backend.endpoint.to_string(), std::string(to_string(health.life)),
               findings(health)});
  }
  apply_later(milliseconds(0));
}

// All changes that the loop delivers before the timer's turn share one apply().
void Balancer::apply_later(milliseconds delay) {
  if (apply_pending_) return;
  apply_pending_ = true;
  apply_timer_.expires_after(delay);
  apply_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    apply_pending_ = false;
    apply_health();
  });
}

void Balancer::apply_health() {
  const auto summary = apply(compute(config_, overrides_));
  if (!summary) {
    if (apply_error_ != summary.error().message)
      spdlog::error("cannot apply health changes: {}", summary.error().message);
    apply_error_ = summary.error().message;
    apply_later(kRetry);
  }
  changed_();
}

void Balancer::set_maintenance(Maintenance files) {
  if (files == maintenance_) return;
  for (const auto& [name, text] : files)
    if (!maintenance_.contains(name)) spdlog::info("maintenance: {} is out of service: {}", name, text);
  for (const auto& [name, text] : maintenance_)
    if (!files.contains(name)) spdlog::info("maintenance: {} is back", name);
  maintenance_ = std::move(files);
  apply_later(milliseconds(0));
}

// One line for each thing that changed about a service. What was not known before is news only when it is bad, and a
// new service whose checks have not answered yet is not.
void Balancer::tell_pools(const Pools& now) const {
  for (const auto& [name, pool] : now) {
    const auto found = pools_.find(name);
    if (found == pools_.end()) continue;
    const PoolStatus& before = found->second;
    if (pool.quorum != before.quorum)
      spdlog::log(pool.quorum ? spdlog::level::info : spdlog::level::warn, "service {}: quorum {} (weight {} of {})",
                  name, pool.quorum ? "gained" : "lost", pool.fit_weight, pool.weight);
    if (pool.quorum != before.quorum) announce_({"quorum", name, "", pool.quorum ? "gained" : "lost", weights(pool)});
    if (pool.tier != before.tier) log_tier(name, pool);
    if (pool_state(pool) != pool_state(before)) announce_({"service", name, "", pool_state(pool), weights(pool)});
    if (pool.panic && !before.panic)
      spdlog::warn("service {}: panic, all backends are used whatever their health (weight {} of {} is fit)", name,
                   pool.fit_weight, pool.weight);
    if (!pool.panic && before.panic)
      spdlog::info("service {}: no panic any more (weight {} of {} is fit)", name, pool.fit_weight, pool.weight);
  }
}

}  // namespace xlvs::agent
