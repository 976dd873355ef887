// SPDX-License-Identifier: Apache-2.0
#include "core/maintenance.h"

namespace xlvs {

const Maintenance::value_type* maintenance_of(const Maintenance& files, const BackendRef& backend) {
  for (const std::string& name :
       {backend.endpoint.to_string(), backend.endpoint.address.to_string(), backend.service}) {
    if (const auto found = files.find(name); found != files.end()) return &*found;
  }
  return nullptr;
}

Overrides with_maintenance(const Config& config, Overrides overrides, const Maintenance& files) {
  if (files.empty()) return overrides;
  for (const ServiceConfig& service : config.services) {
    for (const BackendConfig& backend : service.backends) {
      if (backend.tier == kSorryTier) continue;  // a service in maintenance needs it most
      const BackendRef ref{service.name, backend.endpoint()};
      if (maintenance_of(files, ref) != nullptr) overrides[ref].disabled = true;
    }
  }
  return overrides;
}

}  // namespace xlvs
