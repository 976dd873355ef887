// SPDX-License-Identifier: Apache-2.0
// The list and bucket schedulers, each against an independent reading of IPVS' rule. mh has a file of its own.
#include "core/scheduler.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <random>
#include <set>

#include <gtest/gtest.h>

namespace xlvs {
namespace {

using Weights = std::vector<std::uint32_t>;

// Member i has id i + 1.
std::vector<Member> members(const Weights& weights) {
  std::vector<Member> result;
  for (std::size_t i = 0; i < weights.size(); ++i)
    result.push_back({static_cast<std::uint32_t>(i + 1),
                      {IpAddress::v4({10, 0, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)}), 80},
                      weights[i],
                      0});
  return result;
}

Table build(Scheduler scheduler, const Weights& weights, bool fallback = false) {
  TableOptions options;
  options.fallback = fallback;
  return scheduler_info(scheduler).build(members(weights), options);
}

std::map<std::uint32_t, std::size_t> counts(const Table& table) {
  std::map<std::uint32_t, std::size_t> result;
  for (const std::uint32_t id : table) ++result[id];
  return result;
}

TEST(Schedulers, TableHasOneRowEach) {
  std::set<Scheduler> values;
  std::set<std::string_view> names;
  for (const SchedulerInfo& info : schedulers()) {
    EXPECT_TRUE(values.insert(info.scheduler).second);
    EXPECT_TRUE(names.insert(info.name).second);
    EXPECT_EQ(&scheduler_info(info.scheduler), &info);
    EXPECT_FALSE(info.summary.empty());
    ASSERT_NE(info.build, nullptr);
  }
  EXPECT_EQ(names, (std::set<std::string_view>{"rr", "wrr", "lc", "wlc", "sh", "dh", "mh"}));
}

TEST(Schedulers, NobodyUsableMeansNoServer) {
  for (const SchedulerInfo& info : schedulers()) {
    SCOPED_TRACE(info.name);
    EXPECT_TRUE(info.build({}, {}).empty());
    for (const bool fallback : {false, true}) {
      const Table table = build(info.scheduler, {0, 0}, fallback);
      EXPECT_TRUE(std::all_of(table.begin(), table.end(), [](std::uint32_t id) { return id == 0; }));
    }
  }
}

TEST(Schedulers, EveryWeightedMemberIsServedAndNoDrainedOne) {
  std::mt19937 random(1);
  for (const SchedulerInfo& info : schedulers()) {
    SCOPED_TRACE(info.name);
    for (const std::size_t size : {1U, 2U, 3U, 17U, 255U, 256U, 257U, 1000U}) {
      Weights weights(size);
      for (std::uint32_t& weight : weights)
        weight = random() % 4 == 0 ? 0U : static_cast<std::uint32_t>(random() % 65536);
      weights[0] = 65535;
      const auto served = counts(build(info.scheduler, weights));
      for (std::size_t i = 0; i < size; ++i)
        EXPECT_EQ(served.contains(static_cast<std::uint32_t>(i + 1)), weights[i] > 0) << size << " members, " << i;
    }
  }
}

TEST(Rr, MembersInTurnWhateverTheirWeights) {
  EXPECT_EQ(build(Scheduler::rr, {3, 0, 1, 7}), (Table{1, 3, 4}));
}

TEST(LcAndWlc, AllCandidatesInTheOperatorsOrder) {
  EXPECT_EQ(build(Scheduler::lc, {3, 0, 1, 7}), (Table{1, 3, 4}));
  EXPECT_EQ(build(Scheduler::wlc, {3, 0, 1, 7}), (Table{1, 3, 4}));
}

// IPVS' scheduler as a state machine: a position in the list and a current weight.
class KernelWrr {
 public:
  explicit KernelWrr(Weights weights) : weights_(std::move(weights)) {
    for (const std::uint32_t weight : weights_) {
      step_ = std::gcd(step_, weight);
      max_ = std::max(max_, weight);
    }
    current_ = static_cast<std::int64_t>(max_) - (step_ - 1);
  }
  std::uint32_t schedule() {
    while (true) {
      while (++position_ < static_cast<std::int64_t>(weights_.size()))
        if (weights_[static_cast<std::size_t>(position_)] >= current_) return static_cast<std::uint32_t>(position_ + 1);
      position_ = -1;
      current_ -= step_;
      if (current_ <= 0) current_ = static_cast<std::int64_t>(max_) - (step_ - 1);
    }
  }

