// SPDX-License-Identifier: Apache-2.0
#include "health/process.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "tests/support/event_loop.h"
#include "tests/unit/health/servers.h"

namespace xlvs::health::test {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using End = ProgramResult::End;

// Whether a process has `argument` in its command line.
bool lives(const std::string& argument) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::ifstream file(entry.path() / "cmdline", std::ios::binary);
    std::string line(4096, '\0');
    file.read(line.data(), static_cast<std::streamsize>(line.size()));  // nothing of a process that has just ended
    line.resize(static_cast<std::size_t>(file.gcount()));
    if (line.find(argument) != std::string::npos) return true;
  }
  return false;
}

class ProcessTest : public HealthTest {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root, to become another user";
    const auto nobody = find_program_user("nobody");
    ASSERT_TRUE(nobody) << nobody.error().message;
    user_ = *nobody;
  }

  [[nodiscard]] Program shell(const std::string& script) const { return program({"/bin/sh", "-c", script}); }
  [[nodiscard]] Program program(std::vector<std::string> arguments) const {
    return {std::move(arguments), {"XLVS_TEST=yes"}, user_, false};
  }
  ProgramResult run(Program what, std::chrono::milliseconds timeout = 10s) {
    std::optional<ProgramResult> result;
    const auto handle =
        Programs::of(loop_).run(std::move(what), timeout, [&](ProgramResult found) { result = std::move(found); });
    EXPECT_FALSE(result) << "never from within run()";
    run_until("the program's end", [&] { return result.has_value(); });
    return result.value_or(ProgramResult{});
  }
  // A sleep that lives() can tell from all others.
  std::string sleep_name() { return "98765." + std::to_string(getpid()) + std::to_string(++sleeps_); }

  ProgramUser user_;
  int sleeps_ = 0;
};

TEST_F(ProcessTest, ReportsExitStatusAndOutput) {
  const ProgramResult result = run(shell("echo one; echo two >&2; exit 7"));
  EXPECT_EQ(result.end, End::exited) << result.error;
  EXPECT_EQ(result.code, 7);
  EXPECT_EQ(result.output, "one\n");
}

TEST_F(ProcessTest, ErrorsJoinTheOutputWhenAsked) {
  Program noisy = shell("echo one; echo two >&2");
  noisy.with_errors = true;
  EXPECT_EQ(run(noisy).output, "one\ntwo\n");
}

TEST_F(ProcessTest, ReportsTheSignalThatKilledIt) {
  const ProgramResult result = run(shell("ulimit -t 1; while :; do :; done"));
  EXPECT_EQ(result.end, End::signalled);
  EXPECT_EQ(result.code, SIGKILL);
}

TEST_F(ProcessTest, NoShellLooksAtTheArguments) {
  EXPECT_EQ(run(program({"/bin/echo", "$HOME *", "; id", ""})).output, "$HOME * ; id \n");
}

TEST_F(ProcessTest, RunsAsTheUserWithoutGroupsAndCapabilities) {
  const ProgramResult result = run(shell("id -u; id -g; id -G; id -ru; exec cat /proc/self/status"));
  const std::string uid = std::to_string(user_.uid);
  const std::string gid = std::to_string(user_.gid);
  EXPECT_TRUE(result.output.starts_with(uid + "\n" + gid + "\n" + gid + "\n" + uid + "\n")) << result.output;
  const std::string none(16, '0');
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"})
    EXPECT_NE(result.output.find(std::string(set) + ":\t" + none), std::string::npos) << set << result.output;
  EXPECT_NE(result.output.find("NoNewPrivs:\t1"), std::string::npos) << result.output;
}

TEST_F(ProcessTest, SignalsAreNeitherBlockedNorIgnored) {
  const auto before = std::signal(SIGPIPE, SIG_IGN);
  const ProgramResult result = run(program({"/bin/cat", "/proc/self/status"}));
  std::signal(SIGPIPE, before);
  for (const char* set : {"SigBlk", "SigIgn", "SigCgt"})
    EXPECT_NE(result.output.find(std::string(set) + ":\t" + std::string(16, '0')), std::string::npos) << result.output;
}

TEST_F(ProcessTest, OnlyThreeDescriptorsAndNoInput) {
  const int low = open("/etc/passwd", O_RDONLY);  // without close-on-exec
  const int high = dup2(low, 200);
  EXPECT_EQ(run(program({"/bin/ls", "/proc/self/fd"})).output, "0\n1\n2\n3\n") << "3 is the directory that ls reads";
  EXPECT_EQ(run(shell("readlink /proc/self/fd/0; wc -c")).output, "/dev/null\n0\n");
  close(low);
  close(high);
}

TEST_F(ProcessTest, TheEnvironmentIsWhatIsGivenAndPath) {
  setenv("SECRET_OF_LVSD", "x", 1);
  EXPECT_EQ(run(program({"/usr/bin/env"})).output,
            "XLVS_TEST=yes\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nLANG=C.UTF-8\n");
  unsetenv("SECRET_OF_LVSD");
}

TEST_F(ProcessTest, RunsInItsOwnSessionInTheRootDirectoryWithLimits) {
  const ProgramResult result =
      run(shell("pwd; ulimit -c; ulimit -n; read -r pid name state parent group session rest </proc/self/stat;"
                "echo $((pid - group)) $((pid - session))"));
  EXPECT_EQ(result.output, "/\n0\n1024\n0 0\n");
}

