// SPDX-License-Identifier: Apache-2.0
// Sockets on the loopback interface, where every address of 127.0.0.0/8 is the host's.
#include "ha/peer_socket.h"

#include <tuple>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "ha/peer_channel.h"
#include "ha/speaker_peer.h"

namespace xlvs::ha {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

IpAddress ip(std::string_view text) {
  return IpAddress::parse(text).value();
}

// Another for every process, so that tests run side by side.
std::uint16_t port() {
  return static_cast<std::uint16_t>(20'000 + getpid() % 10'000);
}

PeerSocket open(std::string_view local, std::string_view address) {
  auto socket = PeerSocket::open(ip(local), ip(address), port());
  EXPECT_TRUE(socket) << socket.error().message;
  return std::move(*socket);
}

bool arrives(int fd) {
  pollfd waiting{fd, POLLIN, 0};
  return poll(&waiting, 1, 5000) == 1;
}

TEST(PeerSocket, CarriesDatagramsBothWays) {
  PeerSocket a = open("127.9.0.1", "127.9.0.2");
  PeerSocket b = open("127.9.0.2", "127.9.0.1");
  const std::vector<std::uint8_t> sent{1, 2, 3};
  EXPECT_EQ(a.send(sent), 0);
  EXPECT_EQ(a.send({}), 0);
  ASSERT_TRUE(arrives(b.fd()));
  const auto packet = b.receive();
  ASSERT_TRUE(packet);
  EXPECT_TRUE(packet->from_peer);
  EXPECT_EQ(packet->bytes, sent);
  ASSERT_TRUE(arrives(b.fd()));
  EXPECT_TRUE(b.receive()->bytes.empty());
  EXPECT_FALSE(b.receive());
  EXPECT_EQ(b.send(sent), 0);
  ASSERT_TRUE(arrives(a.fd()));
  EXPECT_TRUE(a.receive()->from_peer);
}

TEST(PeerSocket, KnowsWhoIsNotThePeer) {
  PeerSocket a = open("127.9.0.1", "127.9.0.2");
  PeerSocket stranger = open("127.9.0.3", "127.9.0.1");
  EXPECT_EQ(stranger.send(std::array<std::uint8_t, 1>{7}), 0);
  ASSERT_TRUE(arrives(a.fd()));
  EXPECT_FALSE(a.receive()->from_peer);
}

TEST(PeerSocket, LongDatagramsAreCutWhereTheyAreTooLong) {
  PeerSocket a = open("127.9.0.1", "127.9.0.2");
  PeerSocket b = open("127.9.0.2", "127.9.0.1");
  EXPECT_EQ(a.send(std::vector<std::uint8_t>(9000)), 0);
  ASSERT_TRUE(arrives(b.fd()));
  EXPECT_EQ(b.receive()->bytes.size(), kLargestPeerDatagram + 1);
}

TEST(PeerSocket, TheAddressNeedNotBeThere) {
  PeerSocket a = open("192.0.2.1", "192.0.2.2");
  EXPECT_GE(a.fd(), 0);
  PeerSocket six = open("2001:db8::1", "2001:db8::2");
  EXPECT_GE(six.fd(), 0);
  EXPECT_FALSE(six.receive());
}

TEST(PeerSocket, TheNextSpeakersOpensBesideThisOnes) {
  const auto beside = [](bool shared) { return PeerSocket::open(ip("127.9.0.4"), ip("127.9.0.2"), port(), shared); };
  const auto before = beside(true);
  const auto after = beside(true);
  ASSERT_TRUE(before && after);
  EXPECT_FALSE(beside(false)) << "who does not say so wants the port for itself";
}

class SpeakerPeerTest : public ::testing::Test {
 protected:
  SpeakerPeerTest() {
    std::string pattern = testing::TempDir() + "speaker-peer-XXXXXX";
    folder = mkdtemp(pattern.data());
    key = folder + "/key";
    std::ofstream(key) << std::string(32, 'k');
    chmod(key.c_str(), 0600);
  }
  ~SpeakerPeerTest() override {
    unlink(key.c_str());
    rmdir(folder.c_str());
  }
  [[nodiscard]] SpeakerPeer end(int own, int other, Takeover takeover = Takeover::both_silent) const {
    PeerConfig config;
    config.local = ip("127.9.1." + std::to_string(own));
    config.address = ip("127.9.1." + std::to_string(other));
    config.port = port();
    config.key_file = key;
    config.interval = milliseconds(20);
    config.takeover = takeover;
    auto opened = SpeakerPeer::open(config, config.local);
    EXPECT_TRUE(opened) << opened.error().message;
    return std::move(*opened);
  }
  // Both take turns until `done`, or for five seconds.
  template <typename Condition>
  static bool turns(SpeakerPeer& a, SpeakerPeer& b, Condition done) {
    const Time give_up = Clock::now() + std::chrono::seconds(5);
    while (!done()) {
      if (Clock::now() > give_up) return false;
      std::ignore = a.hear(Clock::now());
      std::ignore = b.hear(Clock::now());
      std::this_thread::sleep_for(milliseconds(1));
    }
    return true;
  }
  static PeerState state(Role role, std::uint8_t priority) {
    PeerState state;
    state.role = role;
    state.priority = priority;
    return state;
  }

  std::string folder, key;
};

TEST_F(SpeakerPeerTest, TwoOfThemDecideWhoYields) {
  SpeakerPeer a = end(1, 2);
  SpeakerPeer b = end(2, 1);
  a.set_facts({7, "aa", {}});
  a.tell(Clock::now(), state(Role::active, 150));
  b.tell(Clock::now(), state(Role::active, 100));
  EXPECT_TRUE(turns(a, b, [&] { return b.must_yield() && a.report().alive; }));
  EXPECT_FALSE(a.must_yield());
  EXPECT_EQ(b.report().peer->facts.generation, 7U);
  EXPECT_EQ(b.report().peer->source, ip("127.9.1.1"));
  b.tell(Clock::now(), state(Role::backup, 100));
  EXPECT_FALSE(b.must_yield());
  EXPECT_TRUE(b.is_active());
  EXPECT_TRUE(turns(a, b, [&] { return a.report().peer->role == Role::backup; }));
}

TEST_F(SpeakerPeerTest, WithTakeoverVrrpItHasNoSay) {
  SpeakerPeer a = end(1, 2, Takeover::vrrp);
  SpeakerPeer b = end(2, 1, Takeover::vrrp);
  a.tell(Clock::now(), state(Role::active, 150));
  b.tell(Clock::now(), state(Role::active, 100));
  EXPECT_TRUE(turns(a, b, [&] { return b.report().alive && b.report().peer->role == Role::active; }));
  EXPECT_FALSE(b.must_yield());
  EXPECT_FALSE(b.is_active());
}

TEST_F(SpeakerPeerTest, ErrorsNameTheKeyFile) {
  PeerConfig config;
  config.key_file = folder + "/none";
  const auto opened = SpeakerPeer::open(config, {});
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().message, HasSubstr(config.key_file));
}

}  // namespace
}  // namespace xlvs::ha
