// SPDX-License-Identifier: Apache-2.0
// Which backends a BackendChange names. Pure.
#pragma once

#include <vector>

#include "control/api.h"
#include "core/desired.h"

namespace xlvs::agent {

// The backends of the configuration, and those that only have an override (so that it can be cleared). Errors: invalid
// (address), not_found (naming what there is).
[[nodiscard]] Result<std::vector<BackendRef>> match_backends(const Config& config, const Overrides& overrides,
                                                             const control::BackendChange& change);

}  // namespace xlvs::agent
