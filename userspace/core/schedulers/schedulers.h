// SPDX-License-Identifier: Apache-2.0
// The table builders, one file each; core/scheduler.cc lists them. Pure; see core/scheduler.h for what a table is.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/scheduler.h"

namespace xlvs::tables {

[[nodiscard]] Table build_rr(std::span<const Member> members, const TableOptions& options);
[[nodiscard]] Table build_wrr(std::span<const Member> members, const TableOptions& options);
[[nodiscard]] Table build_lc(std::span<const Member> members, const TableOptions& options);
[[nodiscard]] Table build_wlc(std::span<const Member> members, const TableOptions& options);
[[nodiscard]] Table build_sh(std::span<const Member> members, const TableOptions& options);
[[nodiscard]] Table build_dh(std::span<const Member> members, const TableOptions& options);
[[nodiscard]] Table build_mh(std::span<const Member> members, const TableOptions& options);

// The ids of members that may get new flows, in order.
[[nodiscard]] Table usable_ids(std::span<const Member> members);

// IPVS' 256 (its default IP_VS_SH_TAB_BITS), or the next power of two that gives every member a bucket.
[[nodiscard]] std::size_t hash_buckets(std::size_t members);

// Positive weights that sum to at most `limit` (which must be at least their number): divided by their greatest common
// divisor; if that is not enough, scaled down, each by less than one unit of the new scale and none below 1.
[[nodiscard]] std::vector<std::uint32_t> fit_weights(std::vector<std::uint32_t> weights, std::size_t limit);

}  // namespace xlvs::tables
