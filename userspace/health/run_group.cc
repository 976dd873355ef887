// SPDX-License-Identifier: Apache-2.0
#include "health/run_group.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <string_view>

#include <fmt/format.h>

namespace xlvs::health {
namespace {

constexpr std::string_view kPrefix = "lvs-programs.";
constexpr int kAttempts = 5;

void close_if_open(int fd) {
  if (fd >= 0) close(fd);
}

bool write_one(int folder, const char* file) {
  const int fd = openat(folder, file, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool done = write(fd, "1", 1) == 1;
  close(fd);
  return done;
}

// What openat(2) gave; "": nothing, or more than a small file has.
std::string read_small(int folder, const char* file) {
  const int fd = openat(folder, file, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return "";
  std::array<char, 512> buffer{};
  const ssize_t count = read(fd, buffer.data(), buffer.size());
  close(fd);
  return {buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0))};
}

// A mount of cgroup2 that is nowhere in the tree; -1: not possible.
int private_mount() {
  const int context = static_cast<int>(syscall(SYS_fsopen, "cgroup2", FSOPEN_CLOEXEC));
  if (context < 0) return -1;
  int mount = -1;
  if (syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) == 0)
    mount = static_cast<int>(syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, 0));
  const int error = errno;
  close(context);
  errno = error;
  return mount;
}

int mounted(const char* path) {
  struct statfs info{};
  if (statfs(path, &info) != 0 || info.f_type != CGROUP2_SUPER_MAGIC) return -1;
  return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

// Of this process, relative to the root of the hierarchy.
std::string own_path() {
  std::ifstream file("/proc/self/cgroup");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("0::/")) return line.size() == 4 ? "." : line.substr(4);
  return "";
}

template <typename Each>
void each_folder(int folder, std::string_view prefix, const Each& each) {
  const int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (copy < 0) return;
  DIR* listing = fdopendir(copy);
  if (listing == nullptr) return close_if_open(copy);
  while (const dirent* entry = readdir(listing))
    if (entry->d_type == DT_DIR && std::string_view(entry->d_name).starts_with(prefix) && entry->d_name[0] != '.')
      each(entry->d_name);
  closedir(listing);
}

// As far as it is empty.
void remove_group(int folder, const char* name, int group) {
  each_folder(group, "", [&](const char* run) { (void)unlinkat(group, run, AT_REMOVEDIR); });
  (void)unlinkat(folder, name, AT_REMOVEDIR);
}

// Those of an lvsd that is gone: nobody holds their lock.
void remove_leftovers(int own) {
  each_folder(own, kPrefix, [&](const char* name) {
    const int group = openat(own, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (group < 0) return;
    if (flock(group, LOCK_EX | LOCK_NB) == 0) {
      (void)write_one(group, "cgroup.kill");
      remove_group(own, name, group);
    }
    close(group);
  });
}

// Waits for the end of this process, which alone has the other end of its input, and kills the group then.
void start_guard(int group, int& keep) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return;
  const int kill = openat(group, "cgroup.kill", O_WRONLY | O_CLOEXEC);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[0], 0);
  posix_spawn_file_actions_adddup2(&actions, kill, 3);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  posix_spawn_file_actions_addclosefrom_np(&actions, 4);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
  std::string shell = "/bin/sh";
  std::string flag = "-c";
  std::string script = "read -r end; echo 1 >&3";
  std::array<char*, 4> arguments{shell.data(), flag.data(), script.data(), nullptr};
  std::array<char*, 1> environment{nullptr};
  pid_t pid = -1;
  const int error = posix_spawn(&pid, shell.c_str(), &actions, &attributes, arguments.data(), environment.data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  close_if_open(kill);
  close(ends[0]);
  if (error == 0)
    keep = ends[1];
  else
    close(ends[1]);
}

// What all groups of this process are in.
class Root {
 public:
  Root() : owner(getpid()) { open(); }
  Root(const Root&) = delete;
  Root& operator=(const Root&) = delete;
  ~Root() {
    if (owner == getpid() && group >= 0) {
      (void)write_one(group, "cgroup.kill");
      remove_group(own, name.c_str(), group);
    }
    for (const int fd : {own, group, guard}) close_if_open(fd);
  }

