// SPDX-License-Identifier: Apache-2.0
#include "agent/logging.h"

#include <gmock/gmock.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

namespace xlvs::agent {
namespace {

using ::testing::MatchesRegex;

class LoggingTest : public ::testing::Test {
 protected:
  void SetUp() override { testing::internal::CaptureStderr(); }
  void TearDown() override {
    unsetenv("JOURNAL_STREAM");
    spdlog::set_level(spdlog::level::info);
  }
  static void name_stderr_the_journal(long other = 0) {
    struct stat info{};
    ASSERT_EQ(fstat(STDERR_FILENO, &info), 0);
    const std::string stream =
        std::to_string(info.st_dev) + ":" + std::to_string(static_cast<long>(info.st_ino) + other);
    setenv("JOURNAL_STREAM", stream.c_str(), 1);
  }
};

TEST_F(LoggingTest, TheJournalGetsItsLevelAndNoTime) {
  name_stderr_the_journal();
  setup_logging();
  spdlog::info("one");
  spdlog::warn("two");
  spdlog::error("three");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "<6>one\n<4>two\n<3>three\n");
}

TEST_F(LoggingTest, AnybodyElseGetsTimeAndLevel) {
  name_stderr_the_journal(1);  // systemd's variable, inherited by a shell whose stderr is something else
  setup_logging();
  spdlog::warn("two");
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              MatchesRegex("[0-9]+-[0-9]+-[0-9]+T[0-9:.]+[+-][0-9]+:[0-9]+ warning: two\n"));
}

TEST_F(LoggingTest, EveryLineOfAMessageIsALine) {
  name_stderr_the_journal();
  setup_logging();
  log_error("rejected", "a.yaml:1:2: x\na.yaml:3:4: y");
  log_error("", "z");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "<3>rejected: a.yaml:1:2: x\n<3>rejected: a.yaml:3:4: y\n<3>z\n");
}

TEST(Counted, KnowsOneFromMany) {
  EXPECT_EQ(counted(0, "service"), "0 services");
  EXPECT_EQ(counted(1, "pass"), "1 pass");
  EXPECT_EQ(counted(2, "pass"), "2 passes");
}

TEST_F(LoggingTest, TheLevelDecides) {
  name_stderr_the_journal();
  setup_logging();
  set_log_level("error");
  spdlog::warn("two");
  spdlog::error("three");
  set_log_level("debug");
  spdlog::debug("four");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "<3>three\n<7>four\n");
}

}  // namespace
}  // namespace xlvs::agent
