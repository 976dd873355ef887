// SPDX-License-Identifier: Apache-2.0
// Pieces of tables that several commands show alike. Pure.
#pragma once

#include <string>
#include <vector>

#include "cli/table.h"
#include "control/api.h"

namespace xlvs::cli {

// "up for 3m12s" without the words; empty when it never changed.
[[nodiscard]] std::string since(const control::HealthReport& health, double now);
// "ok 2.3ms", "timeout: no answer within 1 s"; empty when never checked.
[[nodiscard]] std::string last_check(const control::HealthReport& health);
// Reasons that have counted something, as a table under a title; empty when there are none.
[[nodiscard]] std::string reasons_table(const std::vector<control::ReasonReport>& reasons, bool colour);
// Sums of a service's backends.
struct FlowSums {
  std::uint64_t active = 0, inactive = 0, up = 0;
};
[[nodiscard]] FlowSums sum(const control::ServiceReport& service);

}  // namespace xlvs::cli
