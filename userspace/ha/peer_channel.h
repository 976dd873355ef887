// SPDX-License-Identifier: Apache-2.0
// Datagrams between the two routers of a pair: sealed by one, opened by the other. What open() gives was sealed by
// whoever has the key, in the present life of both ends, and is given once. Pure: no socket, no clock. Thread rule: one
// thread at a time; a socket of its own has a channel of its own.
//
//   0  magic "XLVP"      4  version 1      5  use      6  type      7  0
//   8  session (16)     random, the sender's, for as long as its channel lives
//  24  challenge (16)   random, the sender's; what an unknown session must echo to be taken
//  40  echo (16)        the challenge last heard from the other side; zeros: none yet
//  56  sequence (8)     of the session, from 1; big-endian
//  64  body (0 to 1372)
//  ..  HMAC-SHA256 over all of it, the first 16 bytes
//
// A datagram of the session that is known is taken if its sequence number is new (ReplayWindow: it may come out of
// order). A datagram of another session is taken only if it echoes the challenge in force here; that makes its session
// the known one, and ends the challenge: a new one takes its place. So whatever was recorded in an earlier life of
// either end echoes something that was, and no memory of earlier lives is needed. A datagram of another session that
// echoes nothing is a hello: it has no effect but that the next seal() echoes its challenge. When one end starts, its
// first datagram is a hello, what the other end seals next tells it the challenge, and its second datagram is taken.
//
// Not promised: confidentiality, and that a datagram is young. Who can keep datagrams from arriving can let them arrive
// later, each once.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include "ha/peer_key.h"
#include "ha/replay_window.h"

namespace xlvs::ha {

// One key serves several channels; none takes what was sealed for another.
enum class PeerUse : std::uint8_t { link = 1, flows = 2, config = 3 };

// The types of the bodies, which are opaque here: each use gives them a meaning.
inline constexpr std::uint8_t kPeerGreeting = 0;  // no body: who is there, and nothing else
inline constexpr std::uint8_t kPeerHeartbeat = 1;
inline constexpr std::uint8_t kPeerFlows = 32;

inline constexpr std::size_t kPeerHeader = 64;
inline constexpr std::size_t kPeerTag = 16;
inline constexpr std::size_t kLargestPeerDatagram = 1452;  // an Ethernet frame, with IPv6 and UDP
inline constexpr std::size_t kLargestPeerBody = kLargestPeerDatagram - kPeerHeader - kPeerTag;

using PeerNonce = std::array<std::uint8_t, 16>;
[[nodiscard]] PeerNonce random_nonce();  // never all zeros

// Why a datagram was not taken. The words of to_string() are metric labels and stay.
enum class PeerRefusal : std::uint8_t {
  hello,      // no offence: seal something to let the other side in, but not without a limit on the rate
  too_short,  // than header and tag
  too_long,
  magic,      // not of this protocol
  version,    // of the protocol
  key,        // the HMAC is wrong: another key, forged, or damaged
  use,        // for another channel
  own,        // from ourselves
  session,    // of an earlier life of either end, or not yet let in
  replay,     // seen before, or too old to tell
  source,     // for users: not from the other router's address, see refuse()
  malformed,  // authentic, but no end of ours seals such: a sequence number of 0, say, or what a user refuse()s
};
inline constexpr std::size_t kPeerRefusals = 12;
[[nodiscard]] std::string_view to_string(PeerRefusal refusal);

struct PeerMessage {
  std::uint8_t type = 0;
  std::uint64_t sequence = 0;
  bool newest = false;                 // nothing sealed after it has been opened before
  bool first = false;                  // of a life of the other end: it has (re)started
  std::span<const std::uint8_t> body;  // lies in the datagram
};

struct PeerChannelCounts {
  std::uint64_t sealed = 0;
  std::uint64_t opened = 0;
  std::array<std::uint64_t, kPeerRefusals> refused{};  // by PeerRefusal
};

class PeerChannel {
 public:
  using Random = std::function<PeerNonce()>;

  PeerChannel(PeerUse use, PeerKey key, Random random = random_nonce);

  // A whole datagram; each call makes another, fit to be sent once. `body`: at most kLargestPeerBody bytes.
  [[nodiscard]] std::vector<std::uint8_t> seal(std::uint8_t type, std::span<const std::uint8_t> body);
  // Any bytes. A refusal has changed nothing but the count of its reason (and, `hello`, what seal() echoes next).
  [[nodiscard]] tl::expected<PeerMessage, PeerRefusal> open(std::span<const std::uint8_t> datagram);
  // For what a user finds wrong with a datagram or with an opened message; counted with the rest.
  void refuse(PeerRefusal reason) { counts_.refused[static_cast<std::size_t>(reason)]++; }

  // The other end's session is known. It may have ended since.
  [[nodiscard]] bool established() const { return session_.has_value(); }
  [[nodiscard]] const PeerChannelCounts& counts() const { return counts_; }

 private:
  [[nodiscard]] tl::expected<PeerMessage, PeerRefusal> judge(std::span<const std::uint8_t> datagram);
  [[nodiscard]] std::array<std::uint8_t, kPeerTag> tag(std::span<const std::uint8_t> bytes) const;

  PeerUse use_;
  PeerKey key_;
  Random random_;
  PeerNonce own_session_;
  PeerNonce own_challenge_;
  std::uint64_t sequence_ = 0;
  std::optional<PeerNonce> session_;  // the other end's
  PeerNonce challenge_{};             // the other end's, as last heard
  std::optional<PeerNonce> hello_;    // to be echoed once
  ReplayWindow window_;
  PeerChannelCounts counts_;
};

}  // namespace xlvs::ha
