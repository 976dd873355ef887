// SPDX-License-Identifier: Apache-2.0
// What exists, for telling an operator what a mistyped name may have meant. Empty when lvsd does not answer.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "control/client.h"

namespace xlvs::cli {

[[nodiscard]] std::vector<std::string> service_names(const control::Client& client);
// Each once, of one service or (empty) of all, as `like` is written: "10.0.0.11:8080", or "10.0.0.11" without a port.
[[nodiscard]] std::vector<std::string> backend_addresses(const control::Client& client, const std::string& service,
                                                         std::string_view like);

// "10.0.0.11" of "10.0.0.11:8080", "2001:db8::1" of "[2001:db8::1]:80".
[[nodiscard]] std::string without_port(const std::string& endpoint);

}  // namespace xlvs::cli
