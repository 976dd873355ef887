// SPDX-License-Identifier: Apache-2.0
// Reads typed values out of a tree. A Section is one mapping: each key that is read is thereby known, and what remains
// at the end is reported as unknown; so adding a key to the configuration is one line. A value that is wrong is
// reported and leaves its target as it was, so that reading goes on and finds the next error.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "config/diagnostics.h"
#include "config/node.h"
#include "core/ip.h"
#include "core/model.h"

namespace xlvs::config {

struct Context {
  Diagnostics& diagnostics;
  std::set<std::string>* known_keys = nullptr;  // when set, every key asked for is added as "SECTION.KEY"
};

// ---- single values; `what` is the key, for the message; nullopt: wrong, and reported --------------------------------

[[nodiscard]] std::optional<bool> read_boolean(Context& context, const Node& node, std::string_view what);
[[nodiscard]] std::optional<std::int64_t> read_integer(Context& context, const Node& node, std::string_view what,
                                                       std::int64_t least, std::int64_t greatest);
[[nodiscard]] std::optional<std::string> read_text(Context& context, const Node& node, std::string_view what);
[[nodiscard]] std::optional<Milliseconds> read_duration(Context& context, const Node& node, std::string_view what,
                                                        Milliseconds least, Milliseconds greatest);
[[nodiscard]] std::optional<IpAddress> read_address(Context& context, const Node& node, std::string_view what);
[[nodiscard]] std::optional<std::string> read_interface(Context& context, const Node& node, std::string_view what);
// One of `valid`: its index.
[[nodiscard]] std::optional<std::size_t> read_choice(Context& context, const Node& node, std::string_view what,
                                                     const std::vector<std::string_view>& valid);
// Reports `node` unless it is a sequence; `of` says of what, for the message.
[[nodiscard]] bool is_sequence(Context& context, const Node& node, std::string_view what, std::string_view of);

// "2s", "1500ms": the greatest unit that leaves a whole number.
[[nodiscard]] std::string duration_text(Milliseconds duration);

// ---- one mapping ---------------------------------------------------------------------------------------------------

class Section {
 public:
  // `path` as in docs/config.md: "services[].check"; `what` for messages: "a check". Reports `node` if it is no
  // mapping.
  Section(Context& context, const Node& node, std::string path, std::string what);

  // The value of `key`, or nullptr if it is absent. Makes the key known.
  const Node* take(std::string_view key);
  // As take(), but the key's absence is an error.
  const Node* require(std::string_view key);

  void boolean(std::string_view key, bool& target);
  void text(std::string_view key, std::string& target);
  void interface(std::string_view key, std::string& target);
  template <typename Integer>
  void integer(std::string_view key, Integer& target, std::int64_t least, std::int64_t greatest) {
    if (const Node* node = take(key))
      if (const auto value = read_integer(context_, *node, key, least, greatest)) target = static_cast<Integer>(*value);
  }
  template <typename Duration>
  void duration(std::string_view key, Duration& target, Milliseconds least, Milliseconds greatest);
  // `parse` maps a name to a value; `valid` are the names.
  template <typename Enum>
  void choice(std::string_view key, Enum& target, std::optional<Enum> (*parse)(std::string_view),
              const std::vector<std::string_view>& valid) {
    if (const Node* node = take(key))
      if (const auto index = read_choice(context_, *node, key, valid)) target = *parse(valid[*index]);
  }
  void each(std::string_view key, std::string_view of, const std::function<void(const Node&)>& read);

  // Reports the keys that nobody asked for. To be called last.
  void finish();

  [[nodiscard]] Context& context() { return context_; }
  [[nodiscard]] const Position& where() const { return where_; }
  [[nodiscard]] bool is_mapping() const { return is_mapping_; }

 private:
  Context& context_;
  const Node& node_;
  Position where_;
  std::string path_;
  std::string what_;
  bool is_mapping_;
  std::vector<std::string_view> known_;
};

template <typename Duration>
void Section::duration(std::string_view key, Duration& target, Milliseconds least, Milliseconds greatest) {
  const Node* node = take(key);
  if (node == nullptr) return;
  const auto value = read_duration(context_, *node, key, least, greatest);
  if (!value) return;
  const auto converted = std::chrono::duration_cast<Duration>(*value);
  if (converted != *value)
    context_.diagnostics.error(node->where, "{}: whole seconds only", key);
  else
    target = converted;
}

}  // namespace xlvs::config
