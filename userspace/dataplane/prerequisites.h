// SPDX-License-Identifier: Apache-2.0
// What the kernel and our privileges must offer before anything is loaded.
#pragma once

#include "core/result.h"

namespace xlvs::dataplane {

// Permission (names the missing capabilities) or unsupported (says what the kernel lacks).
[[nodiscard]] Result<void> check_prerequisites();

}  // namespace xlvs::dataplane
