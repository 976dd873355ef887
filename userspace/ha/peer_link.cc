// SPDX-License-Identifier: Apache-2.0
#include "ha/peer_link.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace xlvs::ha {
namespace {

// Health summaries and generations change often and concern people only: they can wait for the next beat.
bool concerns_the_election(const PeerState& a, const PeerState& b) {
  return a.role != b.role || a.priority != b.priority || a.released != b.released || a.source != b.source;
}

}  // namespace

PeerLink::PeerLink(std::chrono::milliseconds interval, PeerKey key, PeerChannel::Random random)
    : interval_(interval), channel_(PeerUse::link, std::move(key), std::move(random)) {}

// Until the next heartbeat.
std::chrono::milliseconds PeerLink::pause() const {
  return searches() ? std::min(interval_, kSearchInterval) : interval_;
}

PeerLink::Datagram PeerLink::heartbeat(Time now) {
  next_beat_ = now + pause();
  return channel_.seal(kPeerHeartbeat, encode(*own_));
}

std::vector<PeerLink::Datagram> PeerLink::update(Time now, PeerState own) {
  own.interval = interval_;
  const bool at_once = !own_ || concerns_the_election(*own_, own);
  own_ = std::move(own);
  if (!at_once) return {};
  return {heartbeat(now)};
}

// The rhythm is kept from due time to due time, unless a beat was missed altogether.
std::vector<PeerLink::Datagram> PeerLink::tick(Time now) {
  if (alive_ && now >= silent_at()) {
    alive_ = false;
    next_beat_ = std::min(next_beat_, now);
  }
  if (!own_ || now < next_beat_) return {};
  const Time due = next_beat_;
  std::vector<Datagram> send{heartbeat(now)};
  if (due + pause() > now) next_beat_ = due + pause();
  return send;
}

Time PeerLink::silent_at() const {
  return *heard_at_ + kSilentIntervals * peer_->interval;
}

std::optional<Time> PeerLink::next_due() const {
  if (!own_) return std::nullopt;
  return alive_ ? std::min(next_beat_, silent_at()) : next_beat_;
}

std::vector<PeerLink::Datagram> PeerLink::receive(Time now, std::span<const std::uint8_t> datagram, bool from_peer) {
  if (!from_peer) {
    channel_.refuse(PeerRefusal::source);
    return {};
  }
  const auto message = channel_.open(datagram);
  if (!message) {
    if (message.error() != PeerRefusal::hello || !own_ || now < next_answer_) return {};
    next_answer_ = now + kAnswerPause;
    return {heartbeat(now)};
  }
  if (message->type == kPeerHeartbeat)
    hear(now, *message);
  else if (message->type != kPeerGreeting)
    channel_.refuse(PeerRefusal::malformed);
  // A peer that has just let itself in does not know this router's state yet.
  if (!message->first || !own_) return {};
  return {heartbeat(now)};
}

void PeerLink::hear(Time now, const PeerMessage& message) {
  auto state = decode_state(message.body);
  if (!state) return channel_.refuse(PeerRefusal::malformed);
  if (!message.newest) return;  // overtaken by one that is the truth of a later moment
  peer_ = std::move(*state);
  heard_at_ = now;
  alive_ = true;
}

PeerView PeerLink::view() const {
  PeerView view;
  if (!alive_ || !own_) return view;
  view.alive = true;
  view.active = peer_->role == Role::active;
  view.takes_part = peer_->role == Role::backup;
  view.before = std::tuple(!own_->released, own_->priority, own_->source) <
                std::tuple(!peer_->released, peer_->priority, peer_->source);
  view.sources.push_back(peer_->source);
  for (const PeerInstance& instance : peer_->instances) view.sources.push_back(instance.source);
  return view;
}

bool PeerLink::must_yield() const {
  if (!own_ || own_->role != Role::active || !peer_is_active()) return false;
  return std::tie(own_->priority, own_->source) < std::tie(peer_->priority, peer_->source);
}

}  // namespace xlvs::ha
