// SPDX-License-Identifier: Apache-2.0
// Which backends of a service take new flows: tiers, quorum, panic, the server that says sorry. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/desired.h"
#include "core/model.h"

namespace xlvs {

struct PoolMember {
  unsigned tier = 0;
  std::uint32_t weight = 1;  // what it counts; 0: drained, counts nothing and serves nobody
  bool fit = true;           // its health lets it serve
  bool out = false;          // the operator took it out: not used in a panic either
  // It says sorry, too: not 0. What it weighs then, fit or not.
  std::uint32_t sorry_weight = 0;
};

struct PoolDecision {
  std::vector<bool> used;  // of each member: it is a candidate for new flows
  unsigned in_force = 0;   // the tier that tables are made of, also when none of it serves
  PoolStatus status;
};

// The lowest tier with a fit member is used, if so much of it is fit that there is no panic and, the first tier, if it
// has quorum. If no tier is so well: without quorum, or without a fit member anywhere, the sorry server; else the
// lowest tier with a fit member, all of it in a panic; else, in a panic, the lowest tier.
[[nodiscard]] PoolDecision decide_pool(std::span<const PoolMember> members, const PoolRules& rules, bool had_quorum);

}  // namespace xlvs
