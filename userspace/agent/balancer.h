// SPDX-License-Identifier: Apache-2.0
// The one place that decides what the data plane shall do: configuration, runtime overrides and health come in here,
// core computes, the data plane gets the difference. Thread rule: the event loop's thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "core/desired.h"
#include "core/result.h"
#include "dataplane/dataplane.h"
#include "health/health.h"

namespace xlvs::agent {

using AdoptedHealths = std::map<BackendRef, health::AdoptedHealth>;

class Balancer {
 public:
  // `health_changed` is called once for all changes of one turn of the loop, after they were applied.
  Balancer(boost::asio::io_context& loop, dataplane::Dataplane& dataplane, Overrides overrides,
           std::function<void()> health_changed);
  Balancer(const Balancer&) = delete;
  Balancer& operator=(const Balancer&) = delete;

  // Applies the configuration and checks its backends. Backends that were checked before keep their state, also when
  // the way they are checked changes; `adopted` gives the state of others. An error has changed nothing.
  Result<dataplane::ApplySummary> load(const Config& config, const AdoptedHealths& adopted = {});
  // Replaces the overrides and applies them. An error has changed nothing.
  Result<dataplane::ApplySummary> set_overrides(Overrides overrides);

  [[nodiscard]] const Config& config() const { return config_; }
  [[nodiscard]] const Overrides& overrides() const { return overrides_; }
  [[nodiscard]] Override override_of(const BackendRef& backend) const;
  [[nodiscard]] const health::Health* health(const BackendRef& backend) const { return monitor_.find(backend); }
  // Whether the data plane was last told to give it new flows (if it has a weight).
  [[nodiscard]] bool is_used(const BackendRef& backend) const { return used_.contains(backend); }
  [[nodiscard]] Fitness fitness(const BackendRef& backend) const;
  [[nodiscard]] const health::Lateness& lateness() const { return monitor_.lateness(); }
  // The states of all backends that checks have decided: what a later lvsd adopts.
  [[nodiscard]] AdoptedHealths decided() const;
  // Why the newest health changes are not in the data plane yet (they are retried); empty: they are.
  [[nodiscard]] const std::string& apply_error() const { return apply_error_; }

 private:
  [[nodiscard]] Desired compute(const Config& config, const Overrides& overrides) const;
  Result<dataplane::ApplySummary> apply(const Desired& desired);
  void on_health(const BackendRef& backend, const health::Health& health, health::Life::Change change);
  void apply_later(std::chrono::milliseconds delay);
  void apply_health();
  void log_usable(const Desired& desired);

  dataplane::Dataplane& dataplane_;
  std::function<void()> health_changed_;
  Config config_;
  Overrides overrides_;
  health::Monitor monitor_;
  boost::asio::steady_timer apply_timer_;
  bool apply_pending_ = false;
  std::string apply_error_;
  std::set<BackendRef> used_;
  std::map<std::string, bool> usable_;  // services that had, or have lost, their last backend
};

// For log lines: "service web: backend 10.0.0.12:8080".
[[nodiscard]] std::string describe(const BackendRef& backend);

}  // namespace xlvs::agent
