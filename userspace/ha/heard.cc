// SPDX-License-Identifier: Apache-2.0
#include "ha/heard.h"

#include <algorithm>
#include <iterator>

namespace xlvs::ha {

std::optional<Oddities::Addresses> compare_addresses(const std::vector<IpAddress>& own,
                                                     const std::vector<IpAddress>& advertised) {
  if (own.empty()) return std::nullopt;
  std::vector<IpAddress> ours = own;
  std::vector<IpAddress> theirs = advertised;
  std::sort(ours.begin(), ours.end());
  std::sort(theirs.begin(), theirs.end());
  theirs.erase(std::unique(theirs.begin(), theirs.end()), theirs.end());
  Oddities::Addresses found;
  std::set_difference(ours.begin(), ours.end(), theirs.begin(), theirs.end(), std::back_inserter(found.missing));
  std::set_difference(theirs.begin(), theirs.end(), ours.begin(), ours.end(), std::back_inserter(found.unknown));
  if (found.missing.empty() && found.unknown.empty()) return std::nullopt;
  found.foreign = found.missing.size() == ours.size();
  return found;
}

}  // namespace xlvs::ha
