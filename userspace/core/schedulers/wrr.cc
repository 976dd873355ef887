// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <numeric>

#include "core/schedulers/schedulers.h"

namespace xlvs::tables {

// One cycle of IPVS' rule: a threshold falls from the greatest weight to the smallest step; at each step, every server
// whose weight reaches the threshold gets one flow. That spreads a heavy server's turns over the cycle.
Table build_wrr(std::span<const Member> members, const TableOptions& /*options*/) {
  const Table ids = usable_ids(members);
  std::vector<std::uint32_t> weights;
  for (const Member& member : members)
    if (member.weight > 0) weights.push_back(member.weight);
  weights = fit_weights(std::move(weights), kMaxTableEntries);

  std::vector<std::uint32_t> by_weight(ids.size());
  std::iota(by_weight.begin(), by_weight.end(), 0U);
  std::stable_sort(by_weight.begin(), by_weight.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return weights[a] > weights[b]; });

  // Keeping those that reach the threshold, instead of asking all at each step, makes the work proportional to the
  // table: with one weight of 65,535 among 10,000 of 1, that is 75 thousand steps and not 655 million.
  Table table;
  table.reserve(std::accumulate(weights.begin(), weights.end(), std::size_t{0}));
  std::vector<std::uint32_t> reaching;
  auto next = by_weight.begin();
  for (std::uint32_t threshold = ids.empty() ? 0 : weights[by_weight.front()]; threshold > 0; --threshold) {
    const auto before = std::ssize(reaching);
    for (; next != by_weight.end() && weights[*next] >= threshold; ++next) reaching.push_back(*next);
    std::inplace_merge(reaching.begin(), reaching.begin() + before, reaching.end());
    for (const std::uint32_t index : reaching) table.push_back(ids[index]);
  }
  return table;
}

}  // namespace xlvs::tables
