// SPDX-License-Identifier: Apache-2.0
// A cgroup (version 2) for one program's run: whatever the program starts is in it, daemons in sessions of their own
// included, and all of it ends together, however quickly it forks. Private to health/. Thread rule: the event loop's.
//
// The groups are below lvsd's own cgroup, in one that ends with lvsd: a shell waits for the end of lvsd, and the kernel
// kills what is left then. No mount point is needed, and none that is read-only is in the way: lvsd makes a mount of
// its own of the hierarchy, which every kernel of ours has. Needs CAP_SYS_ADMIN, or a writable /sys/fs/cgroup.
#pragma once

#include <string>
#include <utility>

#include "core/result.h"

namespace xlvs::health {

class RunGroup {
 public:
  // An error: there are no groups on this host, and why; the same at each call.
  [[nodiscard]] static Result<RunGroup> make();

  RunGroup() = default;  // none: everything below does nothing
  RunGroup(RunGroup&& other) noexcept : name_(std::exchange(other.name_, {})), fd_(std::exchange(other.fd_, -1)) {}
  RunGroup& operator=(RunGroup&& other) noexcept;
  RunGroup(const RunGroup&) = delete;
  RunGroup& operator=(const RunGroup&) = delete;
  ~RunGroup() { end(); }

  // The folder, for CLONE_INTO_CGROUP; -1: none.
  [[nodiscard]] int fd() const { return fd_; }
  // For a process that writes "0" to it to enter. The caller closes it; -1: errno says why.
  [[nodiscard]] int open_entry() const;
  // Kills whatever is in it. empty() becomes true soon.
  void kill() const;
  [[nodiscard]] bool empty() const;

 private:
  RunGroup(std::string name, int fd) : name_(std::move(name)), fd_(fd) {}
  void end();

  std::string name_;
  int fd_ = -1;
};

}  // namespace xlvs::health
