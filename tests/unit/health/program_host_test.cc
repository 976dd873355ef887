// SPDX-License-Identifier: Apache-2.0
// Programs see and signal the host's processes as from a shell, and what they leave behind ends all the same.
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstddef>
#include <filesystem>
#include <fstream>

#include "health/process.h"
#include "tests/support/event_loop.h"
#include "tests/unit/health/servers.h"

namespace xlvs::health::test {
namespace {

using namespace std::chrono_literals;
using End = ProgramResult::End;

class ProgramHost : public HealthTest {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root, to become another user";
    ASSERT_EQ(isolated_programs(), "");
    std::filesystem::permissions(directory_.file(""), std::filesystem::perms(0755));
    std::filesystem::copy_file("/bin/sleep", daemon());
  }
  void TearDown() override {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
  }

  // A name that killall and pidof tell from all others.
  [[nodiscard]] std::string name() const { return "xd" + std::to_string(getpid()); }
  [[nodiscard]] std::string daemon() const { return directory_.file(name()); }
  [[nodiscard]] std::string pid_file() const { return directory_.file("pid"); }
  void start_daemon(const ProgramUser& user) {
    const std::string path = daemon();
    pid_ = fork();
    if (pid_ == 0) {
      if (setresgid(user.gid, user.gid, user.gid) != 0 || setresuid(user.uid, user.uid, user.uid) != 0) _exit(1);
      execl(path.c_str(), path.c_str(), "1000", nullptr);
      _exit(1);
    }
    std::ofstream(pid_file()) << pid_ << '\n';
    const std::string link = "/proc/" + std::to_string(pid_) + "/exe";
    run_until("it runs", [&] {
      std::error_code error;
      return std::filesystem::read_symlink(link, error) == path;
    });
  }
  ProgramResult run(const std::string& script, const std::string& user, std::chrono::milliseconds timeout = 10s) {
    return run(Program{{"/bin/sh", "-c", script}, {}, *find_program_user(user), true}, timeout);
  }
  ProgramResult run(Program what, std::chrono::milliseconds timeout = 10s) {
    std::optional<ProgramResult> result;
    const auto handle =
        Programs::of(loop_).run(std::move(what), timeout, [&](ProgramResult found) { result = std::move(found); });
    run_until("the program's end", [&] { return result.has_value(); });
    return result.value_or(ProgramResult{});
  }
  int status(const std::string& script, const std::string& user) {
    const ProgramResult result = run(script, user);
    EXPECT_EQ(result.end, End::exited) << result.error;
    return result.code;
  }

  TemporaryDirectory directory_;
  pid_t pid_ = -1;
};

TEST_F(ProgramHost, KillallKillAndPidofBehaveAsFromAShell) {
  for (const char* user : {"root", "nobody"}) {
    start_daemon(*find_program_user(user));
    EXPECT_EQ(status("killall -0 " + name(), user), 0) << user;
    EXPECT_EQ(status("kill -0 $(cat " + pid_file() + ")", user), 0) << user;
    EXPECT_EQ(run("pidof " + name(), user).output, std::to_string(pid_) + "\n") << user;
    EXPECT_EQ(status("killall -0 no-such-" + name(), user), 1) << user;
    EXPECT_EQ(status("kill -HUP $(cat " + pid_file() + ")", user), 0) << user;
    int how = 0;
    waitpid(std::exchange(pid_, -1), &how, 0);
    EXPECT_TRUE(WIFSIGNALED(how) && WTERMSIG(how) == SIGHUP) << user;
    EXPECT_NE(status("kill -0 $(cat " + pid_file() + ")", user), 0) << user;
  }
}

TEST_F(ProgramHost, NobodySignalsNobodyElsesProcesses) {
  start_daemon(*find_program_user("root"));
  EXPECT_EQ(status("kill -0 $(cat " + pid_file() + ")", "nobody"), 1);
  EXPECT_EQ(status("killall -0 " + name(), "nobody"), 1);
  EXPECT_EQ(status("pidof " + name(), "nobody"), 0);
}

TEST_F(ProgramHost, RootKeepsWhatLvsdMayDo) {
  start_daemon(*find_program_user("nobody"));
  EXPECT_EQ(status("kill -0 $(cat " + pid_file() + ")", "root"), 0) << "CAP_KILL";
  EXPECT_EQ(run("id -u; id -G", "root").output, "0\n0\n");
}

// A handful of shells that start sleepers in sessions of their own, as fast as they can, and mind no signal.
TEST_F(ProgramHost, WhatForksForEverAndIgnoresSignalsEndsWithItsRun) {
  const std::string bomb =
      "trap '' TERM HUP INT; for i in 1 2 3 4; do setsid sh -c \"trap '' TERM HUP; while :; do "
      "setsid " +
      daemon() + " 1000 & done\" & done; ";
  const auto any = [&] { return status("pidof " + name(), "root") == 0; };
  EXPECT_EQ(run(bomb + "wait", "nobody", 400ms).end, End::timeout);
  run_until("all are dead", [&] { return Programs::of(loop_).running() == 0; });
  EXPECT_FALSE(any());
  EXPECT_EQ(run(bomb + "sleep 0.3; exit 3", "nobody").code, 3);
  EXPECT_FALSE(any()) << "before its end is reported";
}

TEST_F(ProgramHost, NothingIsLeftInTheGroups) {
  const auto groups = [&] { return run("sed -n 's/^0:://p' /proc/self/cgroup", "root").output; };
  const std::string first = groups();
  EXPECT_NE(first.find("lvs-programs."), std::string::npos) << first;
  EXPECT_NE(groups(), first) << "each run has one of its own";
}

// A filter of system calls, for a fork of the test: `blocked` do not exist in it.
void block(const std::vector<long>& blocked) {
  std::vector<sock_filter> code{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
  for (const long call : blocked) {
    code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(call), 0, 1));
    code.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS));
  }
  code.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  const sock_fprog filter{static_cast<unsigned short>(code.size()), code.data()};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
    _exit(99);
}

