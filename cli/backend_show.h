// SPDX-License-Identifier: Apache-2.0
// `lvsctl backend show`: everything about one real server.
#pragma once

#include "cli/command.h"

namespace xlvs::cli {

void add_backend_show(CLI::App& command, Action& action);

}  // namespace xlvs::cli
