// SPDX-License-Identifier: Apache-2.0
#include "agent/reports.h"

#include <fmt/format.h>

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
  report.silent = from.silent;
  if (from.peer) {
    report.peer = from.peer->address.to_string();
    report.peer_priority = from.peer->priority;
    report.peer_heard_ago = std::chrono::duration<double>(ha::Clock::now() - from.peer->heard_at).count();
  }
  report.conflicts = from.conflicts;
  if (from.conflict) {
    report.conflict =
        fmt::format("{} is claimed by {}", from.conflict->address.to_string(), from.conflict->mac.to_string());
    report.conflict_ago = std::chrono::duration<double>(ha::Clock::now() - from.conflict->at).count();
  }
  return report;
}

std::string compared(const std::string& ours, const std::string& theirs) {
  if (ours.empty() || theirs.empty()) return "unknown";
  return ours == theirs ? "same" : "differs";
}

control::HaPeerReport report_peer(const ha::PeerLinkReport& from) {
  control::HaPeerReport report;
  report.address = from.config.address.to_string();
  report.takeover = from.config.takeover == Takeover::vrrp ? "vrrp" : "both_silent";
  report.state = from.alive ? "up" : from.peer ? "silent" : "unheard";
  report.config = "unknown";
  if (from.peer) {
    report.role = to_string(from.peer->role);
    report.priority = from.peer->priority;
    report.released = from.peer->released;
    report.config = compared(from.own.config, from.peer->facts.config);
    report.generation = from.peer->facts.generation;
    const ha::HealthSummary& health = from.peer->facts.health;
    report.services = health.services;
    report.services_up = health.services_up;
    report.backends = health.backends;
    report.backends_up = health.backends_up;
  }
  if (from.heard_at) report.heard_ago = std::chrono::duration<double>(ha::Clock::now() - *from.heard_at).count();
  report.sent = from.counts.sealed - from.send_errors;
  report.send_errors = from.send_errors;
  report.received = from.counts.opened;
  for (std::size_t i = 0; i < ha::kPeerRefusals; ++i) {
    const auto reason = static_cast<ha::PeerRefusal>(i);
    const std::uint64_t count = from.counts.refused[i];
    if (count > 0 && reason != ha::PeerRefusal::hello) report.rejected[std::string(to_string(reason))] = count;
  }
  return report;
}

}  // namespace

control::HaReport report_ha(const ha::SpeakerReport& from, const std::vector<TrackReport>& tracks) {
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
  for (const TrackReport& track : tracks)
    report.tracks.push_back({track.name, track.good, track.reason, track.weight, seconds_since_epoch(track.since)});
  if (from.peer_link) report.peer = report_peer(*from.peer_link);
  report.warnings = link_warnings(report);
  const std::vector<std::string> more = election_warnings(from, ha::Clock::now());
  report.warnings.insert(report.warnings.end(), more.begin(), more.end());
  return report;
}

std::vector<std::string> conflict_warnings(const ha::SpeakerReport& report,
                                           const std::vector<control::ServiceReport>& services) {
  constexpr std::chrono::minutes kLately{10};
  std::vector<std::string> warnings;
  for (const ha::InstanceReport& instance : report.instances) {
    if (!instance.conflict || ha::Clock::now() - instance.conflict->at > kLately) continue;
    const std::string mac = instance.conflict->mac.to_string();
    std::string who = "somebody else has the address";
    for (const control::ServiceReport& service : services)
      for (const control::BackendReport& backend : service.backends)
        if (backend.next_hop.starts_with(mac))
          who = fmt::format("that is backend {}, which must not answer ARP for it (arp_ignore=1, arp_announce=2)",
                            backend.address);
    warnings.push_back(fmt::format("ha instance {}: {} is claimed by {} on {}: {}", instance.name,
                                   instance.conflict->address.to_string(), mac, instance.interface, who));
  }
  return warnings;
}

}  // namespace xlvs::agent
