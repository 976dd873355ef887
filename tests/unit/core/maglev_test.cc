// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>
#include <random>

#include <gtest/gtest.h>

#include "core/desired.h"
#include "core/scheduler.h"
#include "core/siphash.h"

namespace xlvs {
namespace {

Member member(std::size_t number, std::uint32_t weight = 1) {
  const auto high = static_cast<std::uint8_t>(number >> 8);
  const auto low = static_cast<std::uint8_t>(number);
  return {static_cast<std::uint32_t>(number + 1), {IpAddress::v4({10, 1, high, low}), 8080}, weight, 0};
}

std::vector<Member> equal_members(std::size_t count) {
  std::vector<Member> members;
  for (std::size_t i = 0; i < count; ++i) members.push_back(member(i));
  return members;
}

Table build(const std::vector<Member>& members, TableOptions options = {}) {
  return scheduler_info(Scheduler::mh).build(members, options);
}

std::map<std::uint32_t, std::size_t> counts(const Table& table) {
  std::map<std::uint32_t, std::size_t> result;
  for (const std::uint32_t id : table) ++result[id];
  return result;
}

bool is_prime(std::size_t n) {
  for (std::size_t i = 2; i * i <= n; ++i)
    if (n % i == 0) return false;
  return n > 1;
}

TEST(Maglev, SizeIsPrimeAndFollowsThePool) {
  const std::vector<std::pair<std::size_t, std::size_t>> cases{{1, 4093},     {40, 4093},     {41, 16381},
                                                               {163, 16381},  {164, 65521},   {655, 65521},
                                                               {656, 262139}, {2621, 262139}, {2622, 1048573}};
  for (const auto& [pool, size] : cases) {
    TableOptions options;
    options.pool = pool;
    const Table table = build(equal_members(1), options);
    EXPECT_EQ(table.size(), size) << pool;
    EXPECT_GE(table.size(), 100 * pool);
    EXPECT_TRUE(is_prime(table.size())) << table.size();
  }
  EXPECT_EQ(build(equal_members(41)).size(), 16381U) << "at least the members, whatever the pool";
}

TEST(Maglev, SameTableWhateverOrderAndIds) {
  std::vector<Member> members;
  for (std::size_t i = 0; i < 20; ++i) members.push_back(member(i, static_cast<std::uint32_t>(1 + i % 5)));
  const Table table = build(members);
  std::shuffle(members.begin(), members.end(), std::mt19937(3));
  EXPECT_EQ(build(members), table);
  for (Member& m : members) m.id += 1000;
  Table shifted = build(members);
  for (std::uint32_t& id : shifted) id -= 1000;
  EXPECT_EQ(shifted, table);
}

// Routers of one site, each with an lvsd that gives ids of its own: what they look up is the same, from the text on.
TEST(Maglev, RoutersWithTheSameConfigurationBuildTheSameTable) {
  const auto endpoints = [](const ServiceConfig& service, std::uint32_t seed, std::uint32_t first_id) {
    Config config;
    config.hash_seed = seed;
    config.services = {service};
    const Desired desired = compute_plan(config, {}, [](const BackendRef&) { return Fitness{}; }).desired;
    std::vector<Member> members;
    std::map<std::uint32_t, Endpoint> by_id;
    for (const DesiredBackend& backend : desired.services[0].backends) {
      const std::uint32_t id = first_id++;
      by_id.emplace(id, backend.endpoint);
      members.push_back({id, backend.endpoint, backend.weight, backend.weight_before_drain});
    }
    std::vector<Endpoint> table;
    for (const std::uint32_t id : build(members, {false, desired.hash_seed, members.size()}))
      table.push_back(by_id.at(id));
    return table;
  };
  ServiceConfig service;
  service.name = "web";
  service.listeners = {*Listener::parse("198.51.100.10:80/tcp")};
  for (std::uint8_t i = 0; i < 50; ++i)
    service.backends.push_back({IpAddress::v4({10, 0, 0, i}), 80, std::uint32_t{1} + i % 4, ForwardMethod::dr});
  const std::vector<Endpoint> table = endpoints(service, 7, 1);
  std::mt19937 random(11);
  for (std::uint32_t router = 1; router < 8; ++router) {
    std::shuffle(service.backends.begin(), service.backends.end(), random);
    ASSERT_EQ(endpoints(service, 7, 1000 * router), table) << "router " << router;
  }
  EXPECT_NE(endpoints(service, 8, 1), table) << "hash_seed is part of it";
}

// Routers of a pair may run different versions: a change of this value makes their clients change servers.
TEST(Maglev, TableIsTheSameInEveryVersion) {
  std::vector<Member> members = equal_members(5);
  members[2].weight = 3;
  members.push_back({6, *Endpoint::parse("[2001:db8::6]:80"), 2, 0});
  TableOptions options;
  options.seed = 42;
  std::vector<std::uint8_t> bytes;
  for (const std::uint32_t id : build(members, options)) bytes.push_back(static_cast<std::uint8_t>(id));
  EXPECT_EQ(siphash({}, bytes), 8595362337946920575U);
}

TEST(Maglev, SeedChangesTheTable) {
  TableOptions other;
  other.seed = 1;
  const Table a = build(equal_members(10));
  const Table b = build(equal_members(10), other);
  std::size_t same = 0;
  for (std::size_t i = 0; i < a.size(); ++i) same += a[i] == b[i];
  EXPECT_LT(same, a.size() / 5) << "10 % would be by chance";
}

TEST(Maglev, SharesAreExactToOneSlot) {
  const std::vector<std::vector<std::uint32_t>> cases{
      {1}, {1, 1}, {1, 1, 1}, {3, 1}, {63, 40}, {100, 1}, {65535, 65534, 3}, {5, 7, 11, 13, 17, 19, 23, 29}};
  for (const auto& weights : cases) {
    SCOPED_TRACE(testing::PrintToString(weights));
    std::vector<Member> members;
    double total = 0;
    for (std::size_t i = 0; i < weights.size(); ++i) {
      members.push_back(member(i, weights[i]));
      total += weights[i];
    }
    const Table table = build(members);
    auto shares = counts(table);
    for (std::size_t i = 0; i < weights.size(); ++i)
      EXPECT_NEAR(static_cast<double>(shares[static_cast<std::uint32_t>(i + 1)]),
                  static_cast<double>(table.size()) * weights[i] / total, 1.5);
  }
}

TEST(Maglev, TheLightestMemberStillHasASlot) {
  std::vector<Member> members;
  for (std::size_t i = 0; i < 40; ++i) members.push_back(member(i, i == 0 ? 1 : 65535));
  EXPECT_EQ(counts(build(members))[1], 1U);
}

// Eisenbud et al., section 5.3: with 100 slots a server or more, few slots change beyond those of the lost server.
TEST(Maglev, RemovingOneMemberMovesLittleElse) {
  for (const std::size_t count : {2U, 3U, 10U, 40U, 100U, 500U}) {
    SCOPED_TRACE(count);
    const std::vector<Member> all = equal_members(count);
    const Table before = build(all);
    std::size_t worst = 0;
    double mean = 0;
    const std::size_t tries = std::min<std::size_t>(count, 20);
    for (std::size_t removed = 0; removed < tries; ++removed) {
      std::vector<Member> rest = all;
      rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(removed));
      TableOptions options;
      options.pool = count;  // it failed its check and is still configured
      const Table after = build(rest, options);
      ASSERT_EQ(after.size(), before.size());
      std::size_t changed = 0;
      for (std::size_t i = 0; i < before.size(); ++i) changed += before[i] != after[i];
      worst = std::max(worst, changed);
      mean += static_cast<double>(changed) / static_cast<double>(tries * before.size());
    }
    const double ideal = 1.0 / static_cast<double>(count);
    RecordProperty("mean_changed_percent_of_" + std::to_string(count), std::to_string(100 * mean));
    std::printf("          N=%zu M=%zu: %.2f %% of slots change on average, ideal %.2f %%\n", count, before.size(),
                100 * mean, 100 * ideal);
    EXPECT_GE(mean, ideal * 0.99);
    EXPECT_LE(mean, ideal + 0.03);
    EXPECT_LE(static_cast<double>(worst) / static_cast<double>(before.size()), ideal + 0.05);
  }
}

TEST(Maglev, DrainedMemberKeepsItsSlotsAsIpvsDoes) {
  std::vector<Member> members = equal_members(10);
  const Table before = build(members);
  members[4].weight = 0;
  members[4].weight_before_drain = 1;
  const Table dropped = build(members);
  TableOptions with_fallback;
  with_fallback.fallback = true;
  const Table moved = build(members, with_fallback);
  std::map<std::uint32_t, std::size_t> taken_over;
  for (std::size_t i = 0; i < before.size(); ++i) {
    EXPECT_EQ(dropped[i], before[i] == 5 ? 0U : before[i]);
    if (before[i] != 5)
      EXPECT_EQ(moved[i], before[i]);
    else
      ++taken_over[moved[i]];
  }
  EXPECT_EQ(taken_over.size(), 9U) << "its clients spread over all others";
  EXPECT_FALSE(taken_over.contains(0) || taken_over.contains(5));
  for (const auto& [id, slots] : taken_over) EXPECT_NEAR(static_cast<double>(slots), 4093 / 90.0, 25) << id;
}

TEST(Maglev, ASecondDrainMovesOnlyItsOwnClients) {
  TableOptions options;
  options.fallback = true;
  std::vector<Member> members = equal_members(10);
  members[4].weight = 0;
  members[4].weight_before_drain = 1;
  const Table before = build(members, options);
  members[7].weight = 0;
  members[7].weight_before_drain = 1;
  const Table after = build(members, options);
  for (std::size_t i = 0; i < before.size(); ++i)
    if (before[i] != 8) {
      EXPECT_EQ(after[i], before[i]);
    }
}

TEST(Maglev, MemberThatNeverHadAWeightHasNoSlots) {
  std::vector<Member> members = equal_members(3);
  members.push_back(member(3, 0));
  TableOptions options;
  options.pool = 3;
  EXPECT_EQ(build(members, options), build(equal_members(3), options));
}

TEST(Maglev, AllButOneDrained) {
  std::vector<Member> members = equal_members(500);
  for (std::size_t i = 1; i < members.size(); ++i) {
    members[i].weight = 0;
    members[i].weight_before_drain = 1;
  }
  TableOptions options;
  options.fallback = true;
  for (const std::uint32_t id : build(members, options)) ASSERT_EQ(id, 1U);
}

TEST(Maglev, ThousandsOfMembers) {
  const Table table = build(equal_members(20000));
  EXPECT_EQ(table.size(), 1048573U);
  auto shares = counts(table);
  EXPECT_EQ(shares.size(), 20000U);
  for (const auto& [id, slots] : shares) ASSERT_NEAR(static_cast<double>(slots), 52.4, 1) << id;
}

}  // namespace
}  // namespace xlvs
