// SPDX-License-Identifier: Apache-2.0
#include "core/schedulers/schedulers.h"

namespace xlvs::tables {

// Only the candidates: their loads change with every flow, so the XDP program compares them itself.
Table build_lc(std::span<const Member> members, const TableOptions& /*options*/) {
  return usable_ids(members);
}

}  // namespace xlvs::tables
