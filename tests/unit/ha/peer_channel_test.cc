// SPDX-License-Identifier: Apache-2.0
#include "ha/peer_channel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <chrono>
#include <random>

namespace xlvs::ha {
namespace {

using Datagram = std::vector<std::uint8_t>;

const PeerKey kKey = PeerKey::of("the key of this pair, 32 bytes..");
const PeerKey kOtherKey = PeerKey::of("the key of another, 32 bytes....");

std::span<const std::uint8_t> bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
std::string text(std::span<const std::uint8_t> body) {
  return {body.begin(), body.end()};
}

// What became of a datagram, as a word.
std::string opened(PeerChannel& by, const Datagram& datagram) {
  const auto message = by.open(datagram);
  return message ? "taken" : std::string(to_string(message.error()));
}

Datagram heartbeat(PeerChannel& from, std::string_view body = "state") {
  return from.seal(kPeerHeartbeat, bytes(body));
}

// The datagram with its HMAC made right again: what only who has the key can send.
Datagram signed_again(Datagram datagram, const PeerKey& key = kKey) {
  std::array<std::uint8_t, 32> digest{};
  unsigned length = 0;
  const std::size_t size = datagram.size() - kPeerTag;
  HMAC(EVP_sha256(), key.bytes().data(), static_cast<int>(key.bytes().size()), datagram.data(), size, digest.data(),
       &length);
  std::copy_n(digest.begin(), kPeerTag, datagram.begin() + static_cast<std::ptrdiff_t>(size));
  return datagram;
}

class PeerChannelTest : public ::testing::Test {
 protected:
  // A channel of a router that has just started.
  static PeerChannel life(PeerUse use = PeerUse::link, const PeerKey& key = kKey) { return {use, key}; }
  // Heartbeats in turn, as they are in practice, until both know each other.
  static void meet(PeerChannel& a, PeerChannel& b) {
    for (int i = 0; i < 2; ++i) {
      std::ignore = b.open(heartbeat(a));
      std::ignore = a.open(heartbeat(b));
    }
    ASSERT_EQ(opened(b, heartbeat(a)), "taken");
    ASSERT_EQ(opened(a, heartbeat(b)), "taken");
  }

