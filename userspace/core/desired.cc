// SPDX-License-Identifier: Apache-2.0
#include "core/desired.h"

#include <algorithm>

#include "core/pool.h"

namespace xlvs {
namespace {

constexpr std::uint32_t kMaxWeight = 65535;
constexpr std::uint32_t kFinest = 100;  // the scale that shows one percent of weight 1
constexpr std::uint32_t kWhole = 1000;

// One backend on its way from the configuration to the data plane.
struct Candidate {
  DesiredBackend backend;
  PoolMember member;
  std::uint32_t weight = 0;  // before its share
  std::uint32_t permille = kWhole;
  bool quiesced = false;  // it has failed, and keeps its place with weight 0
};

// What the operator says goes before what the server says, and that before what the configuration says.
std::uint32_t base_weight(const BackendConfig& config, const Override& change, const Fitness& fitness) {
  if (change.drained) return 0;
  return change.weight.value_or(fitness.weight.value_or(config.weight));
}

bool is_out(const Override& change) {
  return change.disabled || change.forced == Forced::down;
}

// The operator's word on its health, if there is one.
Fitness overruled(const Override& change, const Fitness& fitness) {
  if (is_out(change)) return {false, kWhole, fitness.weight};
  return change.forced == Forced::up ? Fitness{true, kWhole, fitness.weight} : fitness;
}

Candidate candidate(const BackendConfig& config, const Override& change, const Fitness& found, OnFailure on_failure) {
  const Fitness fitness = overruled(change, found);
  Candidate result;
  DesiredBackend& backend = result.backend;
  backend.endpoint = config.endpoint();
  backend.forward = config.forward;
  result.member = {config.tier, base_weight(config, change, fitness), fitness.up, is_out(change)};
  // The last resort, whatever its checks say; a weight of 0 in the configuration means that it is nothing else.
  if (config.sorry && !change.drained) result.member.sorry_weight = change.weight.value_or(std::max(config.weight, 1U));
  result.permille = fitness.permille;
  if (result.permille == 0) result.member.weight = 0;
  result.weight = result.member.weight;
  if (change.drained) {
    backend.weight_before_drain = change.weight.value_or(config.weight);
  } else if (!fitness.up && on_failure == OnFailure::drain) {
    backend.weight_before_drain = result.weight;
    result.quiesced = true;
  } else if (result.weight == 0) {
    // Drained by `weight 0`: what it weighed before is what the configuration says (0 there, too: it never had any).
    backend.weight_before_drain = config.weight;
  }
  return result;
}

// By how much weights are multiplied so that shares of them are whole numbers.
std::uint32_t scale_of(const std::vector<Candidate>& candidates) {
  std::uint32_t greatest = 1;
  bool shared = false;
  for (const Candidate& candidate : candidates) {
    const std::uint64_t weight = std::uint64_t{candidate.weight} * std::max(candidate.permille, kWhole) / kWhole;
    greatest = std::max(greatest, static_cast<std::uint32_t>(std::min<std::uint64_t>(weight, kMaxWeight)));
    shared = shared || (candidate.permille != kWhole && candidate.weight > 0);
  }
  return shared ? std::clamp(kMaxWeight / greatest, 1U, kFinest) : 1;
}

std::uint32_t scaled(const Candidate& candidate, std::uint32_t scale) {
  if (candidate.weight == 0) return 0;
  const std::uint64_t weight = std::uint64_t{candidate.weight} * scale * candidate.permille / kWhole;
  return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(weight, 1, kMaxWeight));
}

// A backend that says sorry: what its health did to it does not count now.
void say_sorry(Candidate& candidate) {
  candidate.weight = candidate.member.sorry_weight;
  candidate.permille = kWhole;
  candidate.quiesced = false;
  candidate.backend.failed = false;
  candidate.backend.weight_before_drain = 0;
}

std::vector<DesiredBackend> desired_backends(std::vector<Candidate> candidates, const PoolDecision& pool) {
  for (std::size_t i = 0; i < candidates.size(); ++i)
    if (pool.used[i] && pool.in_force == kSorryTier && candidates[i].member.sorry_weight > 0) say_sorry(candidates[i]);
  const std::uint32_t scale = scale_of(candidates);
  std::vector<DesiredBackend> backends;
  backends.reserve(candidates.size());
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    Candidate& from = candidates[i];
    DesiredBackend& backend = from.backend;
    backend.up = pool.used[i];
    // In a panic the unfit are used, too: then they have not failed for their flows.
    backend.failed = !from.member.fit && !pool.used[i];
    if (from.quiesced) {
      const bool keeps_its_place = !backend.up && from.member.tier == pool.in_force;
      if (keeps_its_place) {
        backend.up = true;
        from.weight = 0;
      } else {
        backend.weight_before_drain = 0;
      }
    }
    backend.weight_before_drain *= scale;
    backend.weight = scaled(from, scale);
    backends.push_back(backend);
  }
  return backends;
}

std::vector<Candidate> candidates_of(const ServiceConfig& service, const Overrides& overrides,
                                     const std::function<Fitness(const BackendRef&)>& fitness) {
  std::vector<Candidate> candidates;
  candidates.reserve(service.backends.size());
  for (const BackendConfig& backend : service.backends) {
    const BackendRef ref{service.name, backend.endpoint()};
    const auto found = overrides.find(ref);
    candidates.push_back(candidate(backend, found == overrides.end() ? Override{} : found->second, fitness(ref),
                                   service.life.on_failure));
  }
  return candidates;
}

}  // namespace

double weight_in_force(const BackendConfig& backend, const Override& change, const Fitness& found) {
  const Fitness fitness = overruled(change, found);
  const double weight = base_weight(backend, change, fitness);
  return std::min<double>(kMaxWeight, weight * fitness.permille / kWhole);
}

Plan compute_plan(const Config& config, const Overrides& overrides,
                  const std::function<Fitness(const BackendRef&)>& fitness, const Pools& before) {
  Plan plan;
  Desired& desired = plan.desired;
  desired.timeouts = config.timeouts;
  desired.paired = config.ha && config.ha->mode == HaMode::vrrp;
  desired.hash_seed = config.hash_seed;
  desired.services.reserve(config.services.size());
  for (const ServiceConfig& from : config.services) {
    DesiredService& service = desired.services.emplace_back();
    service.name = from.name;
    service.listeners = from.listeners;
    service.scheduler = from.scheduler;
    service.hash_port = from.hash_port;
    service.hash_fallback = from.hash_fallback;
    service.sloppy_tcp = from.sloppy_tcp;
    service.no_flow = from.no_flow;
    service.flows_on_failure = from.flows_on_failure;
    std::vector<Candidate> candidates = candidates_of(from, overrides, fitness);
    std::vector<PoolMember> members;
    members.reserve(candidates.size());
    for (const Candidate& candidate : candidates) members.push_back(candidate.member);
    const auto known = before.find(from.name);
    PoolDecision pool = decide_pool(members, from.pool, known != before.end() && known->second.quorum);
    service.backends = desired_backends(std::move(candidates), pool);
    plan.pools.emplace(from.name, pool.status);
  }
  return plan;
}

std::string_view to_string(Forced forced) {
  return forced == Forced::up ? "up" : "down";
}

std::optional<Forced> parse_forced(std::string_view name) {
  if (name == "up") return Forced::up;
  return name == "down" ? std::optional(Forced::down) : std::nullopt;
}

}  // namespace xlvs
