// SPDX-License-Identifier: Apache-2.0
// Files that are never half there: written beside, synced, and renamed. Any thread.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "core/result.h"

namespace xlvs::agent {

// `path` holds `text`, on the disk. A new file gets `mode`, an existing one keeps its own; if it is a symbolic link,
// what it leads to is replaced. An error names the path and leaves the previous file as it was.
[[nodiscard]] Result<void> write_durably(const std::string& path, std::string_view text, mode_t mode);

// The whole of a regular file, never waiting: not_found; invalid when `path` is something else (a FIFO, a folder).
[[nodiscard]] Result<std::string> read_text_file(const std::string& path);

// Also after a power failure; a missing file is fine.
[[nodiscard]] Result<void> remove_durably(const std::string& path);

// What write_durably(path) may leave behind when it is interrupted.
[[nodiscard]] std::string temporary_of(const std::string& path);

}  // namespace xlvs::agent
