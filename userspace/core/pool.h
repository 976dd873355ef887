// SPDX-License-Identifier: Apache-2.0
// Which backends of a service take new flows: tiers, panic and quorum. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/model.h"

namespace xlvs {

struct PoolMember {
  unsigned tier = 0;
  std::uint32_t weight = 1;  // what it counts; 0: drained, counts nothing and serves nobody
  bool fit = true;           // its health lets it serve
  bool out = false;          // the operator took it out: not used in a panic either
};

struct PoolDecision {
  std::vector<bool> used;        // of each member: it is a candidate for new flows
  std::optional<unsigned> tier;  // in force; nullopt: nobody takes new flows
  std::uint64_t weight = 0;      // of the first tier's members that are not out
  std::uint64_t fit_weight = 0;  // of those of them that are fit
};

[[nodiscard]] PoolDecision decide_pool(std::span<const PoolMember> members);

}  // namespace xlvs
