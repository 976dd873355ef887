// SPDX-License-Identifier: Apache-2.0
// One lvsd per instance: an flock on <run-dir>/<instance>/lvsd.lock, which ends with the process, however it ends.
#pragma once

#include <string>

#include "core/result.h"

namespace xlvs::agent {

class InstanceLock {
 public:
  // Makes the directory. Conflict, naming the other's pid, when it is held.
  [[nodiscard]] static Result<InstanceLock> acquire(const std::string& directory);

  InstanceLock(InstanceLock&& other) noexcept;
  InstanceLock& operator=(InstanceLock&&) = delete;
  InstanceLock(const InstanceLock&) = delete;
  InstanceLock& operator=(const InstanceLock&) = delete;
  // Removes the file, and the directory when it is empty.
  ~InstanceLock();

 private:
  InstanceLock(std::string directory, int fd);
  std::string directory_;
  int fd_;
};

}  // namespace xlvs::agent
