// SPDX-License-Identifier: Apache-2.0
#include "core/scheduler.h"

#include <array>
#include <cstdlib>

#include "core/schedulers/schedulers.h"

namespace xlvs {
namespace {

constexpr std::array<SchedulerInfo, 7> kSchedulers{{
    {Scheduler::rr, "rr", "servers in turn", PickRule::cursor, tables::build_rr},
    {Scheduler::wrr, "wrr", "servers in turn, by weight", PickRule::cursor, tables::build_wrr},
    {Scheduler::lc, "lc", "the server with the fewest connections", PickRule::least_connection, tables::build_lc},
    {Scheduler::wlc, "wlc", "the server with the fewest connections for its weight",
     PickRule::weighted_least_connection, tables::build_wlc},
    {Scheduler::sh, "sh", "by hash of the client's address", PickRule::source_hash, tables::build_sh},
    {Scheduler::dh, "dh", "by hash of the destination address", PickRule::dest_hash, tables::build_dh},
    {Scheduler::mh, "mh", "by Maglev hash of the client's address: a change of servers moves few clients",
     PickRule::source_hash, tables::build_mh},
}};

}  // namespace

std::span<const SchedulerInfo> schedulers() {
  return kSchedulers;
}

const SchedulerInfo& scheduler_info(Scheduler scheduler) {
  for (const SchedulerInfo& info : kSchedulers)
    if (info.scheduler == scheduler) return info;
  std::abort();
}

}  // namespace xlvs
