// SPDX-License-Identifier: Apache-2.0
// The line that an agent on a server answers with, in the words of HAProxy's agent-check. Private to health/.
#pragma once

#include <string_view>

#include "health/health.h"

namespace xlvs::health {

inline constexpr std::size_t kMaxAgentLine = 1024;

// Words, separated by blanks or commas, until a '#':
//   75%                          passes; the share of the configured weight that the server can bear, up to 10000%
//   up, ready                    passes
//   drain, maint                 passes with weight 0: no new flows
//   down, fail, failed, stopped  fails, whatever the other words are
//   maxconn:N                    of no meaning here
// A line without any of them, or with another word, is not an agent's: reason "protocol".
[[nodiscard]] ProbeResult read_agent_reply(std::string_view line);

}  // namespace xlvs::health
