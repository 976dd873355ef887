// SPDX-License-Identifier: Apache-2.0
// The query string of GET /v1/flows. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "core/result.h"
#include "dataplane/dataplane.h"

namespace xlvs::agent {

struct FlowQuery {
  dataplane::FlowFilter filter;
  std::size_t limit = 1000;
};
inline constexpr std::size_t kMaxFlows = 100000;  // in one answer: some 20 MB of JSON

// Errors name the parameter, its value and what is allowed.
[[nodiscard]] Result<FlowQuery> parse_flow_query(const std::vector<std::pair<std::string, std::string>>& query);

// "10.0.0.11:8080", or "10.0.0.11" (port 0: any).
[[nodiscard]] Result<Endpoint> parse_endpoint_or_address(const std::string& text);

}  // namespace xlvs::agent
