// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "core/schedulers/schedulers.h"

namespace xlvs::tables {
namespace {

// How many buckets in a row each member gets: its weight, and 1 if it is drained, so that it has clients to give away.
// IPVS leaves servers without any bucket once the weights sum to more than the table; here they are scaled to fit.
std::vector<std::uint32_t> runs(std::span<const Member> members, std::size_t buckets) {
  std::vector<std::uint32_t> result;
  result.reserve(members.size());
  std::uint64_t total = 0;
  for (const Member& member : members) {
    result.push_back(std::max(1U, member.weight));
    total += result.back();
  }
  return total > buckets ? fit_weights(std::move(result), buckets) : result;
}

// IPVS' detour from bucket `from` whose server takes no new flow: double the bucket's number, then on to the next.
std::uint32_t detour(std::span<const Member> members, std::span<const std::uint32_t> owners, std::size_t from) {
  for (std::size_t step = 0; step < owners.size(); ++step) {
    const Member& candidate = members[owners[(2 * from + step) % owners.size()]];
    if (candidate.weight > 0) return candidate.id;
  }
  return 0;
}

}  // namespace

Table build_sh(std::span<const Member> members, const TableOptions& options) {
  if (members.empty()) return {};
  const std::size_t buckets = hash_buckets(members.size());
  const std::vector<std::uint32_t> run = runs(members, buckets);

  std::vector<std::uint32_t> owners;  // index into members, by bucket
  owners.reserve(buckets);
  for (std::uint32_t index = 0; owners.size() < buckets; index = (index + 1) % static_cast<std::uint32_t>(run.size()))
    owners.insert(owners.end(), std::min<std::size_t>(run[index], buckets - owners.size()), index);

  Table table(buckets, 0);
  for (std::size_t i = 0; i < buckets; ++i) {
    const Member& owner = members[owners[i]];
    if (owner.weight > 0)
      table[i] = owner.id;
    else if (options.fallback)
      table[i] = detour(members, owners, i);
  }
  return table;
}

}  // namespace xlvs::tables
