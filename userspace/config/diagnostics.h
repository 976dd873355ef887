// SPDX-License-Identifier: Apache-2.0
// Collects what is wrong with a configuration, so that all of it is said at once.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "config/config.h"
#include "config/node.h"

namespace xlvs::config {

// Thrown by error() at the one that is too many; parse() stops then. No std::exception: it is nobody else's to catch.
struct TooManyErrors {};

class Diagnostics {
 public:
  explicit Diagnostics(std::span<const Source> sources) : sources_(sources) {}

  template <typename... Args>
  void error(const Position& where, fmt::format_string<Args...> format, Args&&... args) {
    add(where, fmt::format(format, std::forward<Args>(args)...));
  }
  [[nodiscard]] bool empty() const { return found_.empty(); }
  // "lvs.yaml:12:5", for messages that refer to another place.
  [[nodiscard]] std::string place(const Position& where) const;
  // In the order of sources, lines and columns; after kMaxReported no more are looked for.
  [[nodiscard]] std::vector<Diagnostic> take();

  static constexpr std::size_t kMaxReported = 1000;

 private:
  void add(const Position& where, std::string message);

  std::span<const Source> sources_;
  std::vector<std::pair<Position, std::string>> found_;
};

// `text` from a configuration, fit for a terminal: shortened, control characters replaced, in single quotes.
[[nodiscard]] std::string quote(std::string_view text);

// " (did you mean 'weight'?)" when one of `valid` is near to `text`, else "".
[[nodiscard]] std::string suggestion(std::string_view text, std::span<const std::string_view> valid);

}  // namespace xlvs::config
