// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "core/model.h"

namespace xlvs {

// For people: "200-299, 304".
[[nodiscard]] std::string to_string(const std::vector<StatusRange>& ranges);

}  // namespace xlvs
