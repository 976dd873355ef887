// SPDX-License-Identifier: Apache-2.0
#include "core/desired.h"

namespace xlvs {
namespace {

DesiredBackend desired_backend(const BackendConfig& config, const Override& change, bool up) {
  DesiredBackend backend;
  backend.endpoint = config.endpoint();
  backend.forward = config.forward;
  backend.up = up;
  backend.weight = change.weight.value_or(config.weight);
  if (change.drained) {
    backend.weight_before_drain = backend.weight;
    backend.weight = 0;
  } else if (backend.weight == 0) {
    // Drained by `weight 0`: what it weighed before is what the configuration says (0 there, too: it never had any).
    backend.weight_before_drain = config.weight;
  }
  return backend;
}

}  // namespace

Desired compute_desired(const Config& config, const Overrides& overrides,
                        const std::function<bool(const BackendRef&)>& is_up) {
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
    service.backends.reserve(from.backends.size());
    for (const BackendConfig& backend : from.backends) {
      const BackendRef ref{from.name, backend.endpoint()};
      const auto found = overrides.find(ref);
      service.backends.push_back(
          desired_backend(backend, found == overrides.end() ? Override{} : found->second, is_up(ref)));
    }
  }
  return desired;
}

}  // namespace xlvs
