// SPDX-License-Identifier: Apache-2.0
#include "net/neighbours.h"

#include <algorithm>

namespace xlvs::net {
namespace {

using namespace std::chrono_literals;

constexpr auto kUseInterval = 1000ms;  // of one neighbour, at least
constexpr int kJitterMs = 250;         // spreads the ARP of neighbours that fell silent together

constexpr std::uint16_t kResolved = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP;

bool wants_use(std::uint16_t state) {
  return state == NUD_NONE || (state & (NUD_STALE | NUD_FAILED)) != 0;
}

}  // namespace

Neighbours::Neighbours(NetlinkSocket& requests, Changed changed)
    : requests_(requests), changed_(std::move(changed)), random_(std::random_device{}()) {}

void Neighbours::attach(const NeighbourKey& key, const IpAddress& user) {
  entries_[key].users.insert(user);
}

void Neighbours::detach(const NeighbourKey& key, const IpAddress& user) {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return;
  found->second.users.erase(user);
  if (!found->second.users.empty()) return;
  unschedule(key, found->second);
  entries_.erase(found);
}

Neighbours::View Neighbours::view(const NeighbourKey& key) {
  Entry& entry = entries_.at(key);
  if (entry.must_read) read(key, entry);
  return {entry.mac, entry.failure};
}

void Neighbours::on_event(const NeighbourInfo& info) {
  const auto found = entries_.find(info.key);
  if (found != entries_.end()) update(found->first, found->second, info);
}

void Neighbours::read_again() {
  for (auto& [key, entry] : entries_) entry.must_read = true;
}

void Neighbours::read(const NeighbourKey& key, Entry& entry) {
  auto info = get_neighbour(requests_, key);
  entry.must_read = !info;
  // Whoever asked before us may have done so while the link was down, and will ask again only in a second.
  if (info && (info->state & NUD_INCOMPLETE) != 0 && entry.last_use == Clock::time_point{}) {
    forget_neighbour(requests_, key);
    info->state = NUD_NONE;
  }
  if (info) {
    update(key, entry, *info);
  } else {
    schedule(key, entry, Clock::now() + kUseInterval);
  }
}

// INCOMPLETE and NONE decide nothing: a known MAC is kept until the kernel says FAILED, and after that the neighbour
// stays lost until it has answered.
void Neighbours::update(const NeighbourKey& key, Entry& entry, const NeighbourInfo& info) {
  entry.state = info.state;
  bool changed = false;
  if ((info.state & kResolved) != 0 && info.mac) {
    changed = entry.mac != info.mac || !entry.failure.empty();
    entry.mac = info.mac;
    entry.failure.clear();
  } else if ((info.state & NUD_FAILED) != 0) {
    changed = entry.mac || entry.failure.empty();
    // A failure from before anyone asked for this neighbour is no news.
    const bool ours = entry.mac || entry.last_use != Clock::time_point{};
    if (ours) entry.failure = fmt::format("does not answer {}", key.address.is_v4() ? "ARP" : "neighbour discovery");
    entry.mac.reset();
  }
  if (wants_use(info.state)) {
    schedule(key, entry, next_use(entry));
  } else {
    unschedule(key, entry);
  }
  if (changed) report(entry);
}

bool Neighbours::provoke_next() {
  if (due_.empty() || due_.begin()->first > Clock::now()) return false;
  const NeighbourKey key = due_.begin()->second;
  Entry& entry = entries_.at(key);
  unschedule(key, entry);
  // The entry may have changed since (to PERMANENT, which NTF_USE would undo).
  read(key, entry);
  if (!entry.must_read && wants_use(entry.state)) use(key, entry);
  return true;
}

void Neighbours::use(const NeighbourKey& key, Entry& entry) {
  unschedule(key, entry);  // the kernel takes it from here, and tells how it ended
  entry.last_use = Clock::now();
  const auto used = use_neighbour(requests_, key);
  if (used) return;
  schedule(key, entry, next_use(entry));
  if (entry.mac || entry.failure == used.error().message) return;
  entry.failure = used.error().message;
  report(entry);
}

std::optional<Neighbours::Clock::time_point> Neighbours::next_due() const {
  if (due_.empty()) return std::nullopt;
  return due_.begin()->first;
}

// A new or newly lost neighbour is due at once; one that is stale, or keeps failing, after the interval.
Neighbours::Clock::time_point Neighbours::next_use(const Entry& entry) {
  const auto now = Clock::now();
  const auto jitter = std::chrono::milliseconds(random_() % kJitterMs);
  if ((entry.state & NUD_STALE) != 0) return std::max(now, entry.last_use + kUseInterval) + jitter;
  if (entry.last_use + kUseInterval <= now) return now;
  return entry.last_use + kUseInterval + jitter;
}

void Neighbours::schedule(const NeighbourKey& key, Entry& entry, Clock::time_point when) {
  unschedule(key, entry);
  entry.due = when;
  due_.emplace(when, key);
}

void Neighbours::unschedule(const NeighbourKey& key, Entry& entry) {
  if (!entry.due) return;
  due_.erase({*entry.due, key});
  entry.due.reset();
}

void Neighbours::report(const Entry& entry) {
  for (const IpAddress& user : entry.users) changed_(user);
}

}  // namespace xlvs::net
