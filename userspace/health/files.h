// SPDX-License-Identifier: Apache-2.0
// Descriptors: each check under way has one or two.
#pragma once

#include "core/result.h"

namespace xlvs::health {

// Raises this process' limit of open files to what the system allows it, and says how many that are.
Result<std::uint64_t> raise_file_limit();

}  // namespace xlvs::health
