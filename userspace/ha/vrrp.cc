// SPDX-License-Identifier: Apache-2.0
#include "ha/vrrp.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace xlvs::ha {

std::string_view to_string(Role role) {
  switch (role) {
    case Role::init:
      return "init";
    case Role::backup:
      return "backup";
    case Role::active:
      return "active";
  }
  return "unknown";
}

std::string_view to_string(Heard heard) {
  switch (heard) {
    case Heard::taken:
      return "taken";
    case Heard::unknown_vrid:
      return "unknown_vrid";
    case Heard::version:
      return "version_mismatch";
    case Heard::interval:
      return "interval_mismatch";
    case Heard::password:
      return "password";
    case Heard::stranger:
      return "stranger";
    case Heard::addresses:
      return "addresses";
    case Heard::own:
      return "own";
    case Heard::owner:
      return "owner";
    case Heard::not_started:
      return "not_started";
  }
  return "unknown";
}

Group::Group(GroupConfig config) : config_(std::move(config)), members_(config_.members.size()) {
  for (std::size_t i = 0; i < members_.size(); ++i) {
    members_[i].priority = config_.members[i].priority;
    members_[i].heard_interval = config_.members[i].interval;
  }
}

bool Group::faulty() const {
  return std::any_of(members_.begin(), members_.end(), [](const Member& member) { return member.fault; });
}

bool Group::is_owner() const {
  return std::any_of(config_.members.begin(), config_.members.end(),
                     [](const MemberConfig& member) { return member.priority == kPriorityOwner; });
}

// RFC 9568, section 6.1: a fraction of the active router's interval; RFC 3768: of a second.
Duration Group::skew(std::size_t member) const {
  const Duration whole = config_.members[member].version == VrrpVersion::v3 ? members_[member].heard_interval
                                                                            : std::chrono::milliseconds(1000);
  return whole * (256 - members_[member].priority) / 256;
}

Duration Group::active_down_interval(std::size_t member) const {
  return 3 * members_[member].heard_interval + skew(member);
}

bool Group::may_preempt(Time now) const {
  return config_.preempt && !released_ && !held_ && now >= backup_since_ + config_.preempt_delay;
}

Advertisement Group::advertisement(std::size_t member, std::uint8_t priority) const {
  const MemberConfig& config = config_.members[member];
  return {config.version, config.vrid, priority, config.interval, config.vips, config.password};
}

void Group::send(Step& step, Time now, std::size_t member) {
  step.send.push_back({member, advertisement(member, members_[member].priority)});
  members_[member].lease_end = now + 3 * config_.members[member].interval;
}

Step Group::search(Time now) {
  Step step;
  if (role_ != Role::active || lapsed(now)) return step;
  for (std::size_t i = 0; i < members_.size(); ++i) send(step, now, i);
  return step;
}

// The rhythm is kept from due time to due time, not from send to send, unless a beat was missed altogether.
void Group::advertise(Step& step, Time now, std::size_t member) {
  Time& due = members_[member].deadline;
  send(step, now, member);
  due += config_.members[member].interval;
  if (due <= now) due = now + config_.members[member].interval;
}

void Group::become_active(Step& step, Time now, std::string reason) {
  role_ = Role::active;
  step.changed = role_;
  step.reason = std::move(reason);
  released_ = false;  // somebody has to do it
  nobody_since_.reset();
  elected_by_link_ = false;
  for (std::size_t i = 0; i < members_.size(); ++i) {
    members_[i].deadline = now;
    advertise(step, now, i);
  }
}

void Group::become_backup(Step& step, Time now, std::string reason) {
  if (role_ != Role::backup) {
    step.changed = Role::backup;
    step.reason = std::move(reason);
  }
  role_ = Role::backup;
  elected_by_link_ = false;
  backup_since_ = now;
  for (std::size_t i = 0; i < members_.size(); ++i) {
    members_[i].deadline = now + active_down_interval(i);
    members_[i].stopped = false;
  }
  if (peer_.alive && !peer_.active) nobody_since_ = now;
}

void Group::become_init(Step& step, std::string reason) {
  if (role_ == Role::active)
    for (std::size_t i = 0; i < members_.size(); ++i) step.send.push_back({i, advertisement(i, kPriorityStop)});
  if (role_ != Role::init) {
    step.changed = Role::init;
    step.reason = std::move(reason);
  }
  role_ = Role::init;
  nobody_since_.reset();
  elected_by_link_ = false;
}

