// SPDX-License-Identifier: Apache-2.0
// What of RFC 3986 the control protocol needs: percent-encoding and the two halves of a request target. Pure.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"

namespace xlvs::control {

using Query = std::vector<std::pair<std::string, std::string>>;

struct Target {
  std::vector<std::string> segments;  // decoded: "/v1/services/a%2Fb" -> {"v1", "services", "a/b"}; "/" -> {}
  Query query;                        // decoded, in order; "x" without "=" has the value ""
};

// Everything but unreserved characters is encoded.
[[nodiscard]] std::string percent_encode(std::string_view text);
// "+" stays a plus. Error: a % without two hex digits, or a NUL, encoded or not.
[[nodiscard]] Result<std::string> percent_decode(std::string_view text);
// Origin form only ("/path?query"); no dot segments, no empty ones.
[[nodiscard]] Result<Target> parse_target(std::string_view target);

}  // namespace xlvs::control
