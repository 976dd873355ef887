// SPDX-License-Identifier: Apache-2.0
// Map sizes that follow from the configured limits. Pure.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/model.h"

namespace xlvs::dataplane {

struct MapSize {
  std::string_view map;    // as in bpf/maps.h
  std::string_view limit;  // the key of `limits` in the configuration that decides it
  std::uint32_t entries;
};

// Every map whose size is configurable. Ids start at 1, so arrays have one entry more than ids.
[[nodiscard]] std::vector<MapSize> map_sizes(const LimitConfig& limits);

}  // namespace xlvs::dataplane
