// SPDX-License-Identifier: Apache-2.0
// The maintenance directory: a file named as a backend's address, address and port, or as a service takes it out.
#pragma once

#include <string>

#include "core/maintenance.h"

namespace xlvs::agent {

// Each file's name, addresses in their usual form, and its first line. A directory that is empty, not there, or ""
// holds nobody; hidden files and editors' backups (NAME~) do not count. At most kMaxMaintenanceFiles.
[[nodiscard]] Maintenance read_maintenance_dir(const std::string& directory);

inline constexpr std::size_t kMaxMaintenanceFiles = 65536;

}  // namespace xlvs::agent
