// SPDX-License-Identifier: Apache-2.0
// Replaces configuration files all or none. What they held before is kept in a folder, where an operator finds it and
// from where a change that was interrupted is undone at the next start: as far as the files still hold what the change
// wrote. What somebody has written since is not touched. Thread rule: one thread at a time.
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

  // An error has changed nothing. After success either keep() or roll_back() ends the change. A file that is there
  // keeps its owner, and its mode as far as the pushed one is as wide; a new one is lvsd's, at most 0640.
  [[nodiscard]] Result<void> replace(const std::vector<FileChange>& changes);
  // The files as they are now are in force: nothing is to be undone any more.
  void keep();
  // The files that the change wrote are as they were, mode and owner too. `aside`: what they held meanwhile stays as
  // FILE.before-undo. An error names the file that could not be put back, and where its copy is.
  [[nodiscard]] Result<void> roll_back(bool aside = false);
  // A change was begun and not ended, by this process or an earlier one.
  [[nodiscard]] bool unfinished() const;

  [[nodiscard]] const std::string& folder() const { return folder_; }
  [[nodiscard]] std::string manifest() const;

 private:
  [[nodiscard]] Result<void> copy_aside(const std::vector<FileChange>& changes) const;

  std::string folder_;
};

}  // namespace xlvs::agent