TEST_F(ProcessTest, ATimeoutKillsItAndItsChildrenEvenInSessionsOfTheirOwn) {
  const std::string plain = sleep_name();
  const std::string daemon = sleep_name();
  const auto begin = Clock::now();
  const ProgramResult result = run(
      shell("trap '' TERM HUP; sleep " + plain + " & setsid sh -c 'sleep " + daemon + " & sleep 1000' & wait"), 500ms);
  EXPECT_EQ(result.end, End::timeout);
  EXPECT_GE(Clock::now() - begin, 500ms);
  EXPECT_LT(Clock::now() - begin, 3s);
  run_until("all are dead", [&] { return !lives(plain) && !lives(daemon); });
  run_until("and reaped", [&] { return Programs::of(loop_).running() == 0; });
}

TEST_F(ProcessTest, ChildrenThatItLeavesBehindDieWithIt) {
  const std::string name = sleep_name();
  const ProgramResult result = run(shell("setsid sleep " + name + " </dev/null >/dev/null 2>&1 & echo started"));
  EXPECT_EQ(result.end, End::exited);
  EXPECT_EQ(result.output, "started\n");
  EXPECT_FALSE(lives(name)) << "the kernel kills them before it reports the end";
}

TEST_F(ProcessTest, DestroyedRunsReportNothingAndLeaveNothing) {
  const std::string name = sleep_name();
  bool called = false;
  auto handle = Programs::of(loop_).run(shell("sleep " + name + " & wait"), 10s, [&](ProgramResult) { called = true; });
  run_until("it runs", [&] { return lives(name); });
  handle.reset();
  run_until("it is dead", [&] { return Programs::of(loop_).running() == 0; });
  EXPECT_FALSE(lives(name));
  EXPECT_FALSE(called);
}

TEST_F(ProcessTest, EndsWithItsEventLoop) {
  const std::string name = sleep_name();
  std::unique_ptr<ProgramRun> handle;
  {
    boost::asio::io_context other;
    handle = Programs::of(other).run(program({"/bin/sleep", name}), 10s, [](ProgramResult) { FAIL(); });
    run_until("it runs", [&] { return lives(name); });
    handle.reset();
  }
  run_until("it is dead", [&] { return !lives(name); });
}

TEST_F(ProcessTest, DiesWithLvsd) {
  const std::string name = sleep_name();
  const pid_t lvsd = fork();
  if (lvsd == 0) {
    boost::asio::io_context other;
    const auto handle = Programs::of(other).run(shell("setsid sleep " + name + " & wait"), 60s, [](ProgramResult) {});
    for (;;) pause();
  }
  run_until("it runs", [&] { return lives(name); });
  kill(lvsd, SIGKILL);
  waitpid(lvsd, nullptr, 0);
  run_until("it is dead", [&] { return !lives(name); });
}

TEST_F(ProcessTest, EndlessOutputIsBoundedInMemoryAndTime) {
  const auto begin = Clock::now();
  const ProgramResult result = run(program({"/usr/bin/yes"}));
  EXPECT_EQ(result.end, End::too_much_output);
  EXPECT_EQ(result.output.size(), kMaxProgramOutput);
  EXPECT_LT(Clock::now() - begin, 5s);
  run_until("it is dead", [&] { return Programs::of(loop_).running() == 0; });
}

TEST_F(ProcessTest, OutputUpToTheBoundIsWhole) {
  const ProgramResult result = run(program({"/usr/bin/head", "-c", std::to_string(kMaxProgramOutput), "/dev/zero"}));
  EXPECT_EQ(result.end, End::exited);
  EXPECT_EQ(result.output, std::string(kMaxProgramOutput, '\0'));
}

TEST_F(ProcessTest, WhatCanNotBeStartedSaysWhy) {
  const ProgramResult missing = run(program({"/nonexistent/check"}));
  EXPECT_EQ(missing.end, End::not_started);
  EXPECT_EQ(missing.error, "/nonexistent/check: No such file or directory");
  const TemporaryDirectory directory;  // which only root may enter
  const std::string file = directory.file("check");
  std::ofstream(file) << "#!/bin/sh\n";
  std::filesystem::permissions(file, std::filesystem::perms(0755));
  EXPECT_EQ(run(program({file})).error, file + ": Permission denied");
}

TEST_F(ProcessTest, NoMoreRunAtOnceThanAllowed) {
  Programs& programs = Programs::of(loop_);
  programs.set_limit(2);
  std::vector<std::unique_ptr<ProgramRun>> runs;
  std::vector<int> order;
  for (int i = 0; i < 6; ++i) {
    runs.push_back(programs.run(shell("exit " + std::to_string(i)), 10s, [&](ProgramResult result) {
      EXPECT_EQ(result.end, End::exited);
      EXPECT_LE(programs.running(), 2U);
      order.push_back(result.code);
    }));
    EXPECT_LE(programs.running(), 2U);
  }
  run_until("all have run", [&] { return order.size() == 6; });
  std::sort(order.begin(), order.end());
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4, 5}));
}

TEST_F(ProcessTest, WithoutRoomItEndsInTimeAllTheSame) {
  Programs& programs = Programs::of(loop_);
  programs.set_limit(1);
  const auto hung = programs.run(program({"/bin/sleep", "1000"}), 10s, [](ProgramResult) { FAIL(); });
  EXPECT_EQ(run(shell("exit 0"), 200ms).end, End::no_room);
  programs.set_limit(2);
  EXPECT_EQ(run(shell("exit 0")).end, End::exited) << "a hung program delays nobody as long as there is room";
}

TEST(ProgramUserTest, IsFoundByNameAndNumber) {
  const auto root = find_program_user("root");
  ASSERT_TRUE(root);
  EXPECT_EQ(root->uid, 0U);
  EXPECT_EQ(find_program_user("0")->gid, root->gid);
  EXPECT_EQ(find_program_user("no-such-user").error().message, "there is no user 'no-such-user'");
}

}  // namespace
}  // namespace xlvs::health::test
