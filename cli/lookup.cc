// SPDX-License-Identifier: Apache-2.0
#include "cli/lookup.h"

#include <algorithm>
#include <set>

namespace xlvs::cli {
namespace {

std::vector<control::ServiceReport> services(const control::Client& client) {
  const auto answer = client.get("/v1/services");
  if (!answer) return {};
  return control::decode<std::vector<control::ServiceReport>>(*answer).value_or(std::vector<control::ServiceReport>());
}

// "10.0.0.1:80" and "[2001:db8::1]:80" have one, "10.0.0.1" and "2001:db8::1" have none.
bool has_port(std::string_view address) {
  return address.starts_with("[") || std::count(address.begin(), address.end(), ':') == 1;
}

}  // namespace

std::string without_port(const std::string& endpoint) {
  const std::string address = endpoint.substr(0, endpoint.rfind(':'));
  return address.starts_with("[") ? address.substr(1, address.size() - 2) : address;
}

std::vector<std::string> service_names(const control::Client& client) {
  std::vector<std::string> names;
  for (const auto& service : services(client)) names.push_back(service.name);
  return names;
}

std::vector<std::string> backend_addresses(const control::Client& client, const std::string& service,
                                           std::string_view like) {
  const bool port = has_port(like);
  std::set<std::string> addresses;
  for (const auto& candidate : services(client)) {
    if (!service.empty() && candidate.name != service) continue;
    for (const auto& backend : candidate.backends) {
      addresses.insert(port ? backend.address : without_port(backend.address));
    }
  }
  return {addresses.begin(), addresses.end()};
}

}  // namespace xlvs::cli
