// SPDX-License-Identifier: Apache-2.0
// The body of a heartbeat, and datagrams of the peer link: raw bytes, and what somebody with the key might seal.
// Whatever comes, nothing is taken twice, and the two ends still understand each other afterwards. Input: datagrams,
// each a byte of instructions, two of length, and bytes.
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "ha/peer_channel.h"
#include "ha/peer_state.h"

namespace {

using namespace xlvs::ha;
using Datagram = std::vector<std::uint8_t>;

constexpr unsigned kSign = 1;     // with the right HMAC
constexpr unsigned kHeader = 2;   // magic, version and use of a datagram that the other end seals
constexpr unsigned kSession = 4;  // and its session and challenges
constexpr unsigned kRestart = 8;  // the receiver begins a new life first

void require(bool condition) {
  if (!condition) std::abort();
}

const PeerKey& key() {
  static const PeerKey made = PeerKey::of("the key of this pair, 32 bytes..");
  return made;
}

void sign(Datagram& datagram) {
  if (datagram.size() < kPeerTag) return;
  std::uint8_t digest[32];
  const std::size_t size = datagram.size() - kPeerTag;
  HMAC(EVP_sha256(), key().bytes().data(), static_cast<int>(key().bytes().size()), datagram.data(), size, digest,
       nullptr);
  std::copy_n(digest, kPeerTag, datagram.begin() + static_cast<std::ptrdiff_t>(size));
}

// Nonces that differ but do not depend on luck: a finding can be repeated.
PeerNonce next_nonce() {
  static std::uint64_t count = 0;
  ++count;
  PeerNonce nonce{};
  for (std::size_t i = 0; i < 8; ++i) nonce[i] = static_cast<std::uint8_t>(count >> (8 * i));
  return nonce;
}

PeerChannel channel() {
  return {PeerUse::link, key(), next_nonce};
}

bool arrives(PeerChannel& from, PeerChannel& to) {
  return to.open(from.seal(kPeerHeartbeat, {})).has_value();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (const auto state = decode_state({data, size})) require(decode_state(encode(*state)) == state);
  PeerChannel ours = channel();
  PeerChannel theirs = channel();
  std::span<const std::uint8_t> input(data, size);
  while (input.size() >= 3) {
    const unsigned instructions = input[0];
    const std::size_t length = std::min<std::size_t>(input[1] | input[2] << 8, input.size() - 3);
    Datagram datagram(input.begin() + 3, input.begin() + 3 + static_cast<std::ptrdiff_t>(length));
    input = input.subspan(3 + length);
    if ((instructions & kRestart) != 0) ours = channel();
    const Datagram genuine = theirs.seal(kPeerHeartbeat, {});
    const std::size_t copied = (instructions & kSession) != 0 ? 56 : ((instructions & kHeader) != 0 ? 6 : 0);
    std::copy_n(genuine.begin(), std::min(copied, datagram.size()), datagram.begin());
    if ((instructions & kSign) != 0) sign(datagram);
    const auto message = ours.open(datagram);
    if (message) {
      require((instructions & kSign) != 0 && message->body.size() == datagram.size() - kPeerHeader - kPeerTag);
      require(!ours.open(datagram));
    } else {
      require(to_string(message.error()) != "unknown");
    }
    (void)arrives(ours, theirs);
  }
  // Somebody with the key may have taken the session for his own; one more life ends that.
  theirs = channel();
  (void)arrives(theirs, ours);
  require(arrives(ours, theirs));
  require(arrives(theirs, ours));
  require(arrives(ours, theirs));
  return 0;
}
