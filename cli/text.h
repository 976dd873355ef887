// SPDX-License-Identifier: Apache-2.0
// Text for people. Pure.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace xlvs::cli {

// The two largest units: "3m12s", "45s", "2h5m", "12d4h"; negative is "0s".
[[nodiscard]] std::string humanise(double seconds);
// "2.3ms", "1.20s", "350us"
[[nodiscard]] std::string humanise_latency(double seconds);
// "1s", "500ms", "1.5s", "2m"; 10 ms to 1 d.
[[nodiscard]] Result<std::chrono::milliseconds> parse_duration(const std::string& text);

// Control characters become "\x1b": what a checked server answered must not steer the operator's terminal. Line ends
// stay when `keep_lines`.
[[nodiscard]] std::string printable(std::string_view text, bool keep_lines = true);

// The candidates that the operator may have meant: a few, closest first.
[[nodiscard]] std::vector<std::string> closest(std::string_view wanted, std::vector<std::string> candidates);
// "; did you mean a, b?", or nothing.
[[nodiscard]] std::string did_you_mean(std::string_view wanted, const std::vector<std::string>& candidates);

[[nodiscard]] std::string plural(std::size_t count, std::string_view noun);  // "1 flow", "2 flows"

}  // namespace xlvs::cli
