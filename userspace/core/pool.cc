// SPDX-License-Identifier: Apache-2.0
#include "core/pool.h"

#include <algorithm>
#include <map>

namespace xlvs {
namespace {

struct Tier {
  std::uint64_t weight = 0;
  std::uint64_t fit_weight = 0;

  [[nodiscard]] bool panics(unsigned percent) const { return fit_weight * 100 < weight * percent; }
};
using Tiers = std::map<unsigned, Tier>;

Tiers sum(std::span<const PoolMember> members) {
  Tiers tiers;
  for (const PoolMember& member : members) {
    Tier& tier = tiers[member.tier];
    if (member.out) continue;
    tier.weight += member.weight;
    if (member.fit) tier.fit_weight += member.weight;
    if (member.sorry_weight == 0) continue;
    tiers[kSorryTier].weight += member.sorry_weight;
    tiers[kSorryTier].fit_weight += member.sorry_weight;
  }
  return tiers;
}

template <typename Condition>
std::optional<unsigned> lowest(const Tiers& tiers, const Condition& condition) {
  for (const auto& [number, tier] : tiers)
    if (number != kSorryTier && condition(number, tier)) return number;
  return std::nullopt;
}

std::optional<unsigned> choose(const Tiers& tiers, const PoolRules& rules, bool quorum) {
  const unsigned first = tiers.begin()->first;
  const auto well = lowest(tiers, [&](unsigned number, const Tier& tier) {
    return tier.fit_weight > 0 && !tier.panics(rules.panic) && (number != first || quorum);
  });
  if (well) return well;
  const auto fit = lowest(tiers, [](unsigned, const Tier& tier) { return tier.fit_weight > 0; });
  const auto sorry = tiers.find(kSorryTier);
  if (sorry != tiers.end() && sorry->second.fit_weight > 0 && (!fit || !quorum)) return kSorryTier;
  if (fit || rules.panic == 0) return fit;
  return lowest(tiers, [](unsigned, const Tier& tier) { return tier.weight > 0; });
}

}  // namespace

PoolDecision decide_pool(std::span<const PoolMember> members, const PoolRules& rules, bool had_quorum) {
  PoolDecision decision;
  if (members.empty()) {
    decision.status.quorum = !rules.quorum;
    decision.status.withdrawn = rules.withdraw_vip;
    return decision;
  }
  const Tiers tiers = sum(members);
  const auto& [first, primary] = *tiers.begin();
  PoolStatus& status = decision.status;
  status.weight = primary.weight;
  status.fit_weight = primary.fit_weight;
  if (rules.quorum) status.quorum = primary.fit_weight >= (had_quorum ? rules.quorum->down : rules.quorum->up);
  status.tier = choose(tiers, rules, status.quorum);
  // With nobody in use, drained members of the first tier still keep the slots that hash schedulers gave them.
  decision.in_force = status.tier.value_or(first);
  const Tier& in_use = tiers.at(decision.in_force);
  status.panic = status.tier && in_use.panics(rules.panic);
  const bool well = status.tier && in_use.fit_weight > 0 && (status.quorum || decision.in_force != first);
  status.withdrawn = rules.withdraw_vip && !well;
  for (const PoolMember& member : members) {
    const bool sorry = decision.in_force == kSorryTier && member.sorry_weight > 0;
    const bool serves = member.tier == decision.in_force && (member.fit || status.panic);
    decision.used.push_back((serves || sorry) && !member.out);
  }
  return decision;
}

}  // namespace xlvs
