// SPDX-License-Identifier: Apache-2.0
#include "cli/report.h"

#include "cli/text.h"

namespace xlvs::cli {

std::string since(const control::HealthReport& health, double now) {
  return health.since > 0 ? humanise(now - health.since) : "";
}

std::string last_check(const control::HealthReport& health) {
  if (health.reason.empty()) return "";
  if (health.reason == "ok") return "ok " + humanise_latency(health.latency);
  return health.detail.empty() ? health.reason : health.reason + ": " + health.detail;
}

std::string reasons_table(const std::vector<control::ReasonReport>& reasons, bool colour) {
  Table table({left("Reason"), left("Verdict"), right("Packets"), left("Meaning")});
  for (const control::ReasonReport& reason : reasons) {
    if (reason.packets == 0) continue;
    table.row({reason.name, Cell(reason.verdict, reason.verdict == "drop" ? Colour::odd : Colour::none), reason.packets,
               reason.text});
  }
  return table.empty() ? "" : "\nPackets not plainly forwarded\n" + table.to_string(colour);
}

FlowSums sum(const control::ServiceReport& service) {
  FlowSums sums;
  for (const control::BackendReport& backend : service.backends) {
    sums.active += backend.active;
    sums.inactive += backend.inactive;
    sums.up += control::is_healthy(backend) ? 1U : 0U;
  }
  return sums;
}

}  // namespace xlvs::cli
