// SPDX-License-Identifier: Apache-2.0
// Which ids the installed services, listeners and backends have, and what a new description would change about them.
// Touches no map: after a restart it is rebuilt from them (adopt.h), and apply.cc writes what a Plan says. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/desired.h"
#include "core/result.h"
#include "dataplane/ids.h"

namespace xlvs::dataplane {

struct InstalledBackend {
  std::uint32_t service = 0;
  Endpoint endpoint;
  ForwardMethod forward = ForwardMethod::nat;
  FlowsOnFailure flows_on_failure = FlowsOnFailure::keep;
  bool failed = false;  // no table names it: see judge()
};

struct InstalledListener {
  std::uint32_t id = 0;
  std::uint32_t service = 0;
  std::uint8_t tag = 0;  // of its flows' hash; stays while the listener does, or they would not be found again
};

// What the service was made from. Unknown after a restart, until the first apply().
struct AppliedService {
  DesiredService desired;
  std::uint32_t hash_seed = 0;
  friend bool operator==(const AppliedService&, const AppliedService&) = default;
};

struct InstalledService {
  std::string name;
  std::vector<std::uint32_t> backends;  // in the operator's order
  std::set<Listener> listeners;
  std::optional<AppliedService> applied;
};

// Where a NAT backend's replies come from, and what they may be replies to.
struct RealKey {
  Endpoint endpoint;
  Protocol protocol = Protocol::tcp;
  friend auto operator<=>(const RealKey&, const RealKey&) = default;
};
struct Real {
  std::uint32_t backend = 0;
  std::uint32_t listener = 0;
  Listener vip;           // that listener
  bool shared = false;    // several (service, backend) pairs answer from here
  bool many = false;      // a service has several listeners of the protocol
  std::uint8_t tag = 0;   // of that listener
  std::uint16_t tags = 1; // bit i: a listener has tag i
  friend bool operator==(const Real&, const Real&) = default;
};
using Reals = std::map<RealKey, Real>;

struct PlannedBackend {
  std::uint32_t id = 0;
  bool added = false;
  const DesiredBackend* desired = nullptr;
};
struct PlannedListener {
  Listener listener;
  std::uint32_t id = 0;
  std::uint8_t tag = 0;
};
struct PlannedService {
  std::uint32_t id = 0;
  bool added = false;
  const DesiredService* desired = nullptr;
  std::vector<PlannedBackend> backends;
  std::vector<PlannedListener> listeners;  // new ones, and those that another service had
};

// Borrows from the Desired it was made of.
struct Plan {
  std::vector<PlannedService> services;  // those that are new or may differ
  std::vector<std::uint32_t> removed_services;
  std::vector<std::uint32_t> removed_backends;  // also those of removed services
  std::vector<std::pair<Listener, std::uint32_t>> removed_listeners;
  std::uint32_t hash_seed = 0;
  IdPool service_ids, listener_ids, backend_ids;  // with what the plan takes
  [[nodiscard]] bool empty() const { return services.empty() && removed_services.empty(); }
};

class Registry {
 public:
  Registry() = default;
  Registry(std::uint32_t service_ids, std::uint32_t listener_ids, std::uint32_t backend_ids);

  // ---- rebuilding after a restart; ids must be free
  void adopt_service(std::uint32_t id, const std::string& name);
  void adopt_listener(const Listener& listener, const InstalledListener& installed);
  void adopt_backend(std::uint32_t id, const InstalledBackend& backend);

  // ---- changing. A plan holds until the next change. add() before anything is written, remove() after all is.
  [[nodiscard]] Result<Plan> plan(const Desired& desired, const LimitConfig& limits) const;
  Result<Plan> plan(Desired&& desired, const LimitConfig& limits) const = delete;  // a plan borrows
  // add() takes back that a backend has failed, before a table names it again; judge(), once no table names it any
  // more, says that it has.
  void add(const Plan& plan);
  void judge(const Plan& plan);
  // `sweep`: the first that will look at the whole flow table.
  void remove(const Plan& plan, std::uint64_t sweep);

  // ---- quarantine
  // A backend that is not installed, whose counters belong to `service` (0: to none).
  void quarantine_backend(std::uint32_t id, std::uint32_t service, std::uint64_t sweep);
  void quarantine_listener(std::uint32_t id, std::uint64_t sweep) { listener_ids_.quarantine(id, sweep); }
  // Resting backends, and whose counters they still hold.
  [[nodiscard]] const std::map<std::uint32_t, std::uint32_t>& resting_backends() const { return resting_; }
  void release_backend(std::uint32_t id);
  void release_listener(std::uint32_t id) { listener_ids_.release(id); }

  // ---- looking
  [[nodiscard]] const std::map<std::uint32_t, InstalledService>& services() const { return services_; }
  [[nodiscard]] const std::map<Listener, InstalledListener>& listeners() const { return listeners_; }
  [[nodiscard]] const std::unordered_map<std::uint32_t, InstalledBackend>& backends() const { return backends_; }
  [[nodiscard]] std::optional<std::uint32_t> service_id(const std::string& name) const;
  [[nodiscard]] std::optional<std::uint32_t> backend_id(std::uint32_t service, const Endpoint& endpoint) const;
  [[nodiscard]] std::vector<std::uint32_t> backends_at(const IpAddress& address) const;
  [[nodiscard]] const IdPool& backend_ids() const { return backend_ids_; }
  [[nodiscard]] const IdPool& listener_ids() const { return listener_ids_; }
  // How many listeners have this address; the address itself is known to XDP while there is one.
  [[nodiscard]] std::set<IpAddress> addresses() const;
  // What `reals` must hold for what is installed.
  [[nodiscard]] Reals reals() const;

 private:
  struct Wanted;
  [[nodiscard]] Result<void> check(const Desired& desired, const LimitConfig& limits, Wanted& wanted) const;
  [[nodiscard]] Result<void> plan_service(const DesiredService& desired, const Wanted& wanted, Plan& plan) const;
  void plan_removal(std::uint32_t id, const DesiredService* desired, const Wanted& wanted, Plan& plan) const;

  IdPool service_ids_, listener_ids_, backend_ids_;
  std::map<std::string, std::uint32_t> names_;
  std::map<std::uint32_t, InstalledService> services_;
  std::map<Listener, InstalledListener> listeners_;
  std::unordered_map<std::uint32_t, InstalledBackend> backends_;
  std::map<std::pair<std::uint32_t, Endpoint>, std::uint32_t> by_endpoint_;  // (service, endpoint) -> id
  std::unordered_map<IpAddress, std::set<std::uint32_t>> by_address_;
  std::map<std::uint32_t, std::uint32_t> resting_;
};

}  // namespace xlvs::dataplane
