// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace xlvs::control {

// The process_* metrics that Prometheus client libraries agree on (CPU, memory, file descriptors), read from
// /proc/self. What can not be read is left out. process_start_time_seconds is in render_metrics().
[[nodiscard]] std::string render_process_metrics();

}  // namespace xlvs::control
