// SPDX-License-Identifier: Apache-2.0
#include "agent/durable_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace xlvs::agent {
namespace {

constexpr mode_t kPermissions = 07777;
constexpr mode_t kOwnerOnly = 0600;

ErrorKind kind_of(int error) {
  return error == EACCES || error == EPERM || error == EROFS ? ErrorKind::permission : ErrorKind::unavailable;
}

// The descriptor of a file that must be on the disk before its name is.
class SyncedFile {
 public:
  explicit SyncedFile(const std::string& path)
      : fd_(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, kOwnerOnly)) {}
  SyncedFile(const SyncedFile&) = delete;
  SyncedFile& operator=(const SyncedFile&) = delete;
  ~SyncedFile() {
    if (fd_ >= 0) close(fd_);
  }
  [[nodiscard]] bool write_all(std::string_view text, const FileRights& rights) const {
    if (fd_ < 0) return false;
    const bool foreign = rights.owner != geteuid() || rights.group != getegid();
    const bool given = !foreign || fchown(fd_, rights.owner, rights.group) == 0;
    if (fchmod(fd_, given ? rights.mode : rights.mode & kOwnerOnly) != 0) return false;
    while (!text.empty()) {
      const ssize_t written = write(fd_, text.data(), text.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return false;
      text.remove_prefix(static_cast<std::size_t>(written));
    }
    return fsync(fd_) == 0;
  }

 private:
  int fd_;
};

void sync_directory_of(const std::string& path) {
  const int fd = open(std::filesystem::path(path).parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  fsync(fd);  // best effort: the file itself is complete, only the newest name may be lost with the power
  close(fd);
}

}  // namespace

std::string temporary_of(const std::string& path) {
  return path + ".tmp";
}

std::optional<FileRights> rights_of(const std::string& path) {
  struct stat info{};
  if (stat(path.c_str(), &info) != 0) return std::nullopt;
  return FileRights{info.st_mode & kPermissions, info.st_uid, info.st_gid};
}

Result<void> write_durably(const std::string& path, std::string_view text, mode_t mode) {
  return write_durably(path, text, rights_of(path).value_or(FileRights{mode, geteuid(), getegid()}));
}

Result<void> write_durably(const std::string& path, std::string_view text, const FileRights& rights) {
  std::error_code error;
  std::string target = path;
  if (std::filesystem::is_symlink(path, error)) {
    target = std::filesystem::canonical(path, error).string();
    if (error) return fail(kind_of(error.value()), "cannot write {}: {}", path, error.message());
  }
  const std::string temporary = temporary_of(target);
  if (!SyncedFile(temporary).write_all(text, rights)) {
    const int reason = errno;
    unlink(temporary.c_str());
    return fail(kind_of(reason), "cannot write {}: {}", temporary, std::strerror(reason));
  }
  if (rename(temporary.c_str(), target.c_str()) != 0) {
    const int reason = errno;
    unlink(temporary.c_str());
    return fail(kind_of(reason), "cannot replace {}: {}", target, std::strerror(reason));
  }
  sync_directory_of(target);
  return {};
}

Result<void> remove_durably(const std::string& path) {
  if (unlink(path.c_str()) != 0 && errno != ENOENT && errno != ENOTDIR)
    return fail(kind_of(errno), "cannot remove {}: {}", path, std::strerror(errno));
  sync_directory_of(path);
  return {};
}

}  // namespace xlvs::agent
