// SPDX-License-Identifier: Apache-2.0
// Which of a router's configuration files the pair has in common, and what becomes of its files when the other router
// pushes its own. Only whole files go: each is either the router's own (interfaces, `ha`, ...) or the pair's. Pure, but
// for one look at a path; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/config.h"
#include "core/result.h"
#include "ha/config_message.h"

namespace xlvs::agent {

// A file's new text; nullopt: it goes.
struct FileChange {
  std::string path;
  std::optional<std::string> text;
  std::uint16_t mode = 0;  // of the file that was pushed; 0: not known
};

struct PushPlan {
  std::vector<FileChange> changes;      // in the order of their paths; empty: the files are the same
  std::vector<config::Source> sources;  // what lvsd would read then
};

// Where the file that is pushed as `name` is, beside the main file `main`.
[[nodiscard]] std::string path_of(const std::string& main, const std::string& name);

// The pair's files among `sources`, with their modes, which are what `path` and its conf.d/ hold. invalid: `path` is
// not a file, one file has keys of both kinds, or none is the pair's.
[[nodiscard]] Result<std::vector<ha::ConfigFile>> files_to_push(const std::string& path,
                                                                const std::vector<config::Source>& sources);

// `pushed` takes the place of the pair's files among `sources`; the router's own stay. invalid, with the reason: a file
// here has keys of both kinds, or a pushed one would replace one of the router's own.
[[nodiscard]] Result<PushPlan> plan_push(const std::string& path, const std::vector<config::Source>& sources,
                                         const std::vector<ha::ConfigFile>& pushed);

}  // namespace xlvs::agent
