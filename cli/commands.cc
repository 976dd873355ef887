// SPDX-License-Identifier: Apache-2.0
#include "cli/command.h"

namespace xlvs::cli {

std::span<const Command> commands() {
  static constexpr Command kCommands[] = {
      {"status", "Everything at a glance: warnings, interfaces, services, backends, drops", add_status},
      {"service", "List virtual services, or show one", add_service},
      {"backend", "List real servers, show one; drain, disable, enable, force or re-weight it", add_backend},
      {"flow", "List tracked connections", add_flow},
      {"stats", "Traffic counters, or rates from two samples", add_stats},
      {"config", "Check, compare or apply the configuration", add_config},
      {"ha", "The role among several routers; hand over, take back", add_ha},
      {"version", "Versions of lvsctl and of the running lvsd", add_version},
  };
  return kCommands;
}

}  // namespace xlvs::cli
