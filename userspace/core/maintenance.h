// SPDX-License-Identifier: Apache-2.0
// Backends that are out of service because a file says so. Pure; agent/ reads the files.
#pragma once

#include <map>
#include <string>

#include "core/desired.h"

namespace xlvs {

// By the file's name: an address, an address and port, or a service; what the file says.
using Maintenance = std::map<std::string, std::string>;

// The entry that takes `backend` out, or nullptr.
[[nodiscard]] const Maintenance::value_type* maintenance_of(const Maintenance& files, const BackendRef& backend);

// `overrides`, and what the files ask for on top.
[[nodiscard]] Overrides with_maintenance(const Config& config, Overrides overrides, const Maintenance& files);

}  // namespace xlvs
