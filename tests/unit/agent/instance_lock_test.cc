// SPDX-License-Identifier: Apache-2.0
#include "agent/instance_lock.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include "tests/unit/agent/temporary.h"

namespace xlvs::agent {
namespace {

using ::testing::HasSubstr;

TEST(InstanceLock, TheSecondIsToldWhoHoldsIt) {
  TemporaryDirectory directory;
  const auto first = InstanceLock::acquire(directory / "run/default");
  ASSERT_TRUE(first);
  const auto second = InstanceLock::acquire(directory / "run/default");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::conflict);
  EXPECT_THAT(second.error().message, HasSubstr(fmt::format("pid {}", getpid())));
  EXPECT_TRUE(InstanceLock::acquire(directory / "run/other"));
}

TEST(InstanceLock, LeavesNothingAndCanBeTakenAgain) {
  TemporaryDirectory directory;
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(InstanceLock::acquire(directory / "default")) << i;
    EXPECT_FALSE(std::filesystem::exists(directory / "default")) << i;
  }
}

TEST(InstanceLock, AFileOfAKilledProcessIsNoLock) {
  TemporaryDirectory directory;
  write_file(directory / "default/lvsd.lock", "999999\n");
  write_file(directory / "default/other", "");
  {
    ASSERT_TRUE(InstanceLock::acquire(directory / "default"));
  }
  EXPECT_TRUE(std::filesystem::exists(directory / "default/other"));
}

TEST(InstanceLock, NamesADirectoryThatCanNotBe) {
  TemporaryDirectory directory;
  write_file(directory / "file", "");
  const auto lock = InstanceLock::acquire(directory / "file/default");
  ASSERT_FALSE(lock);
  EXPECT_THAT(lock.error().message, HasSubstr(directory / "file/default"));
}

}  // namespace
}  // namespace xlvs::agent