// From init: RFC 9568, section 6.4.1.
void Group::enter_election(Step& step, Time now, std::string reason) {
  for (std::size_t i = 0; i < members_.size(); ++i) members_[i].heard_interval = config_.members[i].interval;
  if (is_owner())
    become_active(step, now, "owner of the address");
  else
    become_backup(step, now, std::move(reason));
}

Step Group::start(Time now) {
  Step step;
  started_ = true;
  if (config_.startup_delay.count() > 0)
    starts_at_ = now + config_.startup_delay;
  else if (!faulty())
    enter_election(step, now, "started");
  return step;
}

Step Group::take_up(Time now) {
  Step step;
  started_ = true;
  if (faulty()) {
    step.changed = role_;
    step.reason = "a link is down";
    return step;
  }
  become_active(step, now, "goes on where the lvsd before it left off");
  return step;
}

Step Group::leave(Time now) {
  Step step;
  if (role_ != Role::active) return step;
  for (std::size_t i = 0; i < members_.size(); ++i) {
    Advertisement last = advertisement(i, members_[i].priority);
    if (last.version == VrrpVersion::v3) last.interval = std::max(last.interval, kLeaveInterval);
    members_[i].lease_end = now + 3 * last.interval;
    step.send.push_back({i, std::move(last)});
  }
  return step;
}

Time Group::lease_end() const {
  const auto first = std::min_element(members_.begin(), members_.end(),
                                      [](const Member& a, const Member& b) { return a.lease_end < b.lease_end; });
  return first->lease_end;
}

Step Group::stop(Time) {
  Step step;
  started_ = false;
  starts_at_.reset();
  become_init(step, "stopped");
  return step;
}

std::optional<Time> Group::next_due() const {
  if (role_ == Role::init) return starts_at_;
  const auto by_deadline = [](const Member& a, const Member& b) { return a.deadline < b.deadline; };
  if (role_ == Role::active) return std::min_element(members_.begin(), members_.end(), by_deadline)->deadline;
  const auto silence = silence_due();
  const auto link = link_due();
  if (silence && link) return std::min(*silence, *link);
  return silence ? silence : link;
}

// A backup group acts when the last of its members has lost the active router.
std::optional<Time> Group::silence_due() const {
  const auto last = std::max_element(members_.begin(), members_.end(),
                                     [](const Member& a, const Member& b) { return a.deadline < b.deadline; });
  if (!peer_.alive || !peer_.active) return last->deadline;
  if (peer_.before) return std::nullopt;
  // A deadline that passes although somebody was heard shortly before is that of a router which preempts; any other is
  // silence.
  for (const Member& member : members_)
    if (member.stopped || member.heard_at + 3 * member.heard_interval <= last->deadline) return std::nullopt;
  return last->deadline;
}

bool Group::is_silent(std::size_t member, Time now) const {
  return role_ == Role::backup &&
         now >= std::max(members_[member].heard_at, backup_since_) + active_down_interval(member);
}

Step Group::tick(Time now) {
  Step step;
  if (role_ == Role::init) {
    if (!starts_at_ || now < *starts_at_) return step;
    starts_at_.reset();
    if (!faulty()) enter_election(step, now, "started");
  } else if (role_ == Role::active) {
    for (std::size_t i = 0; i < members_.size(); ++i)
      if (now >= members_[i].deadline) advertise(step, now, i);
  } else if (const auto silence = silence_due(); silence && now >= *silence) {
    become_active(step, now, "no active router was heard");
  } else if (const auto link = link_due(); link && now >= *link) {
    elect_by_link(step, now);
  }
  return step;
}

// RFC 9568, section 6.4.2 (450 and following).
void Group::hear_as_backup(Time now, std::size_t index, const Advertisement& advertisement) {
  Member& member = members_[index];
  member.stopped = advertisement.priority == kPriorityStop;
  if (member.stopped) {
    member.deadline = now + skew(index);
  } else if (advertisement.priority >= member.priority || !may_preempt(now)) {
    member.heard_interval = adopted(index, advertisement);
    member.deadline = now + active_down_interval(index);
  }
}

