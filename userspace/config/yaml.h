// SPDX-License-Identifier: Apache-2.0
// Text to tree: the only user of yaml-cpp.
#pragma once

#include "config/config.h"
#include "config/diagnostics.h"
#include "config/node.h"

namespace xlvs::config {

inline constexpr std::size_t kMaxText = 16U << 20;  // bytes of all sources together
inline constexpr std::size_t kMaxValues = 1'000'000;
inline constexpr std::size_t kMaxDepth = 32;

// The document in `source`, whose number is `index`. What is wrong goes to `diagnostics`; the result then holds what
// could be read, with broken nodes where errors were. An empty document is a null node.
[[nodiscard]] Node read_yaml(const Source& source, std::size_t index, Diagnostics& diagnostics);

}  // namespace xlvs::config
