// SPDX-License-Identifier: Apache-2.0
#include "core/schedulers/schedulers.h"

namespace xlvs::tables {

// As lc; the weights lie beside the loads, where the XDP program compares.
Table build_wlc(std::span<const Member> members, const TableOptions& /*options*/) {
  return usable_ids(members);
}

}  // namespace xlvs::tables
