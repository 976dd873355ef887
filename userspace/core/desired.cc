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
  std::uint32_t weight = 0;  // before its share; what it counts in the pool
  std::uint32_t permille = kWhole;
  bool fit = true;
};

// What the operator says goes before what the server says, and that before what the configuration says.
std::uint32_t base_weight(const BackendConfig& config, const Override& change, const Fitness& fitness) {
  if (change.drained) return 0;
  return change.weight.value_or(fitness.weight.value_or(config.weight));
}

Candidate candidate(const BackendConfig& config, const Override& change, const Fitness& fitness, OnFailure on_failure) {
  Candidate result;
  DesiredBackend& backend = result.backend;
  backend.endpoint = config.endpoint();
  backend.forward = config.forward;
  backend.failed = !fitness.up;
  result.fit = fitness.up;
  result.permille = fitness.permille;
  result.weight = base_weight(config, change, fitness);
  if (result.permille == 0) result.weight = 0;
  if (change.drained) {
    backend.weight_before_drain = change.weight.value_or(config.weight);
  } else if (!fitness.up && on_failure == OnFailure::drain) {
    backend.weight_before_drain = result.weight;
    result.weight = 0;
    result.fit = true;
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

std::vector<DesiredBackend> desired_backends(const ServiceConfig& service, const Overrides& overrides,
                                             const std::function<Fitness(const BackendRef&)>& fitness) {
  std::vector<Candidate> candidates;
  std::vector<PoolMember> members;
  candidates.reserve(service.backends.size());
  members.reserve(service.backends.size());
  for (const BackendConfig& backend : service.backends) {
    const BackendRef ref{service.name, backend.endpoint()};
    const auto found = overrides.find(ref);
    candidates.push_back(candidate(backend, found == overrides.end() ? Override{} : found->second, fitness(ref),
                                   service.life.on_failure));
    members.push_back({backend.tier, candidates.back().weight, candidates.back().fit});
  }
  const PoolDecision pool = decide_pool(members);
  const std::uint32_t scale = scale_of(candidates);
  std::vector<DesiredBackend> backends;
  backends.reserve(candidates.size());
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    DesiredBackend& backend = candidates[i].backend;
    backend.up = pool.used[i];
    backend.weight = scaled(candidates[i], scale);
    backend.weight_before_drain *= scale;
    backends.push_back(backend);
  }
  return backends;
}

}  // namespace

double weight_in_force(const BackendConfig& backend, const Override& change, const Fitness& fitness) {
  const double weight = base_weight(backend, change, fitness);
  return std::min<double>(kMaxWeight, weight * fitness.permille / kWhole);
}

Desired compute_desired(const Config& config, const Overrides& overrides,
                        const std::function<Fitness(const BackendRef&)>& fitness) {
  Desired desired;
  desired.timeouts = config.timeouts;
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
    service.backends = desired_backends(from, overrides, fitness);
  }
  return desired;
}

}  // namespace xlvs
