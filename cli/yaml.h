// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "control/json.h"

namespace xlvs::cli {

// The same document as block-style YAML, one "---" in front. A string that a YAML reader might take for a number, a
// boolean or null is quoted.
[[nodiscard]] std::string to_yaml(const control::Json& json);

}  // namespace xlvs::cli
