// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "agent/config_store.h"
#include "ha/config_message.h"

namespace xlvs::agent {

class Agent;

// Where an instance keeps what its files held before the last push.
[[nodiscard]] std::string push_folder(const std::string& instance_state_dir);

// Files that the other router of the pair has pushed: checked as a reload would, written, loaded. Unless the outcome is
// `applied` nothing has changed, on disk either. Thread rule: the event loop's thread.
[[nodiscard]] ha::ConfigVerdict take_pushed(Agent& agent, const std::vector<ha::ConfigFile>& files, bool dry_run);

// That a push was begun and is neither in force nor undone; empty: no.
[[nodiscard]] std::vector<std::string> unfinished_push(const std::string& instance_state_dir);

// What keeps a router that accepts configurations from writing them; empty: nothing.
[[nodiscard]] std::vector<std::string> push_warnings(const std::string& config_path);

}  // namespace xlvs::agent
