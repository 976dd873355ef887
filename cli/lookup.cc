// SPDX-License-Identifier: Apache-2.0
#include "cli/lookup.h"

#include <set>

namespace xlvs::cli {
namespace {

std::vector<control::ServiceReport> services(const control::Client& client) {
  const auto answer = client.get("/v1/services");
  if (!answer) return {};
  return control::decode<std::vector<control::ServiceReport>>(*answer).value_or(std::vector<control::ServiceReport>());
}

}  // namespace

std::vector<std::string> service_names(const control::Client& client) {
  std::vector<std::string> names;
  for (const auto& service : services(client)) names.push_back(service.name);
  return names;
}

std::vector<std::string> backend_addresses(const control::Client& client, const std::string& service) {
  std::set<std::string> addresses;
  for (const auto& candidate : services(client)) {
    if (!service.empty() && candidate.name != service) continue;
    for (const auto& backend : candidate.backends) addresses.insert(backend.address);
  }
  return {addresses.begin(), addresses.end()};
}

}  // namespace xlvs::cli
