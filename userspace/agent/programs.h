// SPDX-License-Identifier: Apache-2.0
// The programs that a configuration names, against this host.
#pragma once

#include <string>
#include <vector>

#include "core/model.h"
#include "core/result.h"

namespace xlvs::agent {

// That each exists and may be executed by its user, who is not root, unless `root_programs` allows it and only root may
// change the program; otherwise invalid, one line for each mistake.
[[nodiscard]] Result<void> check_programs(const Config& config);

// What works but is hardly meant: a program such as killall that runs as a user who may not signal what it looks for.
[[nodiscard]] std::vector<std::string> program_warnings(const Config& config);

// Whether the configuration runs any program.
[[nodiscard]] bool has_programs(const Config& config);

}  // namespace xlvs::agent
