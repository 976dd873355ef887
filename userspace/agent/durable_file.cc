// SPDX-License-Identifier: Apache-2.0
#include "agent/durable_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>

namespace xlvs::agent {
namespace {

ErrorKind kind_of(int error) {
  return error == EACCES || error == EPERM || error == EROFS ? ErrorKind::permission : ErrorKind::unavailable;
}

// The descriptor of a file that must be on the disk before its name is.
class SyncedFile {
 public:
  SyncedFile(const std::string& path, mode_t mode)
      : fd_(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode)) {}
  SyncedFile(const SyncedFile&) = delete;
  SyncedFile& operator=(const SyncedFile&) = delete;
  ~SyncedFile() {
    if (fd_ >= 0) close(fd_);
  }
  [[nodiscard]] bool write_all(std::string_view text, mode_t mode) const {
    if (fd_ < 0 || fchmod(fd_, mode) != 0) return false;
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

Result<void> write_durably(const std::string& path, std::string_view text, mode_t mode) {
  std::error_code error;
  std::string target = path;
  if (std::filesystem::is_symlink(path, error)) {
    target = std::filesystem::canonical(path, error).string();
    if (error) return fail(kind_of(error.value()), "cannot write {}: {}", path, error.message());
  }
  struct stat info{};
  if (stat(target.c_str(), &info) == 0) mode = info.st_mode & 07777;
  const std::string temporary = temporary_of(target);
  if (!SyncedFile(temporary, mode).write_all(text, mode)) {
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

Result<std::string> read_text_file(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  const auto failure = [&] {
    const ErrorKind kind = errno == ENOENT || errno == ENOTDIR ? ErrorKind::not_found : kind_of(errno);
    return fail(kind, "cannot read {}: {}", path, std::strerror(errno));
  };
  if (fd < 0) return failure();
  const std::unique_ptr<const int, void (*)(const int*)> closing(&fd, [](const int* open_one) { close(*open_one); });
  struct stat info{};
  if (fstat(fd, &info) != 0) return failure();
  if (!S_ISREG(info.st_mode)) return fail(ErrorKind::invalid, "{} is not a regular file", path);
  std::string text;
  std::array<char, 65536> block{};
  while (true) {
    const ssize_t count = read(fd, block.data(), block.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failure();
    if (count == 0) return text;
    text.append(block.data(), static_cast<std::size_t>(count));
  }
}

Result<void> remove_durably(const std::string& path) {
  if (unlink(path.c_str()) != 0 && errno != ENOENT && errno != ENOTDIR)
    return fail(kind_of(errno), "cannot remove {}: {}", path, std::strerror(errno));
  sync_directory_of(path);
  return {};
}

}  // namespace xlvs::agent
