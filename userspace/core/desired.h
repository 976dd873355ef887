// SPDX-License-Identifier: Apache-2.0
// What the data plane shall do: configuration, runtime overrides and health, computed into one plain description. It is
// complete: what is not in it is removed. dataplane/ compares it with what is installed and applies only the
// difference.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/model.h"

namespace xlvs {

struct DesiredBackend {
  Endpoint endpoint;
  ForwardMethod forward = ForwardMethod::nat;
  // In force, relative to those of the service's other backends: weights are scaled up while one of them has a fraction
  // of its own (slow start, or what it asked for). 0: drained, keeps its flows.
  std::uint32_t weight = 1;
  bool up = true;                         // false: not in the scheduler's table (failed, or not needed)
  std::uint32_t weight_before_drain = 0;  // what Member::weight_before_drain is made of; 0 when not drained
  // Its health, or the operator, took it out, and no panic uses it all the same: the service's flows_on_failure. Never
  // together with `up` and a weight.
  bool failed = false;

  friend bool operator==(const DesiredBackend&, const DesiredBackend&) = default;
};

struct DesiredService {
  std::string name;
  std::vector<Listener> listeners;
  Scheduler scheduler = Scheduler::wlc;
  bool hash_port = false;
  bool hash_fallback = false;
  bool sloppy_tcp = false;
  NoFlowPolicy no_flow = NoFlowPolicy::pass;
  FlowsOnFailure flows_on_failure = FlowsOnFailure::keep;
  std::vector<DesiredBackend> backends;

  friend bool operator==(const DesiredService&, const DesiredService&) = default;
};

struct Desired {
  std::vector<DesiredService> services;
  TimeoutConfig timeouts;
  // Another router may be active instead of this one: then what it sends here, because a dr backend is this host, is the
  // host's own.
  bool paired = false;
  std::uint32_t hash_seed = 0;

  friend bool operator==(const Desired&, const Desired&) = default;
};

// A backend as operators and overrides name it.
struct BackendRef {
  std::string service;
  Endpoint endpoint;
  friend auto operator<=>(const BackendRef&, const BackendRef&) = default;
};

enum class Forced : std::uint8_t { up, down };
[[nodiscard]] std::string_view to_string(Forced forced);
[[nodiscard]] std::optional<Forced> parse_forced(std::string_view name);

// A runtime change by the operator; survives reload and restart until cleared.
struct Override {
  bool drained = false;
  std::optional<std::uint32_t> weight = {};
  bool disabled = false;              // out, as if its checks failed
  std::optional<Forced> forced = {};  // whatever its checks find
  std::string reason = {};            // the operator's words for any of these
  [[nodiscard]] bool empty() const { return !drained && !weight && !disabled && !forced; }
  friend bool operator==(const Override&, const Override&) = default;
};
using Overrides = std::map<BackendRef, Override>;

// What its health lets a backend do.
struct Fitness {
  bool up = true;                       // it may take new flows
  std::uint32_t permille = 1000;        // of its weight: slow start, or the share it asked for; 0: none
  std::optional<std::uint32_t> weight;  // the weight it asked for, instead of the configured one
};

// What it comes to, in the configuration's own units, for people.
[[nodiscard]] double weight_in_force(const BackendConfig& backend, const Override& change, const Fitness& fitness);

// How the backends of a service stand together; also the memory that quorum needs.
struct PoolStatus {
  std::optional<unsigned> tier;  // in use; nullopt: nobody takes new flows
  bool panic = false;            // all of the tier is used, fit or not
  bool quorum = true;            // also without a rule
  bool withdrawn = false;        // it wants its VIPs taken away
  std::uint64_t weight = 0;      // of the first tier
  std::uint64_t fit_weight = 0;  // of its fit backends
  friend bool operator==(const PoolStatus&, const PoolStatus&) = default;
};
using Pools = std::map<std::string, PoolStatus>;  // by service

struct Plan {
  Desired desired;
  Pools pools;
};

// Pure: the one place where configuration, overrides and health meet. `fitness` is asked once per backend; `before` is
// what the plan before came to. Overrides of backends that the configuration does not have are ignored (and kept by the
// caller, for when they return).
[[nodiscard]] Plan compute_plan(const Config& config, const Overrides& overrides,
                                const std::function<Fitness(const BackendRef&)>& fitness, const Pools& before = {});

}  // namespace xlvs
