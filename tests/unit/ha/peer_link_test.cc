// SPDX-License-Identifier: Apache-2.0
// Two links on one clock, with a wire between them that the test cuts. Times are milliseconds since the start.
#include "ha/peer_link.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace xlvs::ha {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kInterval{200};

Time at(int ms) {
  return Time(milliseconds(100'000 + ms));
}

PeerState state(Role role, int priority, std::string_view source) {
  PeerState state;
  state.role = role;
  state.priority = static_cast<std::uint8_t>(priority);
  state.source = IpAddress::parse(source).value();
  return state;
}

struct End {
  PeerLink link{kInterval, PeerKey::of("the key of this pair, 32 bytes..")};
  PeerState own;
  bool cut = false;  // what it sends is lost
  int sent = 0;
};

class PeerLinkTest : public ::testing::Test {
 protected:
  void carry(End& from, End& to, const std::vector<PeerLink::Datagram>& datagrams) {
    for (const PeerLink::Datagram& datagram : datagrams) {
      ++from.sent;
      if (from.cut) continue;
      carry(to, from, to.link.receive(at(now), datagram, true));
    }
  }
  void become(End& end, Role role) {
    end.own.role = role;
    carry(end, other(end), end.link.update(at(now), end.own));
  }
  End& other(End& end) { return &end == &a ? b : a; }
  void start(Role role_a = Role::active, Role role_b = Role::backup) {
    become(a, role_a);
    become(b, role_b);
  }
  void restart(End& end, milliseconds interval = kInterval) {
    end.link = PeerLink(interval, PeerKey::of("the key of this pair, 32 bytes.."));
  }
  // Ticks both at their due times up to and including `until`.
  void run_until(int until) {
    for (;;) {
      End* next = nullptr;
      for (End* end : {&a, &b})
        if (end->link.next_due() && (next == nullptr || *end->link.next_due() < *next->link.next_due())) next = end;
      if (next == nullptr || *next->link.next_due() > at(until)) break;
      now = std::max(now, static_cast<int>((*next->link.next_due() - at(0)) / milliseconds(1)));
      carry(*next, other(*next), next->link.tick(at(now)));
    }
    now = until;
  }

  End a{.own = state(Role::init, 150, "10.0.0.1")};
  End b{.own = state(Role::init, 100, "10.0.0.2")};
  int now = 0;
};

TEST_F(PeerLinkTest, TheyKnowEachOtherAtOnce) {
  EXPECT_FALSE(a.link.next_due());
  start();
  EXPECT_TRUE(a.link.alive());
  run_until(1);
  EXPECT_TRUE(b.link.alive());
  ASSERT_TRUE(b.link.peer());
  EXPECT_EQ(b.link.peer()->role, Role::active);
  EXPECT_EQ(b.link.peer()->priority, 150);
  EXPECT_TRUE(b.link.peer_is_active());
  EXPECT_FALSE(a.link.peer_is_active());
}

TEST_F(PeerLinkTest, OneHeartbeatPerInterval) {
  start();
  run_until(100);
  a.sent = b.sent = 0;
  run_until(100 + 20 * 200);
  EXPECT_EQ(a.sent, 20);
  EXPECT_EQ(b.sent, 20);
}

TEST_F(PeerLinkTest, SilentAfterThreeIntervals) {
  start();
  run_until(1000);
  a.cut = true;
  const Time last = *b.link.heard_at();
  run_until(static_cast<int>((last - at(0)) / milliseconds(1)) + 599);
  EXPECT_TRUE(b.link.alive());
  run_until(now + 1);
  EXPECT_FALSE(b.link.alive());
  EXPECT_FALSE(b.link.peer_is_active());
  EXPECT_TRUE(b.link.peer());  // still shown
  EXPECT_TRUE(a.link.alive()) << "what b sends arrives";
  a.cut = false;
  run_until(now + 200);
  EXPECT_TRUE(b.link.alive());
}

TEST_F(PeerLinkTest, AChangeOfRoleIsToldAtOnceAndOfHealthWithTheNextBeat) {
  start();
  run_until(1010);
  now = 1050;
  become(a, Role::backup);
  EXPECT_EQ(b.link.peer()->role, Role::backup);
  a.own.facts.health.backends_up = 7;
  now = 1060;
  become(a, Role::backup);
  EXPECT_EQ(b.link.peer()->facts.health.backends_up, 0U);
  run_until(1250);
  EXPECT_EQ(b.link.peer()->facts.health.backends_up, 7U);
  a.own.released = true;
  become(a, Role::backup);
  EXPECT_TRUE(b.link.peer()->released);
}

TEST_F(PeerLinkTest, ARestartedPeerIsKnownAtOnce) {
  start();
  run_until(1000);
  restart(b);
  become(b, Role::init);
  EXPECT_TRUE(b.link.alive());
  run_until(now + 1);
  become(b, Role::backup);
  EXPECT_EQ(a.link.peer()->role, Role::backup);
  EXPECT_TRUE(b.link.peer_is_active());
}

// A flood of hellos, replayed, say, is not answered by a flood.
TEST_F(PeerLinkTest, HellosAreAnsweredInModeration) {
  start();
  run_until(1000);
  a.sent = 0;
  for (int i = 0; i < 1000; ++i) {
    PeerChannel stranger(PeerUse::link, PeerKey::of("the key of this pair, 32 bytes.."));
    now = 1000 + i / 10;
    carry(a, b, a.link.receive(at(now), stranger.seal(kPeerHeartbeat, {}), true));
  }
  EXPECT_LE(a.sent, 3);
  EXPECT_GE(a.sent, 1);
}

TEST_F(PeerLinkTest, AnOvertakenHeartbeatIsNotTheTruth) {
  start();
  run_until(1000);
  a.own.role = Role::backup;
  const auto older = a.link.update(at(now), a.own);
  a.own.role = Role::active;
  const auto newer = a.link.update(at(now), a.own);
  carry(a, b, newer);
  carry(a, b, older);
  EXPECT_EQ(b.link.peer()->role, Role::active);
}

TEST_F(PeerLinkTest, WhoIsNotThePeerIsNotHeard) {
  start();
  run_until(1000);
  const PeerChannelCounts before = b.link.counts();
  a.own.role = Role::init;
  std::ignore = b.link.receive(at(now), a.link.update(at(now), a.own).front(), false);
  EXPECT_EQ(b.link.peer()->role, Role::active);
  const auto source = static_cast<std::size_t>(PeerRefusal::source);
  EXPECT_EQ(b.link.counts().refused[source], before.refused[source] + 1);
}

TEST_F(PeerLinkTest, ABodyThatIsNoStateIsMalformed) {
  start();
  run_until(1000);
  restart(a, std::chrono::hours(1));  // an interval that no router has
  become(a, Role::active);
  become(a, Role::backup);
  EXPECT_EQ(b.link.counts().refused[static_cast<std::size_t>(PeerRefusal::malformed)], 2U);
  EXPECT_TRUE(b.link.peer_is_active()) << "as it said before";
}

// Two active routers that hear each other again must not both answer for longer than it takes to notice.
TEST_F(PeerLinkTest, AnActiveRouterThatHearsNobodySearches) {
  start(Role::active, Role::active);
  run_until(1000);
  a.cut = b.cut = true;
  run_until(1990);
  EXPECT_FALSE(a.link.alive() || b.link.alive());
  a.sent = b.sent = 0;
  run_until(2990);
  EXPECT_EQ(a.sent, 40);
  EXPECT_EQ(b.sent, 40);
  a.cut = b.cut = false;
  run_until(3016);
  EXPECT_TRUE(b.link.must_yield());
  a.sent = b.sent = 0;
  become(b, Role::backup);
  run_until(now + 2000);
  EXPECT_LE(a.sent, 11) << "in the usual rhythm again";
  a.cut = true;
  b.sent = 0;
  run_until(now + 2000);
  EXPECT_FALSE(b.link.alive());
  EXPECT_EQ(b.sent, 10) << "a backup router does not search";
}

TEST_F(PeerLinkTest, OfTwoActiveRoutersOneYields) {
  struct Case {
    int priority_a, priority_b;
    const char* source_b;
    bool a_yields;
  };
  for (const Case& c : {Case{150, 100, "10.0.0.2", false}, Case{100, 150, "10.0.0.2", true},
                        Case{100, 100, "10.0.0.2", true}, Case{100, 100, "10.0.0.0", false}}) {
    a.own = state(Role::active, c.priority_a, "10.0.0.1");
    b.own = state(Role::active, c.priority_b, c.source_b);
    become(a, Role::active);
    become(b, Role::active);
    run_until(now + 500);
    EXPECT_EQ(a.link.must_yield(), c.a_yields) << c.priority_a << " " << c.priority_b << " " << c.source_b;
    EXPECT_EQ(b.link.must_yield(), !c.a_yields);
    become(a, Role::backup);
    EXPECT_FALSE(a.link.must_yield());
    EXPECT_FALSE(b.link.must_yield());
  }
}

TEST_F(PeerLinkTest, WhoIsSilentForcesNobodyToYield) {
  start(Role::active, Role::active);
  run_until(500);
  EXPECT_TRUE(b.link.must_yield());
  a.cut = true;
  run_until(1200);
  EXPECT_FALSE(b.link.must_yield());
}

}  // namespace
}  // namespace xlvs::ha
