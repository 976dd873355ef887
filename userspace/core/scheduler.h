// SPDX-License-Identifier: Apache-2.0
// Schedulers, with IPVS' rules (net/netfilter/ipvs/ip_vs_*.c). A scheduler is a table that user space builds and a rule
// by which the XDP program picks from it; several schedulers share a rule. Adding one: a file core/schedulers/NAME.cc,
// a row in core/scheduler.cc, a test, a line in docs/config.md (and a pick rule in bpf/ if none of the present ones
// fits).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/model.h"

namespace xlvs {

// How the XDP program picks; dataplane/ translates it to enum lvs_pick.
enum class PickRule : std::uint8_t { cursor, source_hash, dest_hash, least_connection, weighted_least_connection };

// A candidate: backends that are up, in the operator's order. `id` is what goes into the table (never 0).
struct Member {
  std::uint32_t id = 0;
  Endpoint endpoint;         // what mh permutes by, so that routers with other ids build the same table
  std::uint32_t weight = 1;  // 0: drained
  // mh: the weight that a drained member had (IPVS' last_weight), by which it keeps its slots; 0: it has none.
  std::uint32_t weight_before_drain = 0;
};

struct TableOptions {
  bool fallback = false;  // sh, mh: slots of a drained member go to another; without it they hold 0 (no server)
  std::uint32_t seed = 0;
  // mh: how many backends are configured, failed ones included. The table's size follows this number, so that a failed
  // check does not change the size (which would move nearly every client). 0: the number of members.
  std::size_t pool = 0;
};

// Entries are Member::id, or 0 where a hash scheduler has no server for that slot. Empty: no new flows.
using Table = std::vector<std::uint32_t>;

struct SchedulerInfo {
  Scheduler scheduler;
  std::string_view name;     // as ipvsadm -s
  std::string_view summary;  // one line
  PickRule pick;
  Table (*build)(std::span<const Member> members, const TableOptions& options);
};

[[nodiscard]] std::span<const SchedulerInfo> schedulers();
[[nodiscard]] const SchedulerInfo& scheduler_info(Scheduler scheduler);

// The largest table that a scheduler builds, in entries (mh with thousands of backends).
inline constexpr std::size_t kMaxTableEntries = 1U << 20;

// The most backends that lc and wlc can compare for one new flow.
inline constexpr std::size_t kMaxCandidates = 4096;

}  // namespace xlvs
