// SPDX-License-Identifier: Apache-2.0
#include "agent/reports.h"

namespace xlvs::agent {
namespace {

control::HaInstanceReport report_instance(const ha::InstanceReport& from) {
  control::HaInstanceReport report;
  report.name = from.name;
  report.interface = from.interface;
  report.vrid = from.vrid;
  report.priority = from.priority;
  report.link_up = from.link_up;
  report.sent = from.sent;
  report.send_errors = from.send_errors;
  report.received = from.received;
  report.announcements = from.announcements;
  report.rejected = from.rejected;
  if (from.peer) {
    report.peer = from.peer->address.to_string();
    report.peer_priority = from.peer->priority;
    report.peer_heard_ago = std::chrono::duration<double>(ha::Clock::now() - from.peer->heard_at).count();
  }
  return report;
}

}  // namespace

control::HaReport report_ha(const ha::SpeakerReport& from) {
  control::HaReport report;
  report.mode = "vrrp";
  report.role = to_string(from.role);
  report.reason = from.reason;
  report.since = seconds_since_epoch(from.since);
  report.transitions = from.transitions;
  report.released = from.released;
  report.realtime = from.realtime;
  report.worst_delay = std::chrono::duration<double>(from.worst_delay).count();
  for (const ha::InstanceReport& instance : from.instances) report.instances.push_back(report_instance(instance));
  return report;
}

}  // namespace xlvs::agent
