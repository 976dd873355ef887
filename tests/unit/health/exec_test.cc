// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "health/process.h"
#include "tests/support/event_loop.h"
#include "tests/unit/health/servers.h"

namespace xlvs::health::test {
namespace {

using namespace std::chrono_literals;
using Command = std::vector<std::string>;

class ExecProberTest : public HealthTest {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root, to become another user";
  }
  ProbeResult run(std::map<std::string, CheckValue> params, std::chrono::milliseconds timeout = 10s) {
    return probe(Endpoint::parse("192.0.2.7:8080").value(), spec("exec", std::move(params)), timeout);
  }
  ProbeResult shell(const std::string& script, std::map<std::string, CheckValue> params = {}) {
    params["command"] = Command{"/bin/sh", "-c", script};
    return run(std::move(params));
  }
};

TEST_F(ExecProberTest, ExitStatusZeroPasses) {
  const ProbeResult result = shell("exit 0");
  EXPECT_TRUE(result.passed) << result.detail;
  EXPECT_EQ(result.reason, "ok");
  EXPECT_GT(result.latency, 0us);
  EXPECT_FALSE(result.weight);
}

TEST_F(ExecProberTest, AnotherExitStatusFailsWithTheFirstLineOfOutput) {
  const ProbeResult result = shell("echo 'no \033 route' >&2; echo more; exit 3");
  EXPECT_FALSE(result.passed);
  EXPECT_EQ(result.reason, "status");
  EXPECT_EQ(result.detail, "exit status 3, expected 0: no ? route");
}

TEST_F(ExecProberTest, ExpectedStatusesAreConfigurable) {
  const CheckValue odd = std::vector<StatusRange>{{1, 1}, {3, 5}};
  EXPECT_TRUE(shell("exit 4", {{"expect_exit", odd}}).passed);
  EXPECT_EQ(shell("exit 0", {{"expect_exit", odd}}).detail, "exit status 0, expected 1, 3-5");
}

TEST_F(ExecProberTest, ExpectedOutputIsLookedForInStandardOutput) {
  EXPECT_TRUE(shell("echo status: fine", {{"expect_output", "fine"}}).passed);
  const ProbeResult result = shell("echo fine >&2; echo broken", {{"expect_output", "fine"}});
  EXPECT_EQ(result.reason, "body");
  EXPECT_EQ(result.detail, "\"fine\" is not in the output: broken");
  EXPECT_EQ(shell("echo fine; exit 2", {{"expect_output", "fine"}}).reason, "status");
}

TEST_F(ExecProberTest, AddressAndPortAreSubstitutedInArgumentsAndEnvironment) {
  EXPECT_TRUE(run({{"command", Command{"/bin/echo", "%h", "-p%p", "100%%", "%"}},
                   {"expect_output", "192.0.2.7 -p8080 100% %\n"}})
                  .passed);
  EXPECT_TRUE(
      shell("echo $XLVS_ADDRESS $XLVS_PORT $XLVS_TIMEOUT_MS", {{"expect_output", "192.0.2.7 8080 1000\n"}}).passed);
}

TEST_F(ExecProberTest, DynamicExitStatusesSetTheWeight) {
  const CheckValue on = true;
  const ProbeResult keep = shell("exit 0", {{"dynamic", on}});
  EXPECT_TRUE(keep.passed);
  EXPECT_FALSE(keep.weight);
  EXPECT_EQ(shell("exit 1", {{"dynamic", on}}).detail, "exit status 1, expected 0 or 2-255");
  const ProbeResult drained = shell("exit 2", {{"dynamic", on}});
  EXPECT_TRUE(drained.passed);
  EXPECT_EQ(drained.weight, (WeightAdvice{WeightAdvice::Unit::absolute, 0}));
  EXPECT_EQ(shell("exit 255", {{"dynamic", on}}).weight, (WeightAdvice{WeightAdvice::Unit::absolute, 253}));
}

TEST_F(ExecProberTest, RunsAsTheConfiguredUser) {
  EXPECT_TRUE(shell("id -un", {{"expect_output", "nobody\n"}}).passed);
  EXPECT_TRUE(shell("id -un", {{"expect_output", "daemon\n"}, {"user", "daemon"}}).passed);
}

TEST_F(ExecProberTest, AHungProgramIsATimeoutInTimeAndDelaysNobody) {
  const auto hung = make_prober(closed_port(loop_), spec("exec", {{"command", Command{"/bin/sleep", "1000"}}}));
  std::optional<ProbeResult> late;
  hung->start(500ms, [&](ProbeResult result) { late = std::move(result); });
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(shell("exit 0").passed);
  EXPECT_FALSE(late);
  run_until("the timeout", [&] { return late.has_value(); });
  EXPECT_EQ(late->reason, "timeout");
  EXPECT_EQ(late->detail, "still running after 500 ms, killed");
}

TEST_F(ExecProberTest, EveryOtherEndIsAFailure) {
  EXPECT_EQ(shell("kill -9 $$").reason, "ok") << "process 1 is immune to itself";
  const ProbeResult killed = run({{"command", Command{"/bin/sh", "-c", "ulimit -t 0; while :; do :; done"}}});
  EXPECT_EQ(killed.reason, "status");
  EXPECT_EQ(killed.detail, "ended by signal 9 (Killed)");
  EXPECT_EQ(run({{"command", Command{"/usr/bin/yes"}}}).reason, "too_large");
  const ProbeResult missing = run({{"command", Command{"/nonexistent"}}});
  EXPECT_EQ(missing.reason, "error");
  EXPECT_EQ(missing.detail, "/nonexistent: No such file or directory");
}

TEST_F(ExecProberTest, WithoutRoomTheReasonIsLvsdsOwn) {
  Programs::of(loop_).set_limit(0);
  const ProbeResult result = run({{"command", Command{"/bin/true"}}}, 100ms);
  EXPECT_TRUE(result.no_result);
  EXPECT_EQ(result.reason, "programs");
  EXPECT_EQ(result.detail, "not started within 2000 ms: max_programs others ran all the time");
}

// "max_programs 2, six exec checks that pass in 0.6 s: four of six backends down, still running after 900 ms, killed."
TEST_F(ExecProberTest, WaitingForRoomIsNotTheProgramsTime) {
  Programs::of(loop_).set_limit(1);
  std::vector<ProbeResult> results;
  std::vector<std::unique_ptr<Prober>> probers;
  for (int i = 0; i < 4; ++i) {
    probers.push_back(make_prober({}, spec("exec", {{"command", Command{"/bin/sleep", "0.3"}}})));
    probers.back()->start(500ms, [&](ProbeResult result) { results.push_back(std::move(result)); });
  }
  run_until("all have run", [&] { return results.size() == 4; });
  for (const ProbeResult& result : results) EXPECT_TRUE(result.passed) << result.reason << ": " << result.detail;
}

class ExecutableTest : public ::testing::Test {
 protected:
  void allow(const std::string& path, unsigned mode) {
    std::filesystem::permissions(path, static_cast<std::filesystem::perms>(mode));
  }
  TemporaryDirectory directory_;
  const ProgramUser stranger_{54321, 54321};
};

TEST_F(ExecutableTest, NeedsTheFileAndTheWayToIt) {
  const std::string folder = directory_.file("bin");
  const std::string file = folder + "/check";
  EXPECT_EQ(check_executable(file, stranger_).error().message, file + ": No such file or directory");
  std::filesystem::create_directory(folder);
  EXPECT_EQ(check_executable(folder, stranger_).error().message, folder + " is not a file");
  std::ofstream(file) << "#!/bin/sh\n";
  allow(file, 0644);
  EXPECT_EQ(check_executable(file, stranger_).error().message, file + " is not executable by uid 54321");
  allow(file, 0755);
  allow(folder, 0700);
  allow(std::filesystem::path(folder).parent_path(), 0755);
  EXPECT_EQ(check_executable(file, stranger_).error().message, file + ": uid 54321 may not enter " + folder);
  EXPECT_TRUE(check_executable(file, {geteuid(), getegid()}));
  allow(folder, 0711);
  EXPECT_TRUE(check_executable(file, stranger_));
  allow(file, 0677);
  EXPECT_FALSE(check_executable(file, {geteuid(), getegid()})) << "the owner's bits count for the owner";
}

}  // namespace
}  // namespace xlvs::health::test
