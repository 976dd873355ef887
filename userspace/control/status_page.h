// SPDX-License-Identifier: Apache-2.0
// The page at /: one HTML document without outside assets that fetches /v1/status every two seconds.
#pragma once

#include <string>

namespace xlvs::control {

[[nodiscard]] const std::string& status_page();
// Its Content-Security-Policy: only its own script and style run (by hash), and it may talk to nobody but lvsd.
[[nodiscard]] const std::string& status_page_policy();

}  // namespace xlvs::control
