// SPDX-License-Identifier: Apache-2.0
#include "ha/speaker.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "core/siphash.h"
#include "ha/threaded_speaker.h"

namespace xlvs::ha {
namespace {

MemberConfig member_config(const VrrpInstanceConfig& from, const IpAddress& source) {
  MemberConfig member;
  member.name = from.name;
  member.vrid = from.vrid;
  member.version = from.version == 2 ? VrrpVersion::v2 : VrrpVersion::v3;
  member.priority = from.priority;
  member.interval = from.advert_interval;
  member.source = source;
  member.vips = from.addresses;
  member.peers = from.peers.empty() ? from.only_peers : from.peers;
  if (!from.password.empty()) {
    member.password.emplace();
    std::copy_n(from.password.begin(), std::min(from.password.size(), member.password->size()),
                member.password->begin());
  }
  return member;
}

}  // namespace

std::uint64_t role_number(const HaConfig& config) {
  std::vector<std::string> parts;
  for (const VrrpInstanceConfig& instance : config.instances)
    parts.push_back(
        fmt::format("{} {} {} {}\n", instance.interface, instance.vrid, to_string(instance.family), instance.version));
  std::sort(parts.begin(), parts.end());
  std::vector<std::uint8_t> bytes;
  for (const std::string& part : parts) bytes.insert(bytes.end(), part.begin(), part.end());
  return siphash({}, bytes);
}

Result<std::unique_ptr<Speaker>> Speaker::open(const HaConfig& config, FenceWord fence, RoleChanged changed) {
  auto announcer = Announcer::open();
  if (!announcer) return tl::make_unexpected(announcer.error());
  GroupConfig group{{}, config.preempt, config.preempt_delay, config.startup_delay};
  std::vector<SpeakerInstance> instances;
  for (const VrrpInstanceConfig& from : config.instances) {
    const std::string what = "ha instance " + from.name;
    auto interface = read_interface(from.interface);
    if (!interface) return tl::make_unexpected(interface.error().in(what));
    const auto source = primary_address(*interface, from.family, from.addresses, from.peers);
    if (!source) return tl::make_unexpected(source.error().in(what));
    auto socket = VrrpSocket::open(*interface, *source, from.peers);
    if (!socket) return tl::make_unexpected(socket.error().in(what));
    auto claims = ClaimSocket::open(interface->ifindex, from.family);
    if (!claims) return tl::make_unexpected(claims.error().in(what));
    group.members.push_back(member_config(from, *source));
    instances.push_back({std::move(*interface), std::move(*socket), from.addresses, std::move(*claims)});
  }
  std::optional<SpeakerPeer> peer;
  if (config.peer) {
    auto opened = SpeakerPeer::open(*config.peer, group.members.front().source);
    if (!opened) return tl::make_unexpected(opened.error().in("ha peer"));
    peer.emplace(std::move(*opened));
  }
  return std::make_unique<ThreadedSpeaker>(std::move(group), std::move(instances), std::move(*announcer),
                                           std::move(peer), fence, role_number(config), std::move(changed));
}

}  // namespace xlvs::ha