// The output of `script` as a fork of the test runs it, without those system calls and, `bare`, without cgroups.
std::string elsewhere(const std::vector<long>& blocked, bool bare, const std::string& script) {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    if (bare && (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
                 mount("none", "/sys/fs/cgroup", "tmpfs", 0, nullptr) != 0))
      _exit(98);
    block(blocked);
    boost::asio::io_context loop;
    ProgramResult result;
    const auto handle =
        Programs::of(loop).run({{"/bin/sh", "-c", script}, {}, {}, true}, 10s, [&](ProgramResult found) {
          result = std::move(found);
          loop.stop();
        });
    loop.run_for(20s);
    const std::string text = result.output + result.error + isolated_programs();
    _exit(write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0 : 97);
  }
  close(ends[1]);
  std::string text(65536, '\0');
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(read(ends[0], text.data(), text.size()), 0)));
  close(ends[0]);
  int how = 0;
  waitpid(child, &how, 0);
  EXPECT_EQ(how, 0);
  return text;
}

// systemd's RestrictNamespaces, and Docker's older profiles.
TEST_F(ProgramHost, WithoutClone3ItEntersItsGroupFirst) {
  const std::string text = elsewhere({SYS_clone3}, false, "cat /proc/self/cgroup");
  EXPECT_NE(text.find("0::/"), std::string::npos) << text;
  EXPECT_NE(text.find("lvs-programs."), std::string::npos) << text;
}

TEST_F(ProgramHost, WithoutMountsOfItsOwnTheHostsServes) {
  const std::string text = elsewhere({SYS_fsopen}, false, "cat /proc/self/cgroup");
  EXPECT_NE(text.find("lvs-programs."), std::string::npos) << text;
}

TEST_F(ProgramHost, WithoutGroupsItIsIsolatedAndThatIsSaid) {
  const std::string text = elsewhere({SYS_fsopen}, true, "echo $$; setsid sleep 1000 &");
  EXPECT_EQ(text, "1\nmounting cgroup2: Function not implemented");
}

class OnlyRoot : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root's files";
    // Below a folder that is root's alone, as /tmp is not.
    top_ = "/run/xlvs-only-root-" + std::to_string(getpid());
    std::filesystem::create_directories(top_ + "/bin");
    std::ofstream(program()) << "#!/bin/sh\n";
    chmod(program().c_str(), 0755);
  }
  void TearDown() override {
    if (!top_.empty()) std::filesystem::remove_all(top_);
  }
  [[nodiscard]] std::string program() const { return top_ + "/bin/notify"; }
  static std::string complaint(const std::string& path) {
    const auto result = check_only_root_may_change(path);
    return result ? "" : result.error().message;
  }
  std::string top_;
};

TEST_F(OnlyRoot, MayChangeAnyComponentOfAPath) {
  EXPECT_EQ(complaint(program()), "");
  EXPECT_EQ(complaint("/bin/sh"), "") << "links of root's are followed";
  for (const std::string& part : {top_, top_ + "/bin", program()}) {
    chmod(part.c_str(), 0777);
    EXPECT_EQ(complaint(program()),
              program() + " would run as root, but others than root may change " + part + " (uid 0, gid 0, mode 0777)");
    chmod(part.c_str(), 0775);
    EXPECT_EQ(complaint(program()), "") << "root's group";
    EXPECT_EQ(chown(part.c_str(), 0, 65534), 0);
    EXPECT_NE(complaint(program()), "") << "nobody's group";
    chmod(part.c_str(), 0755);
    EXPECT_EQ(complaint(program()), "");
    EXPECT_EQ(chown(part.c_str(), 65534, 0), 0);
    EXPECT_NE(complaint(program()).find("may change " + part + " (uid 65534"), std::string::npos);
    EXPECT_EQ(chown(part.c_str(), 0, 0), 0);
  }
}

TEST_F(OnlyRoot, MayChangeWhatALinkLeadsTo) {
  const std::string link = top_ + "/link";
  std::filesystem::create_symlink("bin/../bin/./notify", link);
  EXPECT_EQ(complaint(link), "");
  chmod((top_ + "/bin").c_str(), 0777);
  EXPECT_NE(complaint(link).find("may change " + top_ + "/bin "), std::string::npos);
  chmod((top_ + "/bin").c_str(), 0755);
  EXPECT_EQ(lchown(link.c_str(), 65534, 0), 0);
  EXPECT_NE(complaint(link).find("may change " + link), std::string::npos) << "its owner may not replace it, but that";
  std::filesystem::remove(link);
  std::filesystem::create_symlink("link", link);
  EXPECT_NE(complaint(link).find("Too many levels"), std::string::npos);
  EXPECT_NE(complaint(top_ + "/nothing").find("No such file"), std::string::npos);
}

}  // namespace
}  // namespace xlvs::health::test
