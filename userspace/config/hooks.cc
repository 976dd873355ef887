// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "config/sections.h"

namespace xlvs::config {
namespace {

constexpr Milliseconds kLeastTimeout{100};
constexpr Milliseconds kGreatestTimeout{600'000};

void read_texts(Context& context, const Node& node, std::string_view what, std::vector<std::string>& target) {
  if (!is_sequence(context, node, what, "texts")) return;
  for (const Node& item : node.items)
    if (auto text = read_text(context, item, what)) target.push_back(std::move(*text));
}

void read_events(Context& context, const Node& node, std::vector<std::string>& target) {
  const std::vector<std::string_view> kinds{"backend", "service", "quorum", "role"};
  if (!is_sequence(context, node, "events", "kinds of events")) return;
  for (const Node& item : node.items)
    if (const auto index = read_choice(context, item, "events", kinds)) target.emplace_back(kinds[*index]);
}

}  // namespace

void parse_hook(Context& context, const Node& node, std::vector<HookConfig>& hooks) {
  HookConfig hook;
  Section section(context, node, "hooks[]", "a hook");
  const Node* program = section.take("program");
  const Node* path = section.take("path");
  if (program != nullptr) read_texts(context, *program, "program", hook.program);
  if (path != nullptr)
    if (auto text = read_text(context, *path, "path")) hook.path = std::move(*text);
  section.text("user", hook.user);
  section.duration("timeout", hook.timeout, kLeastTimeout, kGreatestTimeout);
  if (const Node* events = section.take("events")) read_events(context, *events, hook.events);
  section.boolean("keepalived_arguments", hook.keepalived_arguments);
  section.finish();
  if (!section.is_mapping()) return;
  Diagnostics& diagnostics = context.diagnostics;
  if ((program == nullptr) == (path == nullptr))
    diagnostics.error(node.where,
                      "a hook has either a program (a list: path and arguments) or a path (FIFO or socket)");
  const bool relative = (path != nullptr && !hook.path.empty() && !hook.path.starts_with('/')) ||
                        (!hook.program.empty() && !hook.program.front().starts_with('/'));
  if (relative) diagnostics.error(node.where, "hooks: the program's or socket's path must be absolute");
  if (hook.keepalived_arguments) {
    if (hook.program.empty() || hook.events != std::vector<std::string>{"role"})
      diagnostics.error(node.where, "hooks: keepalived_arguments is for a program with `events: [role]`");
  }
  hooks.push_back(std::move(hook));
}

}  // namespace xlvs::config
