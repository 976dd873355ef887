// SPDX-License-Identifier: Apache-2.0
// The second path between the two routers of a pair: heartbeats, each with the sender's state at that moment. Pure:
// time and datagrams come in, and what is to be sent comes out. Time is monotonic. Thread rule: one thread at a time.
//
// A router sends every interval, at once when its role or another thing that the election depends on changes, and at
// once (but no more often than kAnswerPause) to let a peer in that has just started. The peer is alive while it has
// been heard within three of its own intervals. A router that is active and does not hear its peer sends every
// kSearchInterval: that one may be active, too, and as soon as a broken path heals one of them has to yield.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ha/peer_channel.h"
#include "ha/peer_state.h"
#include "ha/vrrp.h"

namespace xlvs::ha {

class PeerLink {
 public:
  using Datagram = std::vector<std::uint8_t>;
  static constexpr int kSilentIntervals = 3;
  static constexpr std::chrono::milliseconds kAnswerPause{50};
  static constexpr std::chrono::milliseconds kSearchInterval{25};

  PeerLink(std::chrono::milliseconds interval, PeerKey key, PeerChannel::Random random = random_nonce);

  // This router's state as it is now; `interval` is filled in. The first call starts the heartbeats.
  [[nodiscard]] std::vector<Datagram> update(Time now, PeerState own);
  // Sends and notices silence, when due. Call at next_due() or later.
  [[nodiscard]] std::vector<Datagram> tick(Time now);
  [[nodiscard]] std::optional<Time> next_due() const;
  // `from_peer`: it came from the peer's address.
  [[nodiscard]] std::vector<Datagram> receive(Time now, std::span<const std::uint8_t> datagram, bool from_peer);

  [[nodiscard]] bool alive() const { return alive_; }
  // What it said last; nullopt: nothing yet. Not the present when it is not alive.
  [[nodiscard]] const std::optional<PeerState>& peer() const { return peer_; }
  [[nodiscard]] std::optional<Time> heard_at() const { return heard_at_; }
  // This router is active and does not hear its peer.
  [[nodiscard]] bool searches() const { return own_ && own_->role == Role::active && !alive_; }
  // Alive, and says that it is active.
  [[nodiscard]] bool peer_is_active() const { return alive_ && peer_->role == Role::active; }
  // What the election may make of all that.
  [[nodiscard]] PeerView view() const;
  // Both are active, and this router is the one to yield: the one of lower priority, then of the lower address.
  [[nodiscard]] bool must_yield() const;
  [[nodiscard]] const PeerChannelCounts& counts() const { return channel_.counts(); }

 private:
  [[nodiscard]] Datagram heartbeat(Time now);
  [[nodiscard]] std::chrono::milliseconds pause() const;
  void hear(Time now, const PeerMessage& message);
  [[nodiscard]] Time silent_at() const;

  std::chrono::milliseconds interval_;
  PeerChannel channel_;
  std::optional<PeerState> own_;
  Time next_beat_{};
  Time next_answer_{};
  bool alive_ = false;
  std::optional<PeerState> peer_;
  std::optional<Time> heard_at_;
};

}  // namespace xlvs::ha
