// SPDX-License-Identifier: Apache-2.0
#include "ha/speaker_peer.h"

#include <utility>

namespace xlvs::ha {
namespace {

// Before others get their turn: some hundred microseconds of a flood of forged ones.
constexpr int kDatagramsPerTurn = 64;

}  // namespace

Result<SpeakerPeer> SpeakerPeer::open(const PeerConfig& config, const IpAddress& source) {
  auto key = PeerKey::load(config.key_file);
  if (!key) return tl::make_unexpected(key.error());
  // At a reload the next speaker opens its socket while the one before still has its own.
  auto socket = PeerSocket::open(config.local, config.address, config.port, true);
  if (!socket) return tl::make_unexpected(socket.error());
  return SpeakerPeer(config, source, std::move(*key), std::move(*socket));
}

void SpeakerPeer::send(const std::vector<PeerLink::Datagram>& datagrams) {
  for (const PeerLink::Datagram& datagram : datagrams)
    if (socket_.send(datagram) != 0) ++send_errors_;
}

void SpeakerPeer::tell(Time now, PeerState state) {
  state.source = source_;
  state.facts = facts_;
  send(link_.update(now, std::move(state)));
}

bool SpeakerPeer::hear(Time now) {
  for (int i = 0; i < kDatagramsPerTurn; ++i) {
    const auto packet = socket_.receive();
    if (!packet) break;
    send(link_.receive(now, packet->bytes, packet->from_peer));
  }
  const auto due = link_.tick(now);
  send(due);
  return !due.empty() && link_.searches();
}

PeerLinkReport SpeakerPeer::report() const {
  return {config_, link_.alive(), link_.peer(), link_.heard_at(), facts_, send_errors_, link_.counts()};
}

}  // namespace xlvs::ha
