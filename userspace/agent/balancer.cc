// SPDX-License-Identifier: Apache-2.0
#include "agent/balancer.h"

#include <algorithm>
#include <unordered_set>
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

void log_change(const BackendRef& backend, const health::Health& health) {
  if (!health.last) return;  // adopted, or never checked: nobody found anything out
  if (health.state == HealthState::up) {
    spdlog::info("{} up: {} ({})", describe(backend), health.last->detail, counted(health.passes, "pass"));
  } else {
    spdlog::warn("{} down: {} ({})", describe(backend), health.last->detail, counted(health.failures, "failure"));
  }
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
      monitor_(loop, [this](const BackendRef& backend, const health::Health& health) { on_health(backend, health); }),
      apply_timer_(loop) {}

Override Balancer::override_of(const BackendRef& backend) const {
  const auto found = overrides_.find(backend);
  return found == overrides_.end() ? Override{} : found->second;
}

AdoptedHealths Balancer::decided() const {
  AdoptedHealths states;
  for (const ServiceConfig& service : config_.services) {
    if (service.check.type == "none") continue;
    for (const BackendConfig& backend : service.backends) {
      const BackendRef ref{service.name, backend.endpoint()};
      const health::Health* health = monitor_.find(ref);
      if (health != nullptr && health->checked) states[ref] = {health->state, health->since};
    }
  }
  return states;
}

Desired Balancer::compute(const Config& config, const Overrides& overrides, const AdoptedHealths& adopted) const {
  std::unordered_set<std::string_view> unchecked;
  for (const ServiceConfig& service : config.services) {
    if (service.check.type == "none") unchecked.insert(service.name);
  }
  return compute_desired(config, overrides, [&](const BackendRef& ref) {
    if (unchecked.contains(ref.service)) return true;
    if (const auto state = adopted.find(ref); state != adopted.end()) return state->second.state == HealthState::up;
    return monitor_.is_up(ref);
  });
}

Result<dataplane::ApplySummary> Balancer::apply(const Desired& desired) {
  auto summary = dataplane_.apply(desired);
  if (summary) {
    apply_error_.clear();
    log_usable(desired);
  }
  return summary;
}

Result<dataplane::ApplySummary> Balancer::load(const Config& config, const AdoptedHealths& adopted) {
  AdoptedHealths states = decided();
  states.insert(adopted.begin(), adopted.end());
  auto summary = apply(compute(config, overrides_, states));
  if (!summary) return summary;
  config_ = config;
  monitor_.set(config_, states);
  return summary;
}

Result<dataplane::ApplySummary> Balancer::set_overrides(Overrides overrides) {
  auto summary = apply(compute(config_, overrides, {}));
  if (summary) overrides_ = std::move(overrides);
  return summary;
}

void Balancer::on_health(const BackendRef& backend, const health::Health& health) {
  log_change(backend, health);
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
  const auto summary = apply(compute(config_, overrides_, {}));
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
