// SPDX-License-Identifier: Apache-2.0
#include "agent/instance_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>
#include <system_error>

namespace xlvs::agent {
namespace {

std::string holder(int fd) {
  std::array<char, 32> text{};
  const ssize_t size = pread(fd, text.data(), text.size() - 1, 0);
  std::string pid(text.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  while (!pid.empty() && pid.back() == '\n') pid.pop_back();
  return pid.empty() ? "unknown pid" : "pid " + pid;
}

// The holder before us may have removed the file between our open() and our flock(): then we locked a file that nobody
// else can find.
bool is_same_file(const std::string& path, int fd) {
  struct stat by_path{};
  struct stat by_fd{};
  return stat(path.c_str(), &by_path) == 0 && fstat(fd, &by_fd) == 0 && by_path.st_ino == by_fd.st_ino &&
         by_path.st_dev == by_fd.st_dev;
}

ErrorKind kind_of(int error) {
  return error == EACCES || error == EPERM ? ErrorKind::permission : ErrorKind::unavailable;
}

}  // namespace

Result<InstanceLock> InstanceLock::acquire(const std::string& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return fail(kind_of(error.value()), "cannot create {}: {}", directory, error.message());
  const std::string path = directory + "/lvsd.lock";
  for (;;) {
    const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0) return fail(kind_of(errno), "cannot open {}: {}", path, std::strerror(errno));
    InstanceLock lock(directory, fd);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
      const int reason = errno;
      lock.fd_ = -1;
      const std::string who = holder(fd);
      close(fd);
      if (reason != EWOULDBLOCK) return fail(ErrorKind::unavailable, "cannot lock {}: {}", path, std::strerror(reason));
      return fail(ErrorKind::conflict,
                  "another lvsd ({}) runs this instance: {} is locked; stop it, or use another --instance", who, path);
    }
    if (!is_same_file(path, fd)) {
      lock.fd_ = -1;
      close(fd);
      continue;
    }
    const std::string pid = fmt::format("{}\n", getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, pid.data(), pid.size(), 0) < 0) {
      return fail(ErrorKind::unavailable, "cannot write {}: {}", path, std::strerror(errno));
    }
    return lock;
  }
}

InstanceLock::InstanceLock(std::string directory, int fd) : directory_(std::move(directory)), fd_(fd) {}

InstanceLock::InstanceLock(InstanceLock&& other) noexcept : directory_(std::move(other.directory_)), fd_(other.fd_) {
  other.fd_ = -1;
}

InstanceLock::~InstanceLock() {
  if (fd_ < 0) return;
  unlink((directory_ + "/lvsd.lock").c_str());
  rmdir(directory_.c_str());
  close(fd_);
}

}  // namespace xlvs::agent
