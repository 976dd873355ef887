// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <bit>
#include <numeric>

#include "core/schedulers/schedulers.h"

namespace xlvs::tables {
namespace {

std::uint64_t sum(const std::vector<std::uint32_t>& weights) {
  return std::accumulate(weights.begin(), weights.end(), std::uint64_t{0});
}

}  // namespace

Table usable_ids(std::span<const Member> members) {
  Table table;
  table.reserve(members.size());
  for (const Member& member : members)
    if (member.weight > 0) table.push_back(member.id);
  return table;
}

std::size_t hash_buckets(std::size_t members) {
  return std::clamp<std::size_t>(std::bit_ceil(members), 256, kMaxTableEntries);
}

std::vector<std::uint32_t> fit_weights(std::vector<std::uint32_t> weights, std::size_t limit) {
  if (weights.empty()) return weights;
  std::uint32_t divisor = 0;
  for (const std::uint32_t weight : weights) divisor = std::gcd(divisor, weight);
  for (std::uint32_t& weight : weights) weight /= divisor;
  const std::uint64_t total = sum(weights);
  if (total <= limit) return weights;
  // Rounding down keeps the sum within the budget; what is lifted to 1 is at most one each, which is set aside here.
  const std::uint64_t budget = limit - std::min<std::size_t>(limit, weights.size());
  for (std::uint32_t& weight : weights) weight = std::max(1U, static_cast<std::uint32_t>(weight * budget / total));
  return weights;
}

}  // namespace xlvs::tables
