// SPDX-License-Identifier: Apache-2.0
#include "agent/balancer.h"

#include <algorithm>
#include <utility>

#include <spdlog/spdlog.h>

#include "agent/logging.h"

namespace xlvs::agent {
namespace {

using health::HealthState;
using std::chrono::milliseconds;

constexpr milliseconds kRetry{1000};

bool takes_new_flows(const DesiredService& service) {
  return std::any_of(service.backends.begin(), service.backends.end(),
                     [](const DesiredBackend& backend) { return backend.up && backend.weight > 0; });
}

// In words: what the check found, and for how many times in a row.
std::string findings(const health::Health& health) {
  if (!health.last) return "";
  const std::string name = health.checks.size() > 1 ? health.deciding + ": " : "";
  const std::string counts = health.last->passed ? counted(health.passes, "pass") : counted(health.failures, "failure");
  return fmt::format(": {}{} ({})", name, health.last->detail, counts);
}

void log_change(const BackendRef& backend, const health::Health& health) {
  using health::LifeState;
  if (!health.last) return;  // adopted, or never checked: nobody found anything out
  const auto level =
      health.life == LifeState::down || health.life == LifeState::flapping ? spdlog::level::warn : spdlog::level::info;
  spdlog::log(level, "{} {}{}", describe(backend), to_string(health.life), findings(health));
}

}  // namespace

std::string describe(const BackendRef& backend) {
  return fmt::format("service {}: backend {}", backend.service, backend.endpoint.to_string());
}

Balancer::Balancer(boost::asio::io_context& loop, dataplane::Dataplane& dataplane, Overrides overrides,
                   std::function<void()> health_changed)
    : dataplane_(dataplane),
      health_changed_(std::move(health_changed)),
      overrides_(std::move(overrides)),
      monitor_(loop, [this](const BackendRef& backend, const health::Health& health,
                            health::Life::Change change) { on_health(backend, health, change); }),
      apply_timer_(loop) {}

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

Desired Balancer::compute(const Config& config, const Overrides& overrides) const {
  return compute_desired(config, overrides, [this](const BackendRef& ref) { return fitness(ref); });
}

Result<dataplane::ApplySummary> Balancer::apply(const Desired& desired) {
  auto summary = dataplane_.apply(desired);
  if (summary) {
    apply_error_.clear();
    used_.clear();
    for (const DesiredService& service : desired.services)
      for (const DesiredBackend& backend : service.backends)
        if (backend.up) used_.insert({service.name, backend.endpoint});
    log_usable(desired);
  }
  return summary;
}

// The monitor goes first, because it knows what the backends of the new configuration are fit for; should the data
// plane refuse, it goes back to the configuration that runs.
Result<dataplane::ApplySummary> Balancer::load(const Config& config, const AdoptedHealths& adopted) {
  const AdoptedHealths before = decided();
  monitor_.set(config, adopted);
  auto summary = apply(compute(config, overrides_));
  if (!summary) {
    monitor_.set(config_, before);
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
  if (change == health::Life::Change::state) log_change(backend, health);
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
  health_changed_();
}

void Balancer::log_usable(const Desired& desired) {
  std::map<std::string, bool> usable;
  for (const DesiredService& service : desired.services) {
    const bool now = takes_new_flows(service);
    const auto before = usable_.find(service.name);
    if (before == usable_.end() && !now) continue;  // a new service whose checks have not answered yet
    usable[service.name] = now;
    if (before == usable_.end() || before->second == now) continue;
    if (now) {
      spdlog::info("service {}: has a backend again", service.name);
    } else {
      spdlog::error("service {}: no backend is left, new connections are dropped", service.name);
    }
  }
  usable_ = std::move(usable);
}

}  // namespace xlvs::agent
