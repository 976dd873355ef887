// SPDX-License-Identifier: Apache-2.0
#include "health/spawn.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <memory>
#include <utility>

namespace xlvs::health {
namespace {

// The child shares lvsd's memory until it executes the program (as posix_spawn(3) does): its stack is a part of this
// one, and it may only make system calls, and none through those wrappers of libc that keep books about the process.
constexpr std::size_t kStackSize = 64U << 10;
constexpr rlim_t kMaxOpenFiles = 1024;
constexpr rlim_t kMaxFileSize = 64U << 20;
constexpr rlim_t kMaxProcesses = 4096;  // of the user, in all programs of all its sessions: against fork bombs only

struct Fd {
  Fd() = default;
  explicit Fd(int number) : fd(number) {}
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() {
    if (fd >= 0) close(fd);
  }
  int release() { return std::exchange(fd, -1); }
  int fd = -1;
};

struct Child {
  const char* path = nullptr;
  char* const* arguments = nullptr;
  char* const* environment = nullptr;
  ProgramUser user;
  int input = -1;
  int output = -1;
  int errors = -1;
  rlim_t cpu = 0;
  // What failed; written by the child.
  const char* step = nullptr;
  int error = 0;
};

#define XLVS_NO_SANITIZER __attribute__((no_sanitize("address", "undefined")))

// Never above what lvsd itself is limited to.
XLVS_NO_SANITIZER bool limit(unsigned resource, rlim_t value) {
  rlimit bounds{};
  if (syscall(SYS_prlimit64, 0, resource, nullptr, &bounds) != 0) return false;
  if (value < bounds.rlim_max) bounds.rlim_max = value;
  bounds.rlim_cur = bounds.rlim_max;
  return syscall(SYS_prlimit64, 0, resource, &bounds, nullptr) == 0;
}

// Best effort, in case a supervisor protects lvsd from the out-of-memory killer: a program must not inherit that.
XLVS_NO_SANITIZER void reset_oom_score() {
  const long fd = syscall(SYS_openat, AT_FDCWD, "/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  (void)syscall(SYS_write, fd, "0", 1);
  (void)syscall(SYS_close, fd);
}

XLVS_NO_SANITIZER void reset_signals() {
  const std::uint64_t none[4] = {};  // a kernel sigaction of SIG_DFL, or an empty set
  for (int signal = 1; signal <= 64; ++signal) (void)syscall(SYS_rt_sigaction, signal, none, nullptr, sizeof none[0]);
  (void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, none, nullptr, sizeof none[0]);
}

XLVS_NO_SANITIZER bool set_descriptors(const Child& child) {
  return syscall(SYS_dup3, child.input, 0, 0) == 0 && syscall(SYS_dup3, child.output, 1, 0) == 1 &&
         syscall(SYS_dup3, child.errors, 2, 0) == 2 && syscall(SYS_close_range, 3, ~0U, 0) == 0;
}

XLVS_NO_SANITIZER bool set_limits(const Child& child) {
  return limit(RLIMIT_CORE, 0) && limit(RLIMIT_NOFILE, kMaxOpenFiles) && limit(RLIMIT_FSIZE, kMaxFileSize) &&
         limit(RLIMIT_NPROC, kMaxProcesses) && limit(RLIMIT_CPU, child.cpu);
}

XLVS_NO_SANITIZER bool become(const ProgramUser& user) {
  for (unsigned long capability = 0; capability < 64; ++capability) {
    (void)syscall(SYS_prctl, PR_CAPBSET_DROP, capability, 0, 0, 0);  // a second lock: no_new_privs holds without it
  }
  if (syscall(SYS_setgroups, 0, nullptr) != 0) return false;
  if (syscall(SYS_setresgid, user.gid, user.gid, user.gid) != 0) return false;
  if (syscall(SYS_setresuid, user.uid, user.uid, user.uid) != 0) return false;
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct nothing[_LINUX_CAPABILITY_U32S_3] = {};
  return syscall(SYS_capset, &header, nothing) == 0;
}

XLVS_NO_SANITIZER int fail_at(Child& child, const char* step) {
  child.error = errno;
  child.step = step;
  syscall(SYS_exit, 127);
  return 127;
}

XLVS_NO_SANITIZER int child_main(void* argument) {
  Child& child = *static_cast<Child*>(argument);
  reset_signals();
  reset_oom_score();
  if (!set_descriptors(child)) return fail_at(child, "its descriptors");
  if (syscall(SYS_setsid) < 0) return fail_at(child, "its session");
  if (syscall(SYS_chdir, "/") != 0) return fail_at(child, "its directory");
  (void)syscall(SYS_umask, 022);
  if (!set_limits(child)) return fail_at(child, "its limits");
  if (syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_at(child, "no_new_privs");
  if (!become(child.user)) return fail_at(child, "its user");
  // After the change of user, which clears it.
  if (syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) return fail_at(child, "its end");
  syscall(SYS_execve, child.path, child.arguments, child.environment);
  return fail_at(child, "");
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (std::string& text : strings) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

// No signal may reach a handler of lvsd's in the child, which shares its memory.
int clone_child(Child& child) {
  const auto stack = std::make_unique_for_overwrite<std::max_align_t[]>(kStackSize / sizeof(std::max_align_t));
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int pidfd = -1;
  const int pid = clone(child_main, stack.get() + kStackSize / sizeof(std::max_align_t),
                        CLONE_VM | CLONE_VFORK | CLONE_PIDFD | CLONE_NEWPID | SIGCHLD, &child, &pidfd);
  const int error = errno;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return pid < 0 ? -1 : pidfd;
}

Error clone_failure(int error) {
  if (error == EPERM) {
    return {ErrorKind::permission,
            "lvsd may not run programs: it needs CAP_SYS_ADMIN, CAP_SETUID, CAP_SETGID and CAP_KILL, see "
            "docs/operations.md"};
  }
  return {ErrorKind::unavailable, fmt::format("clone: {}", std::strerror(error))};
}

Result<std::pair<int, int>> make_pipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return fail(ErrorKind::unavailable, "pipe: {}", std::strerror(errno));
  (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
  return std::pair(ends[0], ends[1]);
}

}  // namespace

Result<Spawned> spawn(const Program& program, std::chrono::seconds cpu) {
  std::vector<std::string> arguments = program.arguments;
  std::vector<std::string> environment = program.environment;
  environment.emplace_back("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
  environment.emplace_back("LANG=C.UTF-8");
  const std::vector<char*> argv = pointers(arguments);
  const std::vector<char*> envp = pointers(environment);

  const Fd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (null.fd < 0) return fail(ErrorKind::unavailable, "/dev/null: {}", std::strerror(errno));
  auto ends = make_pipe();
  if (!ends) return tl::make_unexpected(ends.error());
  Fd read_end(ends->first);
  const Fd write_end(ends->second);

  Child child;
  child.path = argv.front();
  child.arguments = argv.data();
  child.environment = envp.data();
  child.user = program.user;
  child.input = null.fd;
  child.output = write_end.fd;
  child.errors = program.with_errors ? write_end.fd : null.fd;
  child.cpu = static_cast<rlim_t>(cpu.count());
  Fd pidfd(clone_child(child));
  if (pidfd.fd < 0) return tl::make_unexpected(clone_failure(errno));
  if (child.step != nullptr) {
    siginfo_t info;
    (void)waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(pidfd.fd), &info, WEXITED);
    const std::string what =
        *child.step == '\0' ? program.arguments.front() : fmt::format("{}: {}", program.arguments.front(), child.step);
    const bool lack = child.error == EAGAIN || child.error == ENOMEM || child.error == EMFILE || child.error == ENFILE;
    return fail(lack ? ErrorKind::unavailable : ErrorKind::invalid, "{}: {}", what, std::strerror(child.error));
  }
  return Spawned{pidfd.release(), read_end.release()};
}

}  // namespace xlvs::health
