// SPDX-License-Identifier: Apache-2.0
// A configuration as names and texts: what its hash covers and in what words its changes are told.
#pragma once

#include <string>
#include <vector>

#include "core/model.h"

namespace xlvs::config {

struct Field {
  std::string name;
  std::string value;
  bool secret = false;  // the value is for hashes only, not for people, logs and the peer
};
using Fields = std::vector<Field>;

// Every key but interfaces and services, named as in docs/config.md: {"timeouts.udp", "5m"}. Always the same names, and
// those of `ha` if it is there.
[[nodiscard]] Fields global_fields(const Config& config);
// Every key of a service but its name and backends. Listeners are sorted: their order means nothing.
[[nodiscard]] Fields service_fields(const ServiceConfig& service);
[[nodiscard]] Fields backend_fields(const BackendConfig& backend);

}  // namespace xlvs::config