// RFC 9568, section 6.4.3.
void Group::hear_as_active(Step& step, Time now, std::size_t index, const Advertisement& advertisement,
                           const IpAddress& source) {
  Member& member = members_[index];
  const bool stops = advertisement.priority == kPriorityStop;
  const bool better = advertisement.priority > member.priority ||
                      (advertisement.priority == member.priority && source > config_.members[index].source);
  const bool lapsed_now = lapsed(now);
  if (!stops && better && !lapsed_now && is_overruled(index, source)) {
    member.oddities.overruled = {source, advertisement.priority, now};
  } else if (!stops && (better || lapsed_now)) {
    member.heard_interval = adopted(index, advertisement);
    become_backup(step, now,
                  lapsed_now ? fmt::format("{} became active while this router was silent", source.to_string())
                             : fmt::format("{} sends priority {}", source.to_string(), advertisement.priority));
  } else if (now >= member.next_answer) {
    // Answered at once, so that a second active router yields (or a switch learns) without waiting for the next beat;
    // but whoever sends many must not make this router send as many.
    member.next_answer = now + config_.members[index].interval / 10;
    member.deadline = now;
    advertise(step, now, index);
  }
}

Heard Group::judge(std::size_t index, const Advertisement& advertisement, const IpAddress& source) const {
  const MemberConfig* found = &config_.members[index];
  if (found->vrid != advertisement.vrid || found->source.family() != source.family()) return Heard::unknown_vrid;
  const std::vector<IpAddress>& peers = found->peers;
  if (source == found->source) return Heard::own;
  if (!peers.empty() && std::find(peers.begin(), peers.end(), source) == peers.end()) return Heard::stranger;
  if (found->version != advertisement.version) return Heard::version;
  if (found->password != advertisement.password) return Heard::password;
  if (found->version == VrrpVersion::v2 && found->interval != advertisement.interval) return Heard::interval;
  return Heard::taken;
}

// What people should know of it; refuses those of another virtual router.
void Group::note(Time now, std::size_t index, const Advertisement& advertisement, const IpAddress& source,
                 Heard& heard) {
  const MemberConfig& config = config_.members[index];
  Oddities& oddities = members_[index].oddities;
  if (auto differ = compare_addresses(config.vips, advertisement.addresses)) {
    differ->source = source;
    differ->at = now;
    if (differ->foreign) heard = Heard::addresses;
    oddities.addresses = std::move(differ);
    if (heard != Heard::taken) return;
  } else if (oddities.addresses && oddities.addresses->source == source) {
    oddities.addresses.reset();
  }
  if (adopted(index, advertisement) < advertisement.interval)
    oddities.interval = {source, advertisement.interval, now};
  else if (oddities.interval && oddities.interval->source == source)
    oddities.interval.reset();
}

Step Group::receive(Time now, std::size_t index, const Advertisement& advertisement, const IpAddress& source,
                    Heard& heard) {
  Step step;
  heard = judge(index, advertisement, source);
  if (heard != Heard::taken) return step;
  note(now, index, advertisement, source, heard);
  if (heard != Heard::taken) return step;
  const MemberConfig& config = config_.members[index];
  if (config.priority == kPriorityOwner) heard = Heard::owner;
  if (role_ == Role::init) heard = Heard::not_started;
  if (heard != Heard::taken) return step;
  Member& member = members_[index];
  member.heard_at = now;
  member.heard_from = source;
  member.heard_priority = advertisement.priority;
  const auto among = [&](const std::vector<IpAddress>& all) {
    return std::find(all.begin(), all.end(), source) != all.end();
  };
  if (among(config.peers) && !among(peer_.sources)) member.trusted_at = now;
  if (role_ == Role::backup)
    hear_as_backup(now, index, advertisement);
  else
    hear_as_active(step, now, index, advertisement, source);
  return step;
}

void Group::set_priority(std::size_t member, std::uint8_t priority) {
  if (config_.members[member].priority != kPriorityOwner)
    members_[member].priority = std::clamp<std::uint8_t>(priority, 1, kPriorityOwner - 1);
}

Step Group::set_fault(Time now, std::size_t member, bool fault, std::string_view why) {
  Step step;
  members_[member].fault = fault;
  if (faulty())
    become_init(step, fmt::format("{}: {}", config_.members[member].name, why));
  else if (started_ && role_ == Role::init && !starts_at_)
    enter_election(step, now, "fault cleared");
  return step;
}

Step Group::release(Time now) {
  Step step;
  released_ = true;
  if (role_ != Role::active) return step;
  for (std::size_t i = 0; i < members_.size(); ++i) step.send.push_back({i, advertisement(i, kPriorityStop)});
  become_backup(step, now, "released");
  return step;
}

Step Group::yield(Time now, std::string reason) {
  Step step;
  if (role_ == Role::active) become_backup(step, now, std::move(reason));
  return step;
}

}  // namespace xlvs::ha
