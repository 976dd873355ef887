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

#include "agent/hooks.h"
#include "core/desired.h"
#include "core/maintenance.h"
#include "core/result.h"
#include "dataplane/dataplane.h"
#include "health/health.h"

namespace xlvs::agent {

using AdoptedHealths = std::map<BackendRef, health::AdoptedHealth>;

class Balancer {
 public:
  struct Start {
    Overrides overrides;
    Pools pools;  // as an earlier lvsd left them, for their quorum
  };
  // `changed` is called after health, pools or what the maintenance directory says have changed and were applied; once
  // for all changes of one turn of the loop.
  // `announce` is called for each of them before.
  Balancer(boost::asio::io_context& loop, dataplane::Dataplane& dataplane, Start start, std::function<void()> changed,
           std::function<void(const HookEvent&)> announce);
  Balancer(const Balancer&) = delete;
  Balancer& operator=(const Balancer&) = delete;

  // Applies the configuration and checks its backends. Backends that were checked before keep their state, also when
  // the way they are checked changes; `adopted` gives the state of others. An error has changed nothing.
  Result<dataplane::ApplySummary> load(const Config& config, const AdoptedHealths& adopted = {});
  // Replaces the overrides and applies them. An error has changed nothing.
  Result<dataplane::ApplySummary> set_overrides(Overrides overrides);
  // What the files in the maintenance directory say now.
  void set_maintenance(Maintenance files);

  [[nodiscard]] const Config& config() const { return config_; }
  [[nodiscard]] const Overrides& overrides() const { return overrides_; }
  [[nodiscard]] Override override_of(const BackendRef& backend) const;
  [[nodiscard]] const Maintenance::value_type* maintenance(const BackendRef& backend) const {
    return maintenance_of(maintenance_, backend);
  }
  [[nodiscard]] const Pools& pools() const { return pools_; }
  [[nodiscard]] const health::Health* health(const BackendRef& backend) const { return monitor_.find(backend); }
  // Whether the data plane was last told to give it new flows (if it has a weight).
  [[nodiscard]] bool is_used(const BackendRef& backend) const { return used_.contains(backend); }
  [[nodiscard]] Fitness fitness(const BackendRef& backend) const;
  [[nodiscard]] const health::Lateness& lateness() const { return monitor_.lateness(); }
  [[nodiscard]] const health::Monitor& monitor() const { return monitor_; }
  // The states of all backends that checks have decided: what a later lvsd adopts.
  [[nodiscard]] AdoptedHealths decided() const;
  // Why the newest health changes are not in the data plane yet (they are retried); empty: they are.
  [[nodiscard]] const std::string& apply_error() const { return apply_error_; }

 private:
  [[nodiscard]] Plan compute(const Config& config, const Overrides& overrides) const;
  Result<dataplane::ApplySummary> apply(Plan plan);
  void on_health(const BackendRef& backend, const health::Health& health, health::Life::Change change);
  void apply_later(std::chrono::milliseconds delay);
  void apply_health();
  void tell_pools(const Pools& now) const;

  dataplane::Dataplane& dataplane_;
  std::function<void()> changed_;
  std::function<void(const HookEvent&)> announce_;
  Config config_;
  Overrides overrides_;
  health::Monitor monitor_;
  boost::asio::steady_timer apply_timer_;
  bool apply_pending_ = false;
  std::string apply_error_;
  std::set<BackendRef> used_;
  Maintenance maintenance_;
  Pools pools_;
};

// As PoolReport::state.
[[nodiscard]] std::string pool_state(const PoolStatus& pool);

// For log lines: "service web: backend 10.0.0.12:8080".
[[nodiscard]] std::string describe(const BackendRef& backend);

}  // namespace xlvs::agent
