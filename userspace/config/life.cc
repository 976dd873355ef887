// SPDX-License-Identifier: Apache-2.0
// The keys of a service that say how backends come and go.
#include "config/sections.h"

namespace xlvs::config {
namespace {

constexpr Milliseconds kLeastPeriod{1000};
constexpr Milliseconds kGreatestPeriod{24 * 3'600'000};

}  // namespace

void parse_flap(Context& context, const Node& node, std::optional<FlapRule>& flap) {
  Section section(context, node, "services[].flap", "flap");
  FlapRule rule;
  section.integer("changes", rule.changes, 2, 100);
  section.duration("within", rule.within, kLeastPeriod, kGreatestPeriod);
  section.duration("hold", rule.hold, kLeastPeriod, kGreatestPeriod);
  section.finish();
  if (section.is_mapping()) flap = rule;
}

void parse_life(Section& section, LifeRules& life) {
  section.choice("start", life.start, parse_start_state, {to_string(StartState::down), to_string(StartState::up)});
  section.choice("on_failure", life.on_failure, parse_on_failure,
                 {to_string(OnFailure::remove), to_string(OnFailure::drain)});
  section.duration("reentry_delay", life.reentry_delay, Milliseconds{0}, kGreatestPeriod);
  section.duration("slow_start", life.slow_start, Milliseconds{0}, kGreatestPeriod);
  if (const Node* flap = section.take("flap")) parse_flap(section.context(), *flap, life.flap);
}

}  // namespace xlvs::config
