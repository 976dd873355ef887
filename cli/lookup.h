// SPDX-License-Identifier: Apache-2.0
// What exists, for telling an operator what a mistyped name may have meant. Empty when lvsd does not answer.
#pragma once

#include <string>
#include <vector>

#include "control/client.h"

namespace xlvs::cli {

[[nodiscard]] std::vector<std::string> service_names(const control::Client& client);
// Each address once, of one service or (empty) of all.
[[nodiscard]] std::vector<std::string> backend_addresses(const control::Client& client, const std::string& service);

}  // namespace xlvs::cli
