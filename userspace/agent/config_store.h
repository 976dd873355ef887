// SPDX-License-Identifier: Apache-2.0
// Replaces configuration files all or none. What they held before is kept in a folder, where an operator finds it and
// from where a change that was interrupted is undone at the next start. Thread rule: one thread at a time.
#pragma once

#include <string>
#include <vector>

#include "agent/config_files.h"
#include "core/result.h"

namespace xlvs::agent {

class ConfigStore {
 public:
  // `folder`: made when needed; its parent is there.
  explicit ConfigStore(std::string folder) : folder_(std::move(folder)) {}

  // An error has changed nothing. After success either keep() or roll_back() ends the change.
  [[nodiscard]] Result<void> replace(const std::vector<FileChange>& changes);
  // The new files are in force.
  void keep();
  // The files are as they were. Also for a change that an earlier process did not end; an error names the file that
  // could not be put back, and where its copy is.
  [[nodiscard]] Result<void> roll_back();
  // A change was begun and not ended.
  [[nodiscard]] bool unfinished() const;

  [[nodiscard]] const std::string& folder() const { return folder_; }

 private:
  [[nodiscard]] std::string manifest() const;
  [[nodiscard]] Result<void> copy_aside(const std::vector<FileChange>& changes) const;

  std::string folder_;
};

}  // namespace xlvs::agent
