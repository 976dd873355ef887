// SPDX-License-Identifier: Apache-2.0
// The one thing about a backend that an operator sees first, in a word and in words. Pure.
#pragma once

#include <string>

#include "control/api.h"
#include "health/health.h"

namespace xlvs::agent {

struct Standing {
  std::string word;  // as BackendReport::state
  std::string why;
};

// `report` has all but state and why; `used`: it is in the scheduler's table, or would be with a weight.
[[nodiscard]] Standing standing_of(const control::BackendReport& report, bool used, const health::Health* health);

}  // namespace xlvs::agent
