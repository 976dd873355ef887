// SPDX-License-Identifier: Apache-2.0
#include "core/pool.h"

#include <algorithm>
#include <set>

namespace xlvs {
namespace {

struct Tier {
  std::uint64_t weight = 0;
  std::uint64_t fit_weight = 0;
};

Tier sum(std::span<const PoolMember> members, unsigned tier) {
  Tier result;
  for (const PoolMember& member : members) {
    if (member.tier != tier || member.out) continue;
    result.weight += member.weight;
    if (member.fit) result.fit_weight += member.weight;
  }
  return result;
}

}  // namespace

PoolDecision decide_pool(std::span<const PoolMember> members) {
  PoolDecision decision;
  std::set<unsigned> tiers;
  for (const PoolMember& member : members) tiers.insert(member.tier);
  if (tiers.empty()) return decision;
  const Tier first = sum(members, *tiers.begin());
  decision.weight = first.weight;
  decision.fit_weight = first.fit_weight;
  for (const unsigned tier : tiers) {
    if (sum(members, tier).fit_weight == 0) continue;
    decision.tier = tier;
    break;
  }
  // With nobody in force, drained members of the first tier still keep the slots that hash schedulers gave them.
  const unsigned in_force = decision.tier.value_or(*tiers.begin());
  for (const PoolMember& member : members)
    decision.used.push_back(member.tier == in_force && member.fit && !member.out);
  return decision;
}

}  // namespace xlvs
