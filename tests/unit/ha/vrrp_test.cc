// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/ha/vrrp_fixture.h"

namespace xlvs::ha {
namespace {

TEST_F(VrrpTest, NobodyThereMakesABackupActiveAfterTheDownInterval) {
  make(single(100));
  EXPECT_EQ(group->start(at(0)).changed, Role::backup);
  EXPECT_DOUBLE_EQ(ms(*group->next_due()), 300 + 100 * 156 / 256.0);
  EXPECT_FALSE(group->tick(at(360)).changed);
  const Step step = group->tick(at(361));
  EXPECT_EQ(step.changed, Role::active);
  EXPECT_THAT(priorities(step), testing::ElementsAre(100));
  EXPECT_EQ(step.send[0].advertisement.addresses, group->config().members[0].vips);
}

TEST_F(VrrpTest, TheOwnerIsActiveAtOnce) {
  make(single(255));
  const Step step = group->start(at(0));
  EXPECT_EQ(step.changed, Role::active);
  EXPECT_THAT(priorities(step), testing::ElementsAre(255));
  receive(10, heard(200));
  EXPECT_EQ(how, Heard::owner);
  EXPECT_EQ(group->role(), Role::active);
}

// What a backup of priority 100 does when it hears one advertisement 200 ms after its start: when it becomes active.
TEST_F(VrrpTest, WhatABackupHears) {
  const double skew = 100 * 156 / 256.0;
  struct Case {
    const char* what;
    int priority;
    int interval;
    bool preempt;
    double active_at;
  };
  for (const Case& c : {Case{"higher", 150, 100, true, 500 + skew}, Case{"equal", 100, 100, true, 500 + skew},
                        Case{"lower, and we preempt", 50, 100, true, 300 + skew},
                        Case{"lower, and we do not", 50, 100, false, 500 + skew},
                        Case{"the active router stops", 0, 100, true, 200 + skew},
                        Case{"a slower active router is learnt from", 150, 1000, true, 3200 + 10 * skew},
                        Case{"a faster one too", 150, 10, true, 230 + skew / 10}}) {
    SCOPED_TRACE(c.what);
    GroupConfig config = single(100);
    config.preempt = c.preempt;
    make(config);
    std::ignore = group->start(at(0));
    EXPECT_TRUE(receive(200, heard(c.priority, c.interval)).send.empty());
    EXPECT_EQ(how, Heard::taken);
    EXPECT_NEAR(run_until(10'000), c.active_at, 0.001);
  }
}

// What an active router of priority 100 and address 10.0.0.2 does.
TEST_F(VrrpTest, WhatAnActiveRouterHears) {
  struct Case {
    const char* what;
    int priority;
    const char* source;
    bool yields;
  };
  for (const Case& c :
       {Case{"higher", 101, "10.0.0.1", true}, Case{"equal, from a higher address", 100, "10.0.0.3", true},
        Case{"equal, from a lower address", 100, "10.0.0.1", false}, Case{"lower", 99, "10.0.0.3", false},
        Case{"another that stops", 0, "10.0.0.3", false}}) {
    SCOPED_TRACE(c.what);
    make_active(single(100));
    const double due = ms(*group->next_due());
    const Step step = receive(due - 30, heard(c.priority), c.source);
    EXPECT_EQ(step.changed, c.yields ? std::optional(Role::backup) : std::nullopt);
    if (c.yields) {
      EXPECT_THAT(step.send, testing::IsEmpty());
      EXPECT_NEAR(ms(*group->next_due()), due - 30 + 300 + 100 * 156 / 256.0, 0.001);
      EXPECT_THAT(step.reason, testing::HasSubstr(c.source));
    } else {
      EXPECT_THAT(priorities(step), testing::ElementsAre(100));  // answered at once, and the rhythm starts anew
      EXPECT_NEAR(ms(*group->next_due()), due - 30 + 100, 0.001);
    }
  }
}

TEST_F(VrrpTest, AdvertisesWithoutDriftAndSkipsWhatItMissed) {
  make_active(single());
  const double first = ms(*group->next_due());
  for (int i = 0; i < 50; ++i)
    EXPECT_THAT(priorities(group->tick(at(first + i * 100 + 40))), testing::ElementsAre(100));
  EXPECT_NEAR(ms(*group->next_due()), first + 5000, 0.001);  // each was 40 ms late, the next is due in time
  EXPECT_THAT(group->tick(at(first + 9000)).send, testing::SizeIs(1));
  EXPECT_NEAR(ms(*group->next_due()), first + 9100, 0.001);
  EXPECT_THAT(group->tick(at(first + 9099)).send, testing::IsEmpty());
}

TEST_F(VrrpTest, AdvertisementsThatAreNotForUsChangeNothing) {
  struct Case {
    Heard expected;
    Advertisement advertisement;
    const char* source = "10.0.0.1";
  };
  GroupConfig config = single(100);
  config.members.push_back(member(100, "10.0.0.2", 52));
  MemberConfig& old = config.members[1];
  old.version = VrrpVersion::v2;
  old.interval = milliseconds(1000);
  old.password = {'s', 'e', 'c', 'r', 'e', 't', 0, 0};
  Advertisement right = heard(200, 1000, 52);
  right.version = VrrpVersion::v2;
  right.password = old.password;
  Advertisement no_password = right, slow = right, as_v3 = right, as_v2 = heard(200);
  no_password.password.reset();
  slow.interval = milliseconds(2000);
  as_v3.version = VrrpVersion::v3;
  as_v2.version = VrrpVersion::v2;
  for (const Case& c : {Case{Heard::unknown_vrid, heard(200, 100, 9)}, Case{Heard::unknown_vrid, heard(200), "fe80::1"},
                        Case{Heard::own, heard(200), "10.0.0.2"}, Case{Heard::version, as_v2},
                        Case{Heard::version, as_v3}, Case{Heard::password, no_password}, Case{Heard::interval, slow}}) {
    SCOPED_TRACE(to_string(c.expected));
    make_active(config, 5000);
    EXPECT_TRUE(receive(5000, c.advertisement, c.source).send.empty());
    EXPECT_EQ(how, c.expected);
    EXPECT_EQ(group->role(), Role::active);
  }
  receive(5000, right);
  EXPECT_EQ(how, Heard::taken);
  EXPECT_EQ(group->role(), Role::backup);
  make(single());
  receive(0, heard(200));
  EXPECT_EQ(how, Heard::not_started);
}

TEST_F(VrrpTest, Version2SkewsByAFractionOfASecond) {
  GroupConfig config = single(156);
  config.members[0].version = VrrpVersion::v2;
  config.members[0].interval = milliseconds(2000);
  make(config);
  std::ignore = group->start(at(0));
  EXPECT_NEAR(run_until(10'000), 6000 + 1000 * 100 / 256.0, 0.001);
}

TEST_F(VrrpTest, StoppingHandsOver) {
  make_active(single());
  const Step step = group->stop(at(2000));
  EXPECT_EQ(step.changed, Role::init);
  EXPECT_THAT(priorities(step), testing::ElementsAre(0));
  EXPECT_FALSE(group->next_due());
  EXPECT_TRUE(group->stop(at(2001)).send.empty());

  make(single());
  std::ignore = group->start(at(0));
  EXPECT_TRUE(group->stop(at(10)).send.empty());  // a backup has nothing to hand over
}

TEST_F(VrrpTest, StaysOutOfItForTheStartUpDelay) {
  GroupConfig config = single();
  config.startup_delay = milliseconds(5000);
  make(config);
  EXPECT_FALSE(group->start(at(0)).changed);
  EXPECT_EQ(group->role(), Role::init);
  EXPECT_FALSE(group->set_fault(at(100), 0, true, "down").changed);
  EXPECT_FALSE(group->set_fault(at(200), 0, false, "up").changed);
  EXPECT_FALSE(group->tick(at(4999)).changed);
  EXPECT_EQ(group->tick(at(5000)).changed, Role::backup);
}

TEST_F(VrrpTest, AFaultLeavesTheElectionAndComesBackAsBackup) {
  make_active(single());
  const Step down = group->set_fault(at(2000), 0, true, "lan0 is down");
  EXPECT_EQ(down.changed, Role::init);
  EXPECT_EQ(down.reason, "vi51: lan0 is down");
  EXPECT_THAT(priorities(down), testing::ElementsAre(0));
  EXPECT_EQ(run_until(100'000), -1);
  EXPECT_EQ(group->set_fault(at(100'000), 0, false, "").changed, Role::backup);
  EXPECT_NEAR(run_until(200'000), 100'000 + 300 + 100 * 156 / 256.0, 0.001);
}

TEST_F(VrrpTest, AFaultAtTheStartIsWaitedFor) {
  make(single());
  std::ignore = group->set_fault(at(0), 0, true, "down");
  EXPECT_FALSE(group->start(at(0)).changed);
  EXPECT_EQ(group->set_fault(at(50), 0, false, "").changed, Role::backup);
  std::ignore = group->stop(at(60));
  std::ignore = group->set_fault(at(70), 0, true, "down");
  EXPECT_FALSE(group->set_fault(at(80), 0, false, "").changed);  // stopped: nothing to come back to
}

// A router of priority 100 beside an active one of priority 50 that advertises every 100 ms: when does it take over?
TEST_F(VrrpTest, WhenABackupPreempts) {
  const auto takes_over = [&](double until) {
    for (double now = 0; now <= until; now += 100) {
      if (run_until(now) >= 0) return now;
      receive(now, heard(50));
    }
    return -1.0;
  };
  GroupConfig config = single(100);
  make(config);
  std::ignore = group->start(at(0));
  EXPECT_EQ(takes_over(5000), 400);

  config.preempt = false;
  make(config);
  std::ignore = group->start(at(0));
  EXPECT_EQ(takes_over(5000), -1);

  config.preempt = true;
  config.preempt_delay = milliseconds(3000);
  make(config);
  std::ignore = group->start(at(0));
  EXPECT_EQ(takes_over(5000), 3300);

  config.preempt_delay = milliseconds(0);
  make(config);
  group->hold(true);
  std::ignore = group->start(at(0));
  EXPECT_EQ(takes_over(5000), -1);
  group->hold(false);
  EXPECT_EQ(takes_over(10'000), 5400);
}

TEST_F(VrrpTest, ReleasedItHandsOverAndComesBackOnlyWhenNobodyElseIsThere) {
  make_active(single(100));
  const Step step = group->release(at(2000));
  EXPECT_THAT(priorities(step), testing::ElementsAre(0));
  EXPECT_EQ(step.changed, Role::backup);
  for (double now = 2010; now < 9000; now += 100) {
    EXPECT_EQ(run_until(now), -1) << now;
    receive(now, heard(50));
  }
  EXPECT_GT(run_until(10'000), 0) << "the other died: somebody has to do it";

  make_active(single(100));
  std::ignore = group->release(at(2000));
  receive(2010, heard(50));
  group->resume();
  receive(2110, heard(50));
  EXPECT_NEAR(run_until(3000), 2310 + 100 * 156 / 256.0, 0.001);
}

TEST_F(VrrpTest, AVetoHoldsUntilItEnds) {
  make(single());
  std::ignore = group->start(at(0));
  group->see_peer(at(0), peer(Role::active));
  EXPECT_FALSE(group->next_due());
  EXPECT_FALSE(group->tick(at(5000)).changed);
  group->see_peer(at(5000), {});
  EXPECT_EQ(group->tick(at(5001)).changed, Role::active);
}

TEST_F(VrrpTest, PriorityFollowsWhatIsTracked) {
  make_active(single(150));
  group->set_priority(0, 90);
  EXPECT_THAT(priorities(group->tick(*group->next_due())), testing::ElementsAre(90));
  EXPECT_EQ(receive(3000, heard(100)).changed, Role::backup);
  group->set_priority(0, 0);
  EXPECT_EQ(group->priority(0), 1) << "0 and 255 mean something else";
  group->set_priority(0, 255);
  EXPECT_EQ(group->priority(0), 254);
}

TEST_F(VrrpTest, MembersMoveTogether) {
  GroupConfig config = single(100);
  config.members.push_back(member(100, "192.168.0.2", 52));
  make(config);
  std::ignore = group->start(at(0));
  // The second side goes on hearing the active router, the first has lost it: nobody is there only when both say so.
  for (double now = 100; now <= 2000; now += 100) {
    EXPECT_EQ(run_until(now), -1);
    receive(now, heard(150, 100, 52));
  }
  EXPECT_NEAR(run_until(5000), 2300 + 100 * 156 / 256.0, 0.001);
  EXPECT_EQ(group->role(), Role::active);
  EXPECT_GE(sent, 2U);

  // Better on one side only is enough to yield on both.
  const Step step = receive(5000, heard(150, 100, 52));
  EXPECT_EQ(step.changed, Role::backup);

  run_until(10'000);
  const Step fault = group->set_fault(at(10'000), 1, true, "wan0 is down");
  EXPECT_EQ(fault.changed, Role::init);
  EXPECT_THAT(priorities(fault), testing::ElementsAre(0, 0));
}

// Two routers and a wire that loses, cuts and heals: never two active ones for longer than an advertisement takes to
// arrive once the wire is whole, never none for longer than the slower one's down interval.
TEST(VrrpPair, AgreesAfterAnyTrouble) {
  for (unsigned seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    std::srand(seed);
    const bool preempt = seed % 2 == 0;
    std::vector<Group> routers;
    for (const auto& [priority, source] : {std::pair{150, "10.0.0.1"}, std::pair{100, "10.0.0.2"}}) {
      GroupConfig config = single(static_cast<std::uint8_t>(priority));
      config.members[0].source = ip(source);
      config.preempt = preempt;
      routers.emplace_back(config);
    }
    int loss = 0;  // percent
    const auto deliver = [&](double now, std::size_t from, const Step& first) {
      std::vector<std::pair<std::size_t, Advertisement>> wire;
      for (const Send& send : first.send) wire.emplace_back(from, send.advertisement);
      for (std::size_t i = 0; i < wire.size() && i < 10; ++i) {
        if (std::rand() % 100 < loss) continue;
        const auto [sender, advertisement] = wire[i];
        Heard how = Heard::taken;
        const Step answer =
            routers[1 - sender].receive(at(now), 0, advertisement, routers[sender].config().members[0].source, how);
        EXPECT_EQ(how, Heard::taken);
        for (const Send& send : answer.send) wire.emplace_back(1 - sender, send.advertisement);
      }
    };
    for (Group& router : routers) std::ignore = router.start(at(0));
    for (int now = 0; now < 20'000; ++now) {
      if (now % 2000 == 0)
        loss = now < 16'000 ? std::array{0, 30, 100, 60}[static_cast<std::size_t>(std::rand() % 4)] : 0;
      for (std::size_t i = 0; i < 2; ++i) deliver(now, i, routers[i].tick(at(now)));
      if (now >= 17'000) {
        const int active = (routers[0].role() == Role::active) + (routers[1].role() == Role::active);
        ASSERT_EQ(active, 1) << now;
        if (preempt) {
          ASSERT_EQ(routers[0].role(), Role::active);
        }
      }
    }
  }
}

}  // namespace
}  // namespace xlvs::ha
