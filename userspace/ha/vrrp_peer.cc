// SPDX-License-Identifier: Apache-2.0
// What the authenticated peer link adds to an election whose advertisements anybody on the segment can send.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "ha/vrrp.h"

namespace xlvs::ha {
namespace {

// So many intervals without an active router in the pair, both knowing it, and the first of the two becomes active. The
// other one does so later, in case the first does not (an earlier version of lvsd).
constexpr int kFirst = 3;
constexpr int kSecond = 9;

bool contains(const std::vector<IpAddress>& all, const IpAddress& one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

}  // namespace

void Group::see_peer(Time now, PeerView peer) {
  peer_ = std::move(peer);
  const bool nobody = role_ == Role::backup && peer_.alive && !peer_.active;
  if (!nobody)
    nobody_since_.reset();
  else if (!nobody_since_)
    nobody_since_ = now;
}

std::chrono::milliseconds Group::adopted(std::size_t member, const Advertisement& advertisement) const {
  return std::min(advertisement.interval, greatest_adopted(config_.members[member].interval));
}

// Routers that the configuration names beside the peer may be the active one: they are heard as always.
std::optional<Time> Group::link_due() const {
  if (!nobody_since_) return std::nullopt;
  const int intervals = peer_.takes_part && peer_.before ? kSecond : kFirst;
  Time due = *nobody_since_;
  for (std::size_t i = 0; i < members_.size(); ++i) {
    const auto interval = config_.members[i].interval;
    due = std::max(due, std::max(*nobody_since_, backup_since_) + intervals * interval +
                            interval * (256 - members_[i].priority) / 256);
    if (const auto& trusted = members_[i].trusted_at) due = std::max(due, *trusted + active_down_interval(i));
  }
  return due;
}

void Group::elect_by_link(Step& step, Time now) {
  std::string reason = "no router of the pair is active, as the peer link says";
  for (Member& member : members_) {
    if (member.heard_priority == kPriorityStop || now - member.heard_at > 3 * member.heard_interval) continue;
    member.oddities.overruled = {member.heard_from, member.heard_priority, now};
    reason += fmt::format("; {} advertises priority {}", member.heard_from.to_string(), member.heard_priority);
  }
  become_active(step, now, std::move(reason));
  elected_by_link_ = true;
}

// A peer that becomes active says so by the link, where the one of lower priority then yields.
bool Group::is_overruled(std::size_t member, const IpAddress& source) const {
  if (!elected_by_link_ || !peer_.alive || peer_.active) return false;
  return !contains(config_.members[member].peers, source) || contains(peer_.sources, source);
}

}  // namespace xlvs::ha
