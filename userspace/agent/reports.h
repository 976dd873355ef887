// SPDX-License-Identifier: Apache-2.0
// From the agent's parts to the values of the control protocol. Pure but for reading those parts.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "agent/balancer.h"
#include "agent/next_hops.h"
#include "agent/tracking.h"
#include "control/api.h"
#include "dataplane/dataplane.h"
#include "ha/speaker.h"

namespace xlvs::agent {

[[nodiscard]] double seconds_since_epoch(std::chrono::system_clock::time_point time);

// All services in the configuration's order, with the numbers of `stats`.
[[nodiscard]] std::vector<control::ServiceReport> report_services(const Balancer& balancer, const NextHops& hops,
                                                                  const dataplane::Stats& stats);
[[nodiscard]] std::vector<control::ReasonReport> report_reasons(const dataplane::Stats& stats);
[[nodiscard]] std::vector<control::FlowTableReport> report_flow_tables(const dataplane::Stats& stats);
[[nodiscard]] control::HaReport report_ha(const ha::SpeakerReport& report, const std::vector<TrackReport>& tracks);
// Addresses of the role that somebody else has claimed lately, and whether it is one of the backends.
[[nodiscard]] std::vector<std::string> conflict_warnings(const ha::SpeakerReport& report,
                                                         const std::vector<control::ServiceReport>& services);
// What is wrong between the two routers of a pair.
[[nodiscard]] std::vector<std::string> link_warnings(const control::HaReport& ha);
// What is wrong between the routers of a link: each text stays the same for as long as it holds.
[[nodiscard]] std::vector<std::string> election_warnings(const ha::SpeakerReport& report, ha::Time now);
[[nodiscard]] control::FlowReport report_flow(const dataplane::Flow& flow);

[[nodiscard]] control::LatenessReport report_lateness(const health::Lateness& lateness);

// What is wrong with services as reported: no backend takes connections, next hops unknown.
[[nodiscard]] std::vector<std::string> service_warnings(const std::vector<control::ServiceReport>& services);

}  // namespace xlvs::agent
