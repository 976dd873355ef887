// SPDX-License-Identifier: Apache-2.0
// Which backend a new flow gets.
#include <algorithm>
#include <set>

#include "tests/datapath/fixture.h"

namespace xlvs::test {
namespace {

class Schedule : public PerFamily {
 protected:
  XdpHarness x{{.buckets4 = 1024, .buckets6 = 1024}};
  const OnCpu pinned{0};  // the round-robin position is each CPU's own
  const std::vector<BackendSpec> three = {
      {.address = n.server1, .port = 80}, {.address = n.server2, .port = 80}, {.address = n.server3, .port = 80}};
  std::uint16_t next_port = 1024;

  // The backend that a packet from this client gets, told by the address that was written into it; 0: not forwarded.
  std::uint32_t choose(const Pool& pool, const std::string& vip, const std::string& client = "",
                       std::uint8_t flags = kSyn) {
    const Segment request{.src = client.empty() ? n.client : client, .sport = next_port++, .dst = vip, .flags = flags};
    const Outcome outcome = x.run(frame(request));
    const auto at = parse(outcome.frame);
    if (outcome.verdict != XDP_REDIRECT || !at) return 0;
    for (std::size_t i = 0; i < three.size(); i++)
      if (at->destination == three[i].address) return pool.backends[i];
    return 0;
  }
  std::string client(unsigned i) const {
    return GetParam() == AF_INET ? "192.0." + std::to_string(i / 250) + "." + std::to_string(1 + i % 250)
                                 : "2001:db8:c::" + std::to_string(1 + i);
  }
};
XLVS_FOR_BOTH_FAMILIES(Schedule);

TEST_P(Schedule, RoundRobinFollowsTheTable) {
  const Pool pool = add_pool(x, n.vip, 80, IPPROTO_TCP, three);
  std::vector<std::uint32_t> chosen;
  for (int i = 0; i < 9; i++) chosen.push_back(choose(pool, n.vip));
  for (std::size_t i = 0; i + 3 < chosen.size(); i++) EXPECT_EQ(chosen[i], chosen[i + 3]);
  EXPECT_EQ((std::set<std::uint32_t>{chosen[0], chosen[1], chosen[2]}).size(), 3U);
  const auto turn = std::find(chosen.begin(), chosen.end(), pool.backends[0]);
  EXPECT_EQ(*(turn + 1), pool.backends[1]);
  EXPECT_EQ(*(turn + 2), pool.backends[2]);
}

TEST_P(Schedule, WeightedTurnsAreTheTables) {
  const Pool pool = add_pool(x, n.vip, 80, IPPROTO_TCP, three);
  const auto& b = pool.backends;
  const std::vector<std::uint32_t> turns = {b[0], b[0], b[1], b[0], b[1], b[2]};
  x.set_table(pool.service, turns);
  std::vector<std::uint32_t> chosen;
  for (std::size_t i = 0; i < 3 * turns.size(); i++) chosen.push_back(choose(pool, n.vip));
  EXPECT_NE(std::search(chosen.begin(), chosen.end(), turns.begin(), turns.end()), chosen.end());
  EXPECT_EQ(std::count(chosen.begin(), chosen.end(), b[0]), 9);
  EXPECT_EQ(std::count(chosen.begin(), chosen.end(), b[2]), 3);
}

TEST_P(Schedule, ATableMayShrinkUnderItsCursor) {
  const Pool pool = add_pool(x, n.vip, 80, IPPROTO_TCP, three);
  for (int i = 0; i < 2; i++) choose(pool, n.vip);
  x.set_table(pool.service, {pool.backends[1]});
  for (int i = 0; i < 5; i++) EXPECT_EQ(choose(pool, n.vip), pool.backends[1]);
}

TEST_P(Schedule, CursorsOfServicesAreApart) {
  const Pool one = add_pool(x, n.vip, 80, IPPROTO_TCP, three);
  const Pool two = add_pool(x, n.vip2, 80, IPPROTO_TCP, three);
  std::set<std::uint32_t> of_one;
  for (int i = 0; i < 3; i++) {
    of_one.insert(choose(one, n.vip));
    choose(two, n.vip2);
  }
  EXPECT_EQ(of_one.size(), 3U);
}

TEST_P(Schedule, WithoutABackendNothingIsForwarded) {
  const Pool pool = add_pool(x, n.vip, 80, IPPROTO_TCP, three);
  x.set_table(pool.service, {});
  EXPECT_EQ(choose(pool, n.vip), 0U);
  x.remove_table(pool.service);
  EXPECT_EQ(choose(pool, n.vip), 0U);
  x.set_table(pool.service, {0});
  EXPECT_EQ(choose(pool, n.vip), 0U) << "id 0 means none";
  x.set_table(pool.service, {pool.backends[1]});
  x.backend(pool.backends[1]).flags = 0;
  EXPECT_EQ(choose(pool, n.vip), 0U) << "a removed backend gets no flow even if a table still names it";
  EXPECT_EQ(x.reason(LVS_REASON_no_backend), 4U);
  EXPECT_THAT(x.flows(GetParam()), ::testing::IsEmpty());
  EXPECT_EQ(x.drift(), "");
}

// ---- hashes --------------------------------------------------------------------------------------------------------

TEST_P(Schedule, SourceHashKeepsAClientOnItsServer) {
  const Pool pool = add_pool(x, n.vip, 80, IPPROTO_TCP, three, LVS_PICK_SOURCE_HASH);
  std::set<std::uint32_t> seen;
  for (unsigned i = 0; i < 60; i++) {
    const std::uint32_t first = choose(pool, n.vip, client(i));
    seen.insert(first);
    for (int again = 0; again < 4; again++) EXPECT_EQ(choose(pool, n.vip, client(i)), first);
  }
  EXPECT_EQ(seen.size(), 3U) << "and spreads clients over all servers";
}

TEST_P(Schedule, SourceHashWithPortSpreadsOneClient) {
  const Pool pool = add_pool(x, n.vip, 80, IPPROTO_TCP, three, LVS_PICK_SOURCE_HASH, LVS_SERVICE_HASH_PORT);
  std::map<std::uint32_t, unsigned> share;
  for (int i = 0; i < 600; i++) share[choose(pool, n.vip)]++;
  EXPECT_EQ(share.size(), 3U);
  for (const auto& [backend, count] : share) EXPECT_NEAR(count, 200, 80) << backend;
}

TEST_P(Schedule, DestinationHashLooksAtTheVipOnly) {
  const Pool pool = add_pool(x, n.vip, 80, IPPROTO_TCP, three, LVS_PICK_DEST_HASH);
  const std::uint32_t first = choose(pool, n.vip, client(0));
  EXPECT_NE(first, 0U);
  for (unsigned i = 1; i < 60; i++) EXPECT_EQ(choose(pool, n.vip, client(i)), first);
  std::set<std::uint32_t> seen;
  for (unsigned i = 0; i < 30; i++) {
    const std::string vip =
        GetParam() == AF_INET ? "198.51.100." + std::to_string(100 + i) : "2001:db8:6::" + std::to_string(i);
    x.add_listener(pool.service, vip, 80, IPPROTO_TCP);
    seen.insert(choose(pool, vip));
  }
  EXPECT_EQ(seen.size(), 3U);
}

TEST_P(Schedule, HashesAreTheSitesAndNotTheFlowTables) {
  const Pool pool = add_pool(x, n.vip, 80, IPPROTO_TCP, three, LVS_PICK_SOURCE_HASH);
  std::vector<std::uint32_t> before, other_table_seed, other_site;
  const auto choose_all = [&](std::vector<std::uint32_t>& out) {
    for (unsigned i = 0; i < 60; i++) out.push_back(choose(pool, n.vip, client(i)));
  };
  choose_all(before);
  x.control().hash_seed[0] ^= 0x5555;
  x.control().hash_seed[1] ^= 0xaaaa;
  choose_all(other_table_seed);
  EXPECT_EQ(before, other_table_seed) << "two routers of a site choose alike";
  x.control().schedule_seed ^= 1;
  choose_all(other_site);
  EXPECT_NE(before, other_site);
}

TEST_P(Schedule, AHashSlotWithoutAServerIsNoBackend) {
  const Pool pool = add_pool(x, n.vip, 80, IPPROTO_TCP, three, LVS_PICK_SOURCE_HASH);
  x.set_table(pool.service, {0, pool.backends[1]});
  unsigned none = 0, second = 0;
  for (unsigned i = 0; i < 100; i++) {
    const std::uint32_t chosen = choose(pool, n.vip, client(i));
    (chosen == 0 ? none : second)++;
    EXPECT_TRUE(chosen == 0 || chosen == pool.backends[1]);
  }
  EXPECT_NEAR(none, 50, 25);
  EXPECT_EQ(x.reason(LVS_REASON_no_backend), none);
}

// A SYN flood must cost a dr service with a hash scheduler no memory: the flow begins with the first later segment.
TEST_P(Schedule, HashWithDirectRoutingRemembersFromTheSecondSegmentOn) {
  std::vector<BackendSpec> direct = three;
  for (BackendSpec& spec : direct) spec.method = LVS_METHOD_DR;
  const Pool pool = add_pool(x, n.vip, 80, IPPROTO_TCP, direct, LVS_PICK_SOURCE_HASH);
  Segment request{.src = n.client, .dst = n.vip};
  const Outcome first = x.run(frame(request));
  EXPECT_VERDICT(first, XDP_REDIRECT);
  EXPECT_THAT(x.flows(GetParam()), ::testing::IsEmpty());
  request.flags = kAck;
  EXPECT_VERDICT(x.run(frame(request)), XDP_REDIRECT);
  const Slot flow = x.flow(n.client, request.sport);
  EXPECT_EQ(flow.state(), LVS_STATE_ESTABLISHED);
  const std::uint32_t before = flow.backend();
  // From here on the flow decides and not the table.
  const std::uint32_t other = before == pool.backends[0] ? pool.backends[1] : pool.backends[0];
  x.set_table(pool.service, {other});
  EXPECT_VERDICT(x.run(frame(request)), XDP_REDIRECT);
  EXPECT_EQ(x.flow(n.client, request.sport).backend(), before);
  EXPECT_EQ(x.counters(before).flows, 1U);
  EXPECT_EQ(x.counters(before).in_packets, 3U);
  EXPECT_EQ(x.drift(), "");
}

TEST_P(Schedule, HashWithNatRemembersTheSyn) {
  const Pool pool = add_pool(x, n.vip, 80, IPPROTO_TCP, three, LVS_PICK_SOURCE_HASH);
  EXPECT_NE(choose(pool, n.vip), 0U);
  EXPECT_EQ(x.flows(GetParam()).size(), 1U);
}

TEST_P(Schedule, AResetNeverCreatesAFlow) {
  const Pool hash = add_pool(x, n.vip, 80, IPPROTO_TCP, three, LVS_PICK_SOURCE_HASH);
  const Pool sloppy = add_pool(x, n.vip2, 80, IPPROTO_TCP, three, LVS_PICK_CURSOR, LVS_SERVICE_SLOPPY_TCP);
  for (const std::uint8_t flags : std::initializer_list<std::uint8_t>{kRst, kRst | kAck, kRst | kSyn}) {
    EXPECT_EQ(choose(hash, n.vip, "", flags), 0U);
    EXPECT_EQ(choose(sloppy, n.vip2, "", flags), 0U);
  }
  EXPECT_THAT(x.flows(GetParam()), ::testing::IsEmpty());
  EXPECT_EQ(x.reason(LVS_REASON_no_flow_passed), 6U);
}

// ---- least connection ----------------------------------------------------------------------------------------------

class LeastConnection : public Schedule {
 protected:
  void set(std::uint32_t backend, std::uint32_t active, std::uint32_t inactive, std::uint32_t weight) {
    x.load(backend).active = active;
    x.load(backend).inactive = inactive;
    x.load(backend).weight = weight;
  }
};
XLVS_FOR_BOTH_FAMILIES(LeastConnection);

TEST_P(LeastConnection, TakesTheLeastOverheadAndTheFirstOfEquals) {
  const Pool pool = add_pool(x, n.vip, 80, IPPROTO_TCP, three, LVS_PICK_LC);
  const auto& b = pool.backends;
  struct Case {
    std::uint32_t load[3][3];  // active, inactive, weight
    unsigned winner;           // 3: none
    const char* why;
  };
  const Case cases[] = {
      {{{5, 0, 1}, {4, 0, 1}, {5, 0, 1}}, 1, "fewest active"},
      {{{0, 0, 1}, {0, 0, 1}, {0, 0, 1}}, 0, "a tie: the first"},
      {{{9, 9, 1}, {3, 3, 1}, {3, 3, 1}}, 1, "a tie of the last two: the earlier"},
      {{{1, 0, 1}, {0, 255, 1}, {1, 0, 1}}, 1, "255 inactive weigh less than one active"},
      {{{1, 0, 1}, {0, 257, 1}, {2, 0, 1}}, 0, "257 inactive weigh more than one active"},
      {{{1, 1, 1}, {0, 257, 1}, {2, 0, 1}}, 0, "256 + 1 against 257: the first"},
      {{{0, 0, 0}, {7, 0, 1}, {8, 0, 1}}, 1, "weight 0 takes no new flow"},
      {{{9, 0, 1}, {1, 0, 50}, {0, 1, 1}}, 2, "weights mean nothing else to lc"},
      {{{0, 0, 0}, {0, 0, 0}, {0, 0, 0}}, 3, "all drained"},
      {{{0xffffffff, 0, 1}, {0xfffffffe, 0, 1}, {0xffffffff, 0, 1}}, 1, "no overflow"},
  };
  for (const Case& c : cases) {
    for (unsigned i = 0; i < 3; i++) set(b[i], c.load[i][0], c.load[i][1], c.load[i][2]);
    EXPECT_EQ(choose(pool, n.vip), c.winner < 3 ? b[c.winner] : 0U) << c.why;
  }
}

TEST_P(LeastConnection, WeightedComparesOverheadPerWeight) {
  const Pool pool = add_pool(x, n.vip, 80, IPPROTO_TCP, three, LVS_PICK_WLC);
  const auto& b = pool.backends;
  struct Case {
    std::uint32_t load[3][3];
    unsigned winner;
    const char* why;
  };
  const Case cases[] = {
      {{{4, 0, 1}, {7, 0, 2}, {4, 0, 1}}, 1, "3.5 per weight"},
      {{{4, 0, 1}, {8, 0, 2}, {12, 0, 3}}, 0, "equal per weight: the first"},
      {{{2, 0, 1}, {4, 0, 3}, {3, 0, 2}}, 1, "1.33 against 1.5: not rounded"},
      {{{0, 0, 0}, {65535, 0, 1}, {65535, 0, 65535}}, 2, "a heavy one"},
      {{{0, 0, 0}, {0, 0, 0}, {9, 9, 1}}, 2, "the only one with a weight"},
      {{{0xffffffff, 0xffffffff, 65535}, {0xfffffff0, 0, 65534}, {0xffffffff, 0, 65535}}, 2, "no overflow"},
      {{{0, 0, 1}, {0, 0, 9}, {0, 0, 9}}, 0, "all idle: the first"},
  };
  for (const Case& c : cases) {
    for (unsigned i = 0; i < 3; i++) set(b[i], c.load[i][0], c.load[i][1], c.load[i][2]);
    EXPECT_EQ(choose(pool, n.vip), b[c.winner]) << c.why;
  }
}

TEST_P(LeastConnection, CountsWhatItChose) {
  const Pool pool = add_pool(x, n.vip, 80, IPPROTO_TCP, three, LVS_PICK_WLC);
  x.load(pool.backends[1]).weight = 2;
  std::map<std::uint32_t, unsigned> share;
  for (int i = 0; i < 400; i++) share[choose(pool, n.vip)]++;
  EXPECT_EQ(share[pool.backends[0]], 100U);
  EXPECT_EQ(share[pool.backends[1]], 200U);
  EXPECT_EQ(share[pool.backends[2]], 100U);
  EXPECT_EQ(x.drift(), "");
}

// ---- what is no scheduler's business -------------------------------------------------------------------------------

TEST_P(Schedule, ADrainedBackendKeepsItsFlows) {
  const Pool pool = add_pool(x, n.vip, 80, IPPROTO_TCP, three, LVS_PICK_WLC);
  Segment request{.src = n.client, .dst = n.vip};
  x.run(frame(request));
  const std::uint32_t backend = x.flow(n.client, request.sport).backend();
  x.load(backend).weight = 0;
  std::vector<std::uint32_t> others;
  for (const std::uint32_t id : pool.backends)
    if (id != backend) others.push_back(id);
  x.set_table(pool.service, others);
  for (const std::uint8_t flags : std::initializer_list<std::uint8_t>{kSyn, kAck, kAck | kPsh, kFin | kAck}) {
    request.flags = flags;
    EXPECT_VERDICT(x.run(frame(request)), XDP_REDIRECT);
    EXPECT_EQ(x.flow(n.client, request.sport).backend(), backend);
  }
  for (int i = 0; i < 6; i++) EXPECT_NE(choose(pool, n.vip), backend);
}

}  // namespace
}  // namespace xlvs::test
