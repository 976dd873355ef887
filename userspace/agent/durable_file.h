// SPDX-License-Identifier: Apache-2.0
// Files that are never half there: written beside, synced, and renamed. Any thread.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

#include "core/result.h"

namespace xlvs::agent {

struct FileRights {
  mode_t mode = 0600;
  uid_t owner = 0;
  gid_t group = 0;
  friend bool operator==(const FileRights&, const FileRights&) = default;
};
// Of what a symbolic link leads to; nullopt: it is not there.
[[nodiscard]] std::optional<FileRights> rights_of(const std::string& path);

// `path` holds `text`, on the disk. A new file gets `mode`, an existing one keeps its own; if it is a symbolic link,
// what it leads to is replaced. The owner stays, too, if lvsd may give files away. An error names the path and leaves
// the previous file as it was.
[[nodiscard]] Result<void> write_durably(const std::string& path, std::string_view text, mode_t mode);
// The same with these rights, whatever it had. Without CAP_CHOWN the file is lvsd's own, with rights for nobody else.
[[nodiscard]] Result<void> write_durably(const std::string& path, std::string_view text, const FileRights& rights);

// Also after a power failure; a missing file is fine.
[[nodiscard]] Result<void> remove_durably(const std::string& path);

// What write_durably(path) may leave behind when it is interrupted.
[[nodiscard]] std::string temporary_of(const std::string& path);

}  // namespace xlvs::agent