 private:
  Weights weights_;
  std::uint32_t step_ = 0;
  std::uint32_t max_ = 0;
  std::int64_t current_ = 0;
  std::int64_t position_ = -1;
};

TEST(Wrr, OneCycleOfTheKernelsOrder) {
  const std::vector<Weights> cases{
      {1},      {5},          {3, 1},          {4, 3, 2},  {4, 2, 6},      {1, 1, 1},        {10, 20, 30},
      {1, 100}, {0, 3, 0, 2}, {7, 5, 3, 2, 1}, {2, 65535}, {65535, 65534}, {100, 1, 100, 1}, {6, 9, 15, 21, 0}};
  for (const Weights& weights : cases) {
    SCOPED_TRACE(testing::PrintToString(weights));
    const Table table = build(Scheduler::wrr, weights);
    std::uint32_t divisor = 0;
    for (const std::uint32_t weight : weights) divisor = std::gcd(divisor, weight);
    ASSERT_EQ(table.size(), std::accumulate(weights.begin(), weights.end(), 0U) / divisor);
    KernelWrr kernel(weights);
    for (int cycle = 0; cycle < 2; ++cycle)
      for (std::size_t i = 0; i < table.size(); ++i) ASSERT_EQ(table[i], kernel.schedule()) << i;
  }
}

TEST(Wrr, KnownOrder) {
  EXPECT_EQ(build(Scheduler::wrr, {4, 3, 2}), (Table{1, 1, 2, 1, 2, 3, 1, 2, 3}));
}

TEST(Wrr, HugeWeightsAreScaledAndNobodyIsLost) {
  Weights weights(200);
  std::mt19937 random(2);
  for (std::uint32_t& weight : weights) weight = 1 + static_cast<std::uint32_t>(random() % 65535);
  weights[7] = 1;
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  ASSERT_GT(total, static_cast<double>(kMaxTableEntries));
  const Table table = build(Scheduler::wrr, weights);
  ASSERT_LE(table.size(), kMaxTableEntries);
  ASSERT_GT(table.size(), kMaxTableEntries - 500);
  auto served = counts(table);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const double exact = weights[i] / total * static_cast<double>(kMaxTableEntries - weights.size());
    EXPECT_NEAR(static_cast<double>(served[static_cast<std::uint32_t>(i + 1)]), exact, 1.0) << i;
  }
}

// IPVS' assignment, bucket by bucket.
Table kernel_sh(const Weights& weights, bool fallback) {
  std::vector<std::size_t> owner;
  std::size_t at = 0;
  std::uint32_t count = 0;
  for (int bucket = 0; bucket < 256; ++bucket) {
    owner.push_back(at);
    if (++count >= weights[at]) {
      at = (at + 1) % weights.size();
      count = 0;
    }
  }
  Table table;
  for (std::size_t bucket = 0; bucket < 256; ++bucket) {
    std::uint32_t id = weights[owner[bucket]] > 0 ? static_cast<std::uint32_t>(owner[bucket] + 1) : 0;
    for (std::size_t offset = 0; fallback && id == 0 && offset < 256; ++offset) {
      const std::size_t candidate = owner[(offset + bucket + bucket) & 255];
      if (weights[candidate] > 0) id = static_cast<std::uint32_t>(candidate + 1);
    }
    table.push_back(id);
  }
  return table;
}

TEST(Sh, BucketsAsTheKernelAssignsThem) {
  const std::vector<Weights> cases{
      {1},      {1, 1, 1}, {3, 1},          {0, 1},          {3, 0, 2},      {100, 100, 56}, {0, 0, 5}, {1, 0, 0, 0, 1},
      {255, 1}, {256},     {10, 20, 30, 0}, Weights(256, 1), Weights(100, 2)};
  for (const Weights& weights : cases)
    for (const bool fallback : {false, true}) {
      SCOPED_TRACE(testing::PrintToString(weights) + (fallback ? " with fallback" : ""));
      EXPECT_EQ(build(Scheduler::sh, weights, fallback), kernel_sh(weights, fallback));
    }
}

TEST(Sh, FallbackMovesOnlyTheDrainedMembersClients) {
  const Table before = build(Scheduler::sh, {1, 1, 1, 1});
  const Table dropped = build(Scheduler::sh, {1, 0, 1, 1}, false);
  const Table moved = build(Scheduler::sh, {1, 0, 1, 1}, true);
  for (std::size_t i = 0; i < before.size(); ++i) {
    EXPECT_EQ(dropped[i], before[i] == 2 ? 0 : before[i]);
    EXPECT_NE(moved[i], 0U);
    EXPECT_NE(moved[i], 2U);
    if (before[i] != 2) {
      EXPECT_EQ(moved[i], before[i]);
    }
  }
}

TEST(Sh, WeightsBeyondTheTableAreScaled) {
  // IPVS would give all 256 buckets to the first.
  auto even = counts(build(Scheduler::sh, {1000, 1000}));
  EXPECT_EQ(even[1], 128U);
  EXPECT_EQ(even[2], 128U);
  auto odd = counts(build(Scheduler::sh, {1000, 501, 1}));
  EXPECT_NEAR(static_cast<double>(odd[1]), 256 * 1000 / 1502.0, 3);
  EXPECT_NEAR(static_cast<double>(odd[2]), 256 * 501 / 1502.0, 3);
  EXPECT_GE(odd[3], 1U);
}

TEST(Sh, MoreMembersThanBucketsGetMoreBuckets) {
  EXPECT_EQ(build(Scheduler::sh, Weights(257, 1)).size(), 512U);
  EXPECT_EQ(build(Scheduler::dh, Weights(257, 1)).size(), 512U);
}

TEST(Dh, MembersInTurnDrainedOnesEmpty) {
  const Table table = build(Scheduler::dh, {5, 0, 1}, true);
  ASSERT_EQ(table.size(), 256U);
  for (std::size_t i = 0; i < table.size(); ++i) EXPECT_EQ(table[i], (Table{1, 0, 3})[i % 3]);
}

}  // namespace
}  // namespace xlvs
