// SPDX-License-Identifier: Apache-2.0
#include "agent/backend_match.h"

#include <algorithm>
#include <set>
#include <string>

#include <fmt/ranges.h>

#include "agent/flow_query.h"

namespace xlvs::agent {
namespace {

constexpr std::size_t kMaxNamed = 20;  // in an error message

std::string list(const std::vector<std::string>& names) {
  if (names.empty()) return "none";
  const auto end = names.begin() + static_cast<std::ptrdiff_t>(std::min(names.size(), kMaxNamed));
  return fmt::format("{}{}", fmt::join(names.begin(), end, ", "), names.size() > kMaxNamed ? ", ..." : "");
}

tl::unexpected<Error> no_such_backend(const Config& config, const control::BackendChange& change) {
  std::vector<std::string> names;
  for (const ServiceConfig& service : config.services) {
    if (change.service && service.name != *change.service) continue;
    for (const BackendConfig& backend : service.backends) names.push_back(backend.endpoint().to_string());
  }
  if (change.service) {
    return fail(ErrorKind::not_found, "service {} has no backend {}; it has {}", *change.service, change.address,
                list(names));
  }
  return fail(ErrorKind::not_found, "no service has a backend {}; see `lvsctl backend list`", change.address);
}

}  // namespace

Result<std::vector<BackendRef>> match_backends(const Config& config, const Overrides& overrides,
                                               const control::BackendChange& change) {
  const auto wanted = parse_endpoint_or_address(change.address);
  if (!wanted) return tl::make_unexpected(wanted.error());
  const auto named = [&](const BackendRef& ref) {
    return (!change.service || *change.service == ref.service) && ref.endpoint.address == wanted->address &&
           (wanted->port == 0 || wanted->port == ref.endpoint.port);
  };
  std::vector<BackendRef> found;
  std::vector<std::string> services;
  for (const ServiceConfig& service : config.services) {
    services.push_back(service.name);
    for (const BackendConfig& backend : service.backends) {
      if (BackendRef ref{service.name, backend.endpoint()}; named(ref)) found.push_back(std::move(ref));
    }
  }
  for (const auto& [ref, override_] : overrides) {
    if (named(ref) && std::find(found.begin(), found.end(), ref) == found.end()) found.push_back(ref);
  }
  if (!found.empty()) return found;
  if (change.service && std::find(services.begin(), services.end(), *change.service) == services.end()) {
    return fail(ErrorKind::not_found, "no service '{}'; there is {}", *change.service, list(services));
  }
  return no_such_backend(config, change);
}

}  // namespace xlvs::agent
