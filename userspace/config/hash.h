// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "core/model.h"

namespace xlvs::config {

// SHA-256 in hex of what `config` means: the order of services, listeners and interfaces does not count, nor how
// values were written; the order of backends does (round robin follows it).
[[nodiscard]] std::string meaning_hash(const Config& config);

// The same of what the two routers of a pair must have in common: without `interfaces`, `vip_interface` and `limits`,
// the interface, priority and peers of instances, what they track, `local`, `address`, `key_file` and `accept_config`
// of the peer, and what clients do not notice (`metrics`, `log_level`, `hooks`, `maintenance_dir`, `max_programs`,
// `check_mark`, `socket_group`). Of these keys, ownership() calls the top-level ones and `ha` a router's own.
[[nodiscard]] std::string shared_hash(Config config);

}  // namespace xlvs::config
