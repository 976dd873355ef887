// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "agent/reports.h"

namespace xlvs::agent {
namespace {

// An advertisement comes each 40.95 s at the least often.
constexpr std::chrono::minutes kLately{2};

std::string seconds(std::chrono::milliseconds interval) {
  if (interval < std::chrono::seconds(1)) return fmt::format("{}ms", interval.count());
  return fmt::format("{}s", std::chrono::duration<double>(interval).count());
}

// "198.51.100.10", "198.51.100.10 and 2 more".
std::string some(const std::vector<IpAddress>& addresses) {
  const std::string first = addresses.front().to_string();
  return addresses.size() == 1 ? first : fmt::format("{} and {} more", first, addresses.size() - 1);
}

std::string describe(const ha::InstanceReport& instance, const ha::Oddities::Addresses& heard) {
  const std::string sender = heard.source.to_string();
  if (heard.foreign)
    return fmt::format(
        "ha instance {}: VRID {} is used by {} for other addresses on {} ({}): its advertisements are ignored, give "
        "one "
        "of the two another vrid",
        instance.name, instance.vrid, sender, instance.interface, heard.unknown.empty() ? "none" : some(heard.unknown));
  std::string text = fmt::format("ha instance {}: {} advertises", instance.name, sender);
  if (!heard.unknown.empty()) text += fmt::format(" {}, which this router does not have", some(heard.unknown));
  if (!heard.missing.empty())
    text += fmt::format("{} not {}, which this router has", heard.unknown.empty() ? "" : ", and", some(heard.missing));
  return text + ": the addresses of the routers of one VRID should be the same";
}

void add_heard(std::vector<std::string>& all, const ha::InstanceReport& instance, ha::Time now) {
  const ha::Oddities& odd = instance.oddities;
  if (odd.addresses && now - odd.addresses->at < kLately) all.push_back(describe(instance, *odd.addresses));
  if (odd.interval && now - odd.interval->at < kLately)
    all.push_back(
        fmt::format("ha instance {}: {} advertises every {}, this router every {}: it waits as if that were {}",
                    instance.name, odd.interval->source.to_string(), seconds(odd.interval->advertised),
                    seconds(instance.interval), seconds(ha::greatest_adopted(instance.interval))));
  if (odd.overruled && now - odd.overruled->at < kLately)
    all.push_back(fmt::format(
        "ha instance {}: {} advertises priority {} for VRID {}, and is not the other router of the pair: no router of "
        "the pair is active by it, so the peer link decides (a third router belongs into `peers` or `only_peers`)",
        instance.name, odd.overruled->source.to_string(), odd.overruled->priority, instance.vrid));
}

struct Compared {
  const ha::InstanceReport* own;
  unsigned theirs;
};

// Its priority of each instance, as far as it is known: by the link, or of the last advertisement.
std::vector<Compared> compare_priorities(const ha::SpeakerReport& report) {
  std::vector<Compared> result;
  const bool linked = report.peer_link && report.peer_link->peer && !report.peer_link->peer->instances.empty();
  for (const ha::InstanceReport& instance : report.instances) {
    if (!linked) {
      if (instance.peer && instance.peer->priority != ha::kPriorityStop)
        result.push_back({&instance, instance.peer->priority});
      continue;
    }
    for (const ha::PeerInstance& theirs : report.peer_link->peer->instances)
      if (theirs.vrid == instance.vrid && theirs.source.family() == instance.family)
        result.push_back({&instance, theirs.priority});
  }
  return result;
}

// All instances move together: that each router is to have some of them can not be.
void add_crossing(std::vector<std::string>& all, const ha::SpeakerReport& report) {
  const Compared* greater = nullptr;
  const Compared* less = nullptr;
  const std::vector<Compared> compared = compare_priorities(report);
  for (const Compared& one : compared) {
    if (one.own->configured > one.theirs && greater == nullptr) greater = &one;
    if (one.own->configured < one.theirs && less == nullptr) less = &one;
  }
  if (greater == nullptr || less == nullptr) return;
  all.push_back(fmt::format(
      "ha: priorities cross: {} has {} here and {} at the other router, {} has {} here and {} there. All instances "
      "move "
      "together, to whichever router is active first: give one router the greater priority of every instance",
      greater->own->name, greater->own->configured, greater->theirs, less->own->name, less->own->configured,
      less->theirs));
}

}  // namespace

std::vector<std::string> link_warnings(const control::HaReport& ha) {
  std::vector<std::string> all;
  if (!ha.peer) return all;
  const control::HaPeerReport& peer = *ha.peer;
  const bool peer_is_active = peer.state == "up" && peer.role == "active";
  if (peer.state == "unheard")
    all.push_back(fmt::format("nothing has been heard of the peer {} on the peer link", peer.address));
  else if (peer.state == "silent")
    all.push_back(fmt::format("the peer link to {} has been silent for {:.0f}s", peer.address, *peer.heard_ago));
  if (peer_is_active && ha.role == "active") all.emplace_back("this router and the peer are both active");
  for (const control::HaInstanceReport& instance : ha.instances)
    if (peer_is_active && instance.silent)
      all.push_back(fmt::format("the peer is active, but its advertisements are not heard on {}", instance.interface));
  if (peer.config == "differs")
    all.push_back(fmt::format("the configuration of the peer {} differs from this router's", peer.address));
  return all;
}

std::vector<std::string> election_warnings(const ha::SpeakerReport& report, ha::Time now) {
  std::vector<std::string> all;
  const auto& link = report.peer_link;
  if (link && link->alive && link->peer && link->peer->role != ha::Role::active && report.role != ha::Role::active)
    all.emplace_back("no router of the pair is active");
  for (const ha::InstanceReport& instance : report.instances) add_heard(all, instance, now);
  add_crossing(all, report);
  return all;
}

}  // namespace xlvs::agent
