// SPDX-License-Identifier: Apache-2.0
// Rebuilds the registry from the maps, after whatever end the previous lvsd had, and clears what it left half-done:
// names without service, backends that nobody owns, listeners without record. What packets rely on is never touched.
#pragma once

#include "dataplane/maps.h"
#include "dataplane/registry.h"

namespace xlvs::dataplane {

struct Adopted {
  Registry registry;
  Reals reals;                    // what the maps hold, right or wrong; apply() mends it
  std::set<IpAddress> addresses;  // those known as VIPs
};

// `sweep`: the first that will look at the whole flow table; quarantined ids rest until then.
[[nodiscard]] Adopted adopt(Maps& maps, std::uint64_t sweep);

}  // namespace xlvs::dataplane
