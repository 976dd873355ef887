// SPDX-License-Identifier: Apache-2.0
#include "core/schedulers/schedulers.h"

namespace xlvs::tables {

// Members in turn, whatever their weights; a drained member's buckets have no server.
Table build_dh(std::span<const Member> members, const TableOptions& /*options*/) {
  if (members.empty()) return {};
  Table table(hash_buckets(members.size()), 0);
  for (std::size_t i = 0; i < table.size(); ++i) {
    const Member& member = members[i % members.size()];
    if (member.weight > 0) table[i] = member.id;
  }
  return table;
}

}  // namespace xlvs::tables