  const pid_t owner;
  int own = -1;    // lvsd's own cgroup
  int group = -1;  // in it; locked for as long as this process lives
  int guard = -1;
  std::string name;
  std::string error;
  std::uint64_t next = 0;

 private:
  void open();
  bool make_group();
};

void Root::open() {
  const std::string path = own_path();
  if (path.empty() || path.find("..") != std::string::npos) {
    error = "lvsd is in no cgroup (version 2) that it can see";
    return;
  }
  int base = private_mount();
  const int refused = errno;
  if (base < 0) base = mounted("/sys/fs/cgroup");
  if (base < 0) base = mounted("/sys/fs/cgroup/unified");
  if (base < 0) {
    error = fmt::format("mounting cgroup2: {}", std::strerror(refused));
    return;
  }
  own = openat(base, path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const int lost = errno;
  close(base);
  if (own < 0) {
    error = fmt::format("cgroup {}: {}", path, std::strerror(lost));
    return;
  }
  remove_leftovers(own);
  for (int i = 0; i < kAttempts && group < 0; ++i)
    if (!make_group()) break;
  if (group < 0 && error.empty()) error = "another process removes what lvsd makes below its cgroup";
  if (group >= 0) start_guard(group, guard);
}

// False: it is of no use to try again, and `error` says why.
bool Root::make_group() {
  name = fmt::format("{}{}-{}", kPrefix, owner, next++);
  const auto fail_with = [&](const char* what) {
    error = fmt::format("{} below lvsd's cgroup: {}", what, std::strerror(errno));
    return false;
  };
  if (mkdirat(own, name.c_str(), 0755) != 0 && errno != EEXIST) return fail_with("making a cgroup");
  const int made = openat(own, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (made < 0) return true;
  if (flock(made, LOCK_EX | LOCK_NB) != 0 || faccessat(made, "cgroup.procs", F_OK, 0) != 0) {
    close(made);
    return true;  // somebody took it for a leftover
  }
  group = made;
  if (read_small(made, "cgroup.type").starts_with("domain\n") && faccessat(made, "cgroup.kill", W_OK, 0) == 0)
    return true;
  error = "cgroups below lvsd's can not hold processes";
  (void)unlinkat(own, name.c_str(), AT_REMOVEDIR);
  close(std::exchange(group, -1));
  return false;
}

// A fork of lvsd (in tests) has one of its own.
Root& root() {
  static std::unique_ptr<Root> only;
  if (!only || only->owner != getpid()) only = std::make_unique<Root>();
  return *only;
}

}  // namespace

Result<RunGroup> RunGroup::make() {
  Root& all = root();
  if (all.group < 0) return fail(ErrorKind::unavailable, "{}", all.error);
  std::string name = fmt::format("{}", all.next++);
  if (mkdirat(all.group, name.c_str(), 0755) != 0)
    return fail(ErrorKind::unavailable, "making a cgroup for a program: {}", std::strerror(errno));
  const int fd = openat(all.group, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return fail(ErrorKind::unavailable, "the cgroup of a program: {}", std::strerror(errno));
  return RunGroup(std::move(name), fd);
}

RunGroup& RunGroup::operator=(RunGroup&& other) noexcept {
  end();
  name_ = std::exchange(other.name_, {});
  fd_ = std::exchange(other.fd_, -1);
  return *this;
}

int RunGroup::open_entry() const {
  return openat(fd_, "cgroup.procs", O_WRONLY | O_CLOEXEC);
}

void RunGroup::kill() const {
  if (fd_ >= 0) (void)write_one(fd_, "cgroup.kill");
}

bool RunGroup::empty() const {
  return fd_ < 0 || read_small(fd_, "cgroup.events").find("populated 1") == std::string::npos;
}

// A group that is not empty yet stays, killed, until the next lvsd looks for leftovers.
void RunGroup::end() {
  if (fd_ < 0) return;
  kill();
  close(std::exchange(fd_, -1));
  (void)unlinkat(root().group, name_.c_str(), AT_REMOVEDIR);
}

}  // namespace xlvs::health
