// SPDX-License-Identifier: Apache-2.0
#include "ha/peer_channel.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace xlvs::ha {
namespace {

constexpr std::array<std::uint8_t, 4> kMagic{'X', 'L', 'V', 'P'};
constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kVersionAt = 4;
constexpr std::size_t kUseAt = 5;
constexpr std::size_t kTypeAt = 6;
constexpr std::size_t kSessionAt = 8;
constexpr std::size_t kChallengeAt = 24;
constexpr std::size_t kEchoAt = 40;
constexpr std::size_t kSequenceAt = 56;

constexpr std::uint64_t kLastSequence = UINT64_MAX / 2;  // far beyond what any life seals

constexpr PeerNonce kNone{};

PeerNonce nonce_at(std::span<const std::uint8_t> datagram, std::size_t offset) {
  PeerNonce nonce;
  std::copy_n(datagram.begin() + static_cast<std::ptrdiff_t>(offset), nonce.size(), nonce.begin());
  return nonce;
}

std::uint64_t sequence_of(std::span<const std::uint8_t> datagram) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < sizeof value; ++i) value = value << 8 | datagram[kSequenceAt + i];
  return value;
}

}  // namespace

// A router without randomness can not be told from its earlier lives: better none.
PeerNonce random_nonce() {
  PeerNonce nonce{};
  while (nonce == kNone)
    if (RAND_bytes(nonce.data(), static_cast<int>(nonce.size())) != 1) std::abort();
  return nonce;
}

std::string_view to_string(PeerRefusal refusal) {
  switch (refusal) {
    case PeerRefusal::hello:
      return "hello";
    case PeerRefusal::too_short:
      return "too_short";
    case PeerRefusal::too_long:
      return "too_long";
    case PeerRefusal::magic:
      return "magic";
    case PeerRefusal::version:
      return "version";
    case PeerRefusal::key:
      return "key";
    case PeerRefusal::use:
      return "use";
    case PeerRefusal::own:
      return "own";
    case PeerRefusal::session:
      return "session";
    case PeerRefusal::replay:
      return "replay";
    case PeerRefusal::source:
      return "source";
    case PeerRefusal::malformed:
      return "malformed";
  }
  return "unknown";
}

PeerChannel::PeerChannel(PeerUse use, PeerKey key, Random random)
    : use_(use), key_(std::move(key)), random_(std::move(random)), own_session_(random_()), own_challenge_(random_()) {}

std::array<std::uint8_t, kPeerTag> PeerChannel::tag(std::span<const std::uint8_t> bytes) const {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  unsigned length = 0;
  if (HMAC(EVP_sha256(), key_.bytes().data(), static_cast<int>(key_.bytes().size()), bytes.data(), bytes.size(),
           digest.data(), &length) == nullptr)
    std::abort();
  std::array<std::uint8_t, kPeerTag> result{};
  std::copy_n(digest.begin(), result.size(), result.begin());
  return result;
}

std::vector<std::uint8_t> PeerChannel::seal(std::uint8_t type, std::span<const std::uint8_t> body) {
  if (body.size() > kLargestPeerBody) std::abort();
  std::vector<std::uint8_t> datagram;
  datagram.reserve(kPeerHeader + body.size() + kPeerTag);
  const auto put = [&](const auto& bytes) { datagram.insert(datagram.end(), bytes.begin(), bytes.end()); };
  put(kMagic);
  put(std::array<std::uint8_t, 4>{kVersion, static_cast<std::uint8_t>(use_), type, 0});
  put(own_session_);
  put(own_challenge_);
  put(hello_.value_or(challenge_));
  hello_.reset();
  ++sequence_;
  for (int shift = 56; shift >= 0; shift -= 8) datagram.push_back(static_cast<std::uint8_t>(sequence_ >> shift));
  put(body);
  put(tag(datagram));
  counts_.sealed++;
  return datagram;
}

tl::expected<PeerMessage, PeerRefusal> PeerChannel::open(std::span<const std::uint8_t> datagram) {
  auto message = judge(datagram);
  if (message)
    counts_.opened++;
  else
    refuse(message.error());
  return message;
}

tl::expected<PeerMessage, PeerRefusal> PeerChannel::judge(std::span<const std::uint8_t> datagram) {
  const auto refused = [](PeerRefusal reason) { return tl::make_unexpected(reason); };
  // Before the HMAC only what costs nothing to find.
  if (datagram.size() < kPeerHeader + kPeerTag) return refused(PeerRefusal::too_short);
  if (datagram.size() > kLargestPeerDatagram) return refused(PeerRefusal::too_long);
  if (!std::equal(kMagic.begin(), kMagic.end(), datagram.begin())) return refused(PeerRefusal::magic);
  if (datagram[kVersionAt] != kVersion) return refused(PeerRefusal::version);
  const auto signed_part = datagram.first(datagram.size() - kPeerTag);
  const auto expected = tag(signed_part);
  if (CRYPTO_memcmp(expected.data(), datagram.data() + signed_part.size(), kPeerTag) != 0)
    return refused(PeerRefusal::key);

  if (datagram[kUseAt] != static_cast<std::uint8_t>(use_)) return refused(PeerRefusal::use);
  const PeerNonce session = nonce_at(datagram, kSessionAt);
  if (session == own_session_) return refused(PeerRefusal::own);
  PeerMessage message{datagram[kTypeAt], sequence_of(datagram), false, session != session_,
                      signed_part.subspan(kPeerHeader)};
  if (message.sequence == 0 || message.sequence > kLastSequence) return refused(PeerRefusal::malformed);
  if (message.first) {
    const PeerNonce echo = nonce_at(datagram, kEchoAt);
    if (echo == kNone) {
      hello_ = nonce_at(datagram, kChallengeAt);
      return refused(PeerRefusal::hello);
    }
    if (echo != own_challenge_) return refused(PeerRefusal::session);
    session_ = session;
    own_challenge_ = random_();
    window_ = {};
  }
  message.newest = message.sequence > window_.greatest();
  if (!window_.take(message.sequence)) return refused(PeerRefusal::replay);
  if (message.newest) challenge_ = nonce_at(datagram, kChallengeAt);
  return message;
}

}  // namespace xlvs::ha
