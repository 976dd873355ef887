// SPDX-License-Identifier: Apache-2.0
#include "config/reader.h"

#include <algorithm>

namespace xlvs::config {

Section::Section(Context& context, const Node& node, std::string path, std::string what)
    : context_(context),
      node_(node),
      where_(node.where),
      path_(std::move(path)),
      what_(std::move(what)),
      is_mapping_(node.kind == Node::Kind::mapping) {
  if (!is_mapping_ && node.kind != Node::Kind::broken)
    context_.diagnostics.error(where_, "{} must be a mapping (key: value)", what_);
}

const Node* Section::take(std::string_view key) {
  if (std::find(known_.begin(), known_.end(), key) == known_.end()) known_.push_back(key);
  if (context_.known_keys != nullptr)
    context_.known_keys->insert(path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key));
  for (std::size_t i = 0; i < node_.keys.size(); ++i)
    if (node_.keys[i].text == key) return &node_.items[i];
  return nullptr;
}

const Node* Section::require(std::string_view key) {
  const Node* node = take(key);
  if (node == nullptr && is_mapping_) context_.diagnostics.error(where_, "{} needs the key '{}'", what_, key);
  return node;
}

void Section::boolean(std::string_view key, bool& target) {
  if (const Node* node = take(key))
    if (const auto value = read_boolean(context_, *node, key)) target = *value;
}

void Section::text(std::string_view key, std::string& target) {
  if (const Node* node = take(key))
    if (auto value = read_text(context_, *node, key)) target = std::move(*value);
}

void Section::interface(std::string_view key, std::string& target) {
  if (const Node* node = take(key))
    if (auto value = read_interface(context_, *node, key)) target = std::move(*value);
}

void Section::each(std::string_view key, std::string_view of, const std::function<void(const Node&)>& read) {
  const Node* node = take(key);
  if (node == nullptr || !is_sequence(context_, *node, key, of)) return;
  for (const Node& item : node->items) read(item);
}

void Section::finish() {
  for (const Key& key : node_.keys) {
    if (std::find(known_.begin(), known_.end(), key.text) != known_.end()) continue;
    context_.diagnostics.error(key.where, "unknown key {} in {}{}; known: {}", quote(key.text), what_,
                               suggestion(key.text, known_), fmt::join(known_, ", "));
  }
}

}  // namespace xlvs::config
