// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "core/model.h"

namespace xlvs::config {

// SHA-256 in hex of what `config` means: the order of services, listeners and interfaces does not count, nor how
// values were written; the order of backends does (round robin follows it).
[[nodiscard]] std::string meaning_hash(const Config& config);

}  // namespace xlvs::config
