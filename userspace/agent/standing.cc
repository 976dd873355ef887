// SPDX-License-Identifier: Apache-2.0
#include "agent/standing.h"

#include <fmt/format.h>

#include "agent/logging.h"

namespace xlvs::agent {
namespace {

using health::LifeState;

std::string found_by_checks(const health::Health& health) {
  if (!health.last) return "as an earlier lvsd found";
  const std::string name = health.checks.size() > 1 ? health.deciding + ": " : "";
  const bool passed = health.last->passed;
  return fmt::format("{}{} ({} in a row)", name, health.last->detail,
                     counted(passed ? health.passes : health.failures, passed ? "pass" : "failure"));
}

std::string with_reason(const std::string& text, const control::BackendReport& report) {
  return report.reason.empty() ? text : text + ": " + report.reason;
}

std::string drained_by(const control::BackendReport& report) {
  if (report.leaving) return fmt::format("{} is not at this address any more: no new flows", report.host);
  if (report.drained) return with_reason("drained by the operator", report);
  if (report.weight_override) return "the operator gave it weight 0: no new flows";
  if (report.configured_weight == 0) return "weight 0 in the configuration: no new flows";
  return "it asks for weight 0: no new flows";
}

std::string because(const health::Health& health) {
  switch (health.life) {
    case LifeState::unchecked:
      return "no check has answered yet";
    case LifeState::down:
      return found_by_checks(health);
    case LifeState::flapping:
      return "changed too often, held out until it is steady; " + found_by_checks(health);
    case LifeState::reentry:
      return health.until ? "all checks pass, its re-entry delay runs" : "its re-entry delay waits for checks to pass";
    case LifeState::slow_start:
      return "its weight grows";
    case LifeState::up:
      break;
  }
  return found_by_checks(health);
}

}  // namespace

Standing standing_of(const control::BackendReport& report, bool used, const health::Health* health) {
  const bool checked = health != nullptr && !health->checks.empty();
  const LifeState life = checked ? health->life : LifeState::up;
  if (!report.maintenance.empty()) {
    return {"disabled", with_reason("maintenance file " + report.maintenance, report)};
  }
  if (report.disabled) return {"disabled", with_reason("disabled by the operator", report)};
  if (report.forced == "down") return {"forced-down", with_reason("forced down by the operator", report)};
  if (report.weight == 0) return {"drained", drained_by(report)};
  const bool forced = report.forced == "up";
  if (!forced && life != LifeState::up && life != LifeState::slow_start) {
    return {std::string(to_string(life)), because(*health) + (used ? "; used nevertheless: panic" : "")};
  }
  if (report.next_hop.empty()) return {"no-route", "its MAC address is not known: packets for it are dropped"};
  if (!used) {
    return {"standby", report.tier == kSorryTier ? "used when no backend is" : "the tier in use is another"};
  }
  if (forced) return {"up", with_reason("forced up by the operator", report)};
  return {std::string(to_string(life)), checked ? because(*health) : "not checked"};
}

}  // namespace xlvs::agent
