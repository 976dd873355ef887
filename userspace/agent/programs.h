// SPDX-License-Identifier: Apache-2.0
// The programs that a configuration names, against this host.
#pragma once

#include "core/model.h"
#include "core/result.h"

namespace xlvs::agent {

// That each exists and may be executed by its user, who is not root; otherwise invalid, one line for each mistake.
[[nodiscard]] Result<void> check_programs(const Config& config);

}  // namespace xlvs::agent