  PeerChannel a = life();
  PeerChannel b = life();
};

TEST_F(PeerChannelTest, TheFirstDatagramIsAHelloAndTheSecondIsTaken) {
  EXPECT_EQ(opened(b, heartbeat(a)), "hello");
  EXPECT_FALSE(b.established());
  EXPECT_EQ(opened(a, heartbeat(b)), "taken");  // echoes the hello's challenge
  EXPECT_TRUE(a.established());
  EXPECT_EQ(opened(b, heartbeat(a)), "taken");
  EXPECT_EQ(opened(a, heartbeat(b)), "taken");
}

TEST_F(PeerChannelTest, CarriesTypeAndBody) {
  meet(a, b);
  const std::string longest(kLargestPeerBody, 'x');
  for (const auto& [type, body] : {std::pair(kPeerGreeting, std::string()), std::pair(kPeerHeartbeat, std::string("b")),
                                   std::pair(kPeerFlows, longest)}) {
    const Datagram datagram = a.seal(type, bytes(body));
    EXPECT_EQ(datagram.size(), kPeerHeader + body.size() + kPeerTag);
    const auto message = b.open(datagram);
    ASSERT_TRUE(message);
    EXPECT_EQ(message->type, type);
    EXPECT_EQ(text(message->body), body);
    EXPECT_TRUE(message->newest);
    EXPECT_FALSE(message->first);
  }
}

TEST_F(PeerChannelTest, TheHeaderAsBytes) {
  std::uint8_t next = 0;
  PeerChannel channel(PeerUse::flows, kKey, [&next] {
    PeerNonce nonce;
    nonce.fill(++next);
    return nonce;
  });
  const Datagram datagram = channel.seal(33, bytes("body"));
  Datagram wanted{'X', 'L', 'V', 'P', 1, 2, 33, 0};
  wanted.insert(wanted.end(), 16, 1);
  wanted.insert(wanted.end(), 16, 2);
  wanted.insert(wanted.end(), 16, 0);
  wanted.insert(wanted.end(), {0, 0, 0, 0, 0, 0, 0, 1, 'b', 'o', 'd', 'y'});
  wanted.resize(wanted.size() + kPeerTag);
  EXPECT_EQ(datagram, signed_again(wanted));
}

TEST_F(PeerChannelTest, NothingIsTakenTwice) {
  meet(a, b);
  std::vector<Datagram> sent;
  for (int i = 0; i < 100; ++i) sent.push_back(heartbeat(a));
  for (const Datagram& datagram : sent) EXPECT_EQ(opened(b, datagram), "taken");
  for (const Datagram& datagram : sent) EXPECT_EQ(opened(b, datagram), "replay");
}

TEST_F(PeerChannelTest, OutOfOrderIsTakenWithinTheWindow) {
  meet(a, b);
  std::vector<Datagram> sent;
  for (std::uint64_t i = 0; i < 2 * ReplayWindow::kWidth; ++i) sent.push_back(heartbeat(a));
  std::mt19937 random(1);
  std::shuffle(sent.begin() + ReplayWindow::kWidth, sent.end(), random);
  for (std::size_t i = ReplayWindow::kWidth; i < sent.size(); ++i) EXPECT_EQ(opened(b, sent[i]), "taken") << i;
  for (std::size_t i = 0; i < sent.size(); ++i) EXPECT_EQ(opened(b, sent[i]), "replay") << i;
}

TEST_F(PeerChannelTest, OnlyTheNewestIsCalledNewest) {
  meet(a, b);
  const Datagram first = heartbeat(a);
  const Datagram second = heartbeat(a);
  EXPECT_TRUE(b.open(second)->newest);
  EXPECT_FALSE(b.open(first)->newest);
  EXPECT_TRUE(b.open(heartbeat(a))->newest);
}

TEST(ReplayWindow, EachNumberOnceInAnyOrder) {
  std::mt19937_64 random(7);
  ReplayWindow window;
  std::set<std::uint64_t> taken;
  std::uint64_t greatest = 0;
  for (int i = 0; i < 200'000; ++i) {
    // Mostly near the greatest, now and then a leap over more than the whole window.
    const std::uint64_t leap = random() % 1000 == 0 ? 5000 : 40;
    const std::uint64_t number = greatest + random() % leap - std::min<std::uint64_t>(greatest, random() % 1500);
    const bool fits = number > 0 && number + ReplayWindow::kWidth > greatest;
    EXPECT_EQ(window.take(number), fits && taken.insert(number).second) << number << " of " << greatest;
    greatest = std::max(greatest, number);
    ASSERT_EQ(window.greatest(), greatest);
  }
}

// Either end starts anew, with the other one still there; then what was recorded before is of no use.
TEST_F(PeerChannelTest, RecordingsOfAnEarlierLifeAreRefused) {
  std::vector<Datagram> recorded;
  recorded.push_back(heartbeat(a));  // the hello, too
  meet(a, b);
  for (int i = 0; i < 10; ++i) {
    recorded.push_back(heartbeat(a));
    EXPECT_EQ(opened(b, recorded.back()), "taken");
  }
  recorded.push_back(heartbeat(a));  // never arrived in its life

  a = life();
  meet(a, b);
  for (std::size_t i = 0; i < recorded.size(); ++i)
    EXPECT_EQ(opened(b, recorded[i]), i == 0 ? "hello" : "session") << i;
  EXPECT_EQ(opened(b, heartbeat(a)), "taken");  // the hello that was replayed did not disturb
  EXPECT_EQ(opened(a, heartbeat(b)), "taken");

  b = life();
  for (std::size_t i = 0; i < recorded.size(); ++i)
    EXPECT_EQ(opened(b, recorded[i]), i == 0 ? "hello" : "session") << i;
  EXPECT_FALSE(b.established());
  meet(a, b);
}

// The life before the last is as dead as the last: the challenge that it echoed is gone, though the receiver never
// restarted and remembers no sessions.
TEST_F(PeerChannelTest, NoEarlierLifeComesBack) {
  std::vector<Datagram> recorded;
  for (int lives = 0; lives < 5; ++lives) {
    a = life();
    meet(a, b);
    for (int i = 0; i < 3; ++i) recorded.push_back(heartbeat(a));
  }
  for (std::size_t i = 0; i + 3 < recorded.size(); ++i) EXPECT_EQ(opened(b, recorded[i]), "session") << i;
  EXPECT_EQ(opened(b, heartbeat(a)), "taken");
}

TEST_F(PeerChannelTest, ARestartIsSeenOnce) {
  meet(a, b);
  a = life();
  EXPECT_EQ(opened(b, heartbeat(a)), "hello");
  EXPECT_EQ(opened(a, heartbeat(b)), "taken");
  EXPECT_TRUE(b.open(heartbeat(a))->first);
  EXPECT_FALSE(b.open(heartbeat(a))->first);
}

// Both ends restart at once, and every datagram may be lost: they meet as soon as two of each arrive.
TEST_F(PeerChannelTest, EndsMeetWhateverWasLostBefore) {
  std::mt19937 random(3);
  for (int round = 0; round < 200; ++round) {
    if (random() % 2 == 0) a = life();
    if (random() % 2 == 0) b = life();
    for (auto i = random() % 6; i > 0; --i) {
      const Datagram from_a = heartbeat(a);
      const Datagram from_b = heartbeat(b);
      if (random() % 2 == 0) std::ignore = b.open(from_a);
      if (random() % 2 == 0) std::ignore = a.open(from_b);
    }
    meet(a, b);
  }
}

TEST_F(PeerChannelTest, AnyDamagedBitIsSeen) {
  meet(a, b);
  const Datagram datagram = heartbeat(a);
  for (std::size_t bit = 0; bit < datagram.size() * 8; ++bit) {
    Datagram damaged = datagram;
    damaged[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
    const std::string wanted = bit / 8 < 4 ? "magic" : (bit / 8 == 4 ? "version" : "key");
    EXPECT_EQ(opened(b, damaged), wanted) << bit;
  }
  EXPECT_EQ(opened(b, datagram), "taken");
}

TEST_F(PeerChannelTest, EveryOtherLengthIsRefused) {
  meet(a, b);
  const Datagram datagram = heartbeat(a);
  for (std::size_t length = 0; length < datagram.size(); ++length) {
    const Datagram cut(datagram.begin(), datagram.begin() + static_cast<std::ptrdiff_t>(length));
    EXPECT_EQ(opened(b, cut), length < kPeerHeader + kPeerTag ? "too_short" : "key") << length;
  }
  Datagram longer = datagram;
  for (std::size_t length = datagram.size() + 1; length <= kLargestPeerDatagram + 2; ++length) {
    longer.resize(length);
    EXPECT_EQ(opened(b, longer), length > kLargestPeerDatagram ? "too_long" : "key") << length;
  }
}

TEST_F(PeerChannelTest, AnotherKeyAnotherUseAndOurOwn) {
  meet(a, b);
  PeerChannel stranger = life(PeerUse::link, kOtherKey);
  EXPECT_EQ(opened(b, heartbeat(stranger)), "key");
  EXPECT_EQ(opened(stranger, heartbeat(b)), "key");
  PeerChannel flows = life(PeerUse::flows);
  EXPECT_EQ(opened(b, heartbeat(flows)), "use");
  EXPECT_EQ(opened(flows, heartbeat(b)), "use");
  EXPECT_EQ(opened(a, heartbeat(a)), "own");
}

TEST_F(PeerChannelTest, SequenceNumbersThatNoEndSeals) {
  meet(a, b);
  Datagram zero = heartbeat(a);
  std::fill_n(zero.begin() + 56, 8, std::uint8_t{0});
  EXPECT_EQ(opened(b, signed_again(zero)), "malformed");
  Datagram huge = zero;
  std::fill_n(huge.begin() + 56, 8, std::uint8_t{0xff});
  EXPECT_EQ(opened(b, signed_again(huge)), "malformed");
  EXPECT_EQ(opened(b, heartbeat(a)), "taken");
}

TEST_F(PeerChannelTest, CountsWhatItDid) {
  meet(a, b);
  const PeerChannelCounts before = b.counts();
  const Datagram datagram = heartbeat(a);
  std::ignore = b.open(datagram);
  std::ignore = b.open(datagram);
  std::ignore = b.open({});
  b.refuse(PeerRefusal::malformed);
  std::ignore = heartbeat(b);
  const PeerChannelCounts after = b.counts();
  EXPECT_EQ(after.opened, before.opened + 1);
  EXPECT_EQ(after.sealed, before.sealed + 1);
  const auto refused = [&](PeerRefusal reason) {
    return after.refused[static_cast<std::size_t>(reason)] - before.refused[static_cast<std::size_t>(reason)];
  };
  EXPECT_EQ(refused(PeerRefusal::replay), 1U);
  EXPECT_EQ(refused(PeerRefusal::too_short), 1U);
  EXPECT_EQ(refused(PeerRefusal::malformed), 1U);
  EXPECT_EQ(refused(PeerRefusal::key), 0U);
}

TEST(PeerRefusal, EveryReasonHasAWordOfItsOwn) {
  std::set<std::string_view> words;
  for (std::size_t i = 0; i < kPeerRefusals; ++i) words.insert(to_string(static_cast<PeerRefusal>(i)));
  EXPECT_EQ(words.size(), kPeerRefusals);
  EXPECT_EQ(words.count("unknown"), 0U);
}

// Forged, replayed, and recorded in earlier lives, a million in all: they cost some microseconds each, and the two ends
// go on as if there had been none.
TEST_F(PeerChannelTest, AMillionBadDatagramsChangeNothing) {
  meet(a, b);
  std::vector<Datagram> bad;
  for (int i = 0; i < 50; ++i) {
    bad.push_back(heartbeat(a));
    ASSERT_EQ(opened(b, bad.back()), "taken");
  }
  a = life();
  for (int i = 0; i < 50; ++i) bad.push_back(heartbeat(a));  // hellos of a life that nobody answers
  a = life();
  meet(a, b);
  PeerChannel stranger = life(PeerUse::link, kOtherKey);
  for (int i = 0; i < 50; ++i) bad.push_back(heartbeat(stranger));
  for (std::size_t i = 0; i < 50; ++i) {
    bad.push_back(bad[i]);
    bad.back().back() ^= 1;
  }
  const std::uint64_t taken = b.counts().opened;
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 1'000'000 / 200; ++i)
    for (const Datagram& datagram : bad) ASSERT_FALSE(b.open(datagram));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(60));
  EXPECT_EQ(b.counts().opened, taken);
  EXPECT_EQ(opened(b, heartbeat(a)), "taken");
  EXPECT_EQ(opened(a, heartbeat(b)), "taken");
}

}  // namespace
}  // namespace xlvs::ha
