// SPDX-License-Identifier: Apache-2.0
// From the files on disk to a configuration that may be applied.
#pragma once

#include <string>

#include "config/config.h"
#include "core/result.h"

namespace xlvs::agent {

// Reads and validates. The error's message has one line per diagnostic.
[[nodiscard]] Result<config::Loaded> load_configuration(const std::string& path);

// What a running lvsd can not change; invalid, naming each key and the remedy.
[[nodiscard]] Result<void> check_reloadable(const Config& running, const Config& next);

// The key file of the peer link, as far as it can be seen from here: not by a user who may not read it, and not a
// credential, which only the unit has.
[[nodiscard]] Result<void> check_peer_key(const Config& config);

[[nodiscard]] std::string first_line(const std::string& text);

}  // namespace xlvs::agent
