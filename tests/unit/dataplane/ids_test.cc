// SPDX-License-Identifier: Apache-2.0
#include "dataplane/ids.h"

#include <gmock/gmock.h>

namespace xlvs::dataplane {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

bool nobody(std::uint32_t) {
  return false;
}

TEST(IdPool, GivesOutTheLowestFreeIdAndNeverZero) {
  IdPool pool(3);
  EXPECT_EQ(pool.allocate(), 1U);
  EXPECT_EQ(pool.allocate(), 2U);
  pool.release(1);
  EXPECT_EQ(pool.allocate(), 1U);
  EXPECT_EQ(pool.allocate(), 3U);
  EXPECT_EQ(pool.free_count(), 0U);
}

TEST(IdPool, SkipsAdoptedIds) {
  IdPool pool(3);
  pool.adopt(1);
  pool.adopt(3);
  EXPECT_EQ(pool.free_count(), 1U);
  EXPECT_EQ(pool.allocate(), 2U);
}

TEST(IdPool, RestsUntilASweepThatBeganLaterHasNotSeenIt) {
  IdPool pool(4);
  const std::uint32_t id = pool.allocate();
  pool.quarantine(id, 7);
  EXPECT_EQ(pool.free_count(), 3U);
  EXPECT_EQ(pool.quarantined(), 1U);
  EXPECT_THAT(pool.rested(6, nobody), IsEmpty()) << "that sweep had begun before";
  EXPECT_THAT(pool.rested(7, [&](std::uint32_t seen) { return seen == id; }), IsEmpty()) << "a flow still has it";
  EXPECT_THAT(pool.rested(8, nobody), ElementsAre(id));
  EXPECT_NE(pool.allocate(), id) << "rested, but not yet released";
  pool.release(id);
  EXPECT_EQ(pool.allocate(), id);
}

TEST(IdPool, QuarantinesAnIdThatWasFoundInNobodysUse) {
  IdPool pool(2);
  pool.quarantine(1, 1);
  EXPECT_EQ(pool.free_count(), 1U);
  EXPECT_EQ(pool.allocate(), 2U);
}

}  // namespace
}  // namespace xlvs::dataplane
