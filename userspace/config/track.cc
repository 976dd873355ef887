// SPDX-License-Identifier: Apache-2.0
// `ha.track`: what lowers this router's priority.
#include <set>
#include <string_view>

#include "config/sections.h"

namespace xlvs::config {
namespace {

constexpr Milliseconds kLeastInterval{100};
constexpr Milliseconds kGreatestInterval{3'600'000};
constexpr unsigned kGreatestWeight = 253;  // what is left of a priority is at least 1
constexpr unsigned kGreatestCount = 100;

}  // namespace

void parse_track(Context& context, const Node& node, std::vector<Located<TrackConfig>>& tracks) {
  TrackConfig track;
  Section section(context, node, "ha.track[]", "something to track");
  if (const Node* name = section.require("name"))
    if (auto text = read_text(context, *name, "name")) track.name = std::move(*text);
  unsigned kinds = 0;
  if (const Node* interface = section.take("interface")) {
    ++kinds;
    if (auto name = read_interface(context, *interface, "interface")) track.interface = std::move(*name);
  }
  section.boolean("services", track.services);
  kinds += track.services ? 1 : 0;
  if (const Node* program = section.take("program")) {
    ++kinds;
    if (is_sequence(context, *program, "program", "texts"))
      for (const Node& item : program->items)
        if (auto text = read_text(context, item, "program")) track.program.push_back(std::move(*text));
  }
  section.text("user", track.user);
  section.duration("interval", track.interval, kLeastInterval, kGreatestInterval);
  section.duration("timeout", track.timeout, kLeastInterval, kGreatestInterval);
  section.integer("rise", track.rise, 1, kGreatestCount);
  section.integer("fall", track.fall, 1, kGreatestCount);
  section.integer("weight", track.weight, 0, kGreatestWeight);
  section.finish();
  if (!section.is_mapping()) return;
  if (kinds != 1)
    context.diagnostics.error(
        node.where,
        "ha track {}: needs one of `interface`, `services: true` and `program` (a list: path and arguments)",
        track.name);
  tracks.push_back({std::move(track), node.where});
}

void validate_tracks(Diagnostics& diagnostics, const std::vector<Located<TrackConfig>>& tracks) {
  std::set<std::string_view> names;
  for (const auto& [track, where] : tracks) {
    if (!names.insert(track.name).second)
      diagnostics.error(where, "ha track {}: there is another of this name", track.name);
    if (!track.program.empty() && !track.program.front().starts_with('/'))
      diagnostics.error(where, "ha track {}: the program's path must be absolute", track.name);
    if (track.timeout > track.interval)
      diagnostics.error(where, "ha track {}: timeout {} is longer than interval {}", track.name,
                        duration_text(track.timeout), duration_text(track.interval));
  }
}

}  // namespace xlvs::config
