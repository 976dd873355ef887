// SPDX-License-Identifier: Apache-2.0
#include "health/suspicion.h"

namespace xlvs::health {

bool Suspicion::arises(const std::map<std::string, Count>& services) {
  Count all;
  std::size_t struck = 0;
  for (const auto& [service, count] : services) {
    all.fit += count.fit;
    all.failing += count.failing;
    if (count.fit > 0 && count.most()) ++struck;
  }
  return struck >= kServices && all.failing >= kBackends && all.most();
}

}  // namespace xlvs::health
