// SPDX-License-Identifier: Apache-2.0
#include "core/schedulers/schedulers.h"

namespace xlvs::tables {

Table build_rr(std::span<const Member> members, const TableOptions& /*options*/) {
  return usable_ids(members);
}

}  // namespace xlvs::tables
