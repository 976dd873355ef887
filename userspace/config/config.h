// SPDX-License-Identifier: Apache-2.0
// YAML to model. Strict: an unknown or repeated key, a wrong type, a value out of range or a contradiction is an error
// with file:line:column; all errors of all files are reported together. Pure but for reading the files; any thread.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/model.h"
#include "core/result.h"

namespace xlvs::config {

struct Source {
  std::string name;  // shown in messages: the file's path
  std::string text;
};

struct Diagnostic {
  std::string file;
  int line = 0;  // from 1; 0: the whole file
  int column = 0;
  std::string message;
  // "lvs.yaml:12:5: message"
  [[nodiscard]] std::string to_string() const;
};

struct Loaded {
  Config config;
  std::string hash;         // SHA-256 in hex of what the configuration means, the same on routers that mean the same
  std::string shared_hash;  // the same, without what differs between the routers of a pair: see config/hash.h
};

// Parses and validates the sources together, as one configuration: services add up, a scalar key may be given once.
// Limits: 16 MiB of text, a million values, nesting depth 32; aliases (anchors) are refused. After a thousand errors it
// stops.
using ParseResult = tl::expected<Loaded, std::vector<Diagnostic>>;
[[nodiscard]] ParseResult parse(std::span<const Source> sources);

// `path` and then, if it is a file whose directory has a conf.d/, conf.d/*.yaml in byte order of their names.
[[nodiscard]] Result<std::vector<Source>> read_sources(const std::string& path);

// What changes from `before` to `after`, one line each, in operators' words: "service web: backend 10.0.0.13:8080
// added".
[[nodiscard]] std::vector<std::string> describe_changes(const Config& before, const Config& after);

}  // namespace xlvs::config
