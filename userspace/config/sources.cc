// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

#include "config/config.h"
#include "config/yaml.h"

namespace xlvs::config {
namespace {

namespace fs = std::filesystem;

ErrorKind kind_of(int error) {
  if (error == ENOENT || error == ENOTDIR) return ErrorKind::not_found;
  if (error == EACCES || error == EPERM) return ErrorKind::permission;
  return ErrorKind::unavailable;
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

// Whoever writes a pipe has so long.
bool has_something(int fd) {
  constexpr int kPatience = 5000;
  pollfd waiting{fd, POLLIN, 0};
  return ::poll(&waiting, 1, kPatience) > 0;
}

// Never waits for ever, whatever the path names: a FIFO without a writer is empty. One byte more than is allowed in all
// is enough for parse() to refuse it.
Result<Source> read_file(const std::string& path, bool may_be_pipe) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  const auto failure = [&] {
    return fail(kind_of(errno), "cannot read the configuration {}: {}", path, std::strerror(errno));
  };
  struct stat info{};
  if (file.get() < 0 || ::fstat(file.get(), &info) != 0) return failure();
  if (S_ISDIR(info.st_mode)) return fail(ErrorKind::invalid, "{} is a directory, not a file", path);
  const bool regular = S_ISREG(info.st_mode);
  if (!regular && !may_be_pipe) return fail(ErrorKind::invalid, "{} is not a regular file", path);
  Source source{path, {}};
  std::vector<char> block(64U << 10);
  while (source.text.size() <= kMaxText) {
    if (!regular && !has_something(file.get()))
      return fail(ErrorKind::unavailable, "cannot read the configuration {}: nobody writes to it", path);
    const ssize_t count = ::read(file.get(), block.data(), block.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failure();
    if (count == 0) break;
    source.text.append(block.data(), static_cast<std::size_t>(count));
  }
  return source;
}

// conf.d/*.yaml beside `path`, in byte order; hidden files are left out.
Result<std::vector<std::string>> fragments(const fs::path& path) {
  const fs::path folder = path.parent_path() / "conf.d";
  std::error_code error;
  if (!fs::is_directory(folder, error)) return std::vector<std::string>{};
  std::vector<std::string> names;
  fs::directory_iterator entry(folder, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    const fs::path name = entry->path().filename();
    if (name.extension() == ".yaml" && !name.string().starts_with('.')) names.push_back(entry->path().string());
  }
  if (error) return fail(kind_of(error.value()), "can not read the folder {}: {}", folder.string(), error.message());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

Result<std::vector<Source>> read_sources(const std::string& path) {
  auto main = read_file(path, true);
  if (!main) return tl::make_unexpected(main.error());
  std::vector<Source> sources;
  sources.push_back(std::move(*main));
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return sources;  // a pipe, say: it has no folder of its own
  const auto names = fragments(path);
  if (!names) return tl::make_unexpected(names.error());
  for (const std::string& name : *names) {
    auto fragment = read_file(name, false);
    if (!fragment) return tl::make_unexpected(fragment.error());
    sources.push_back(std::move(*fragment));
  }
  return sources;
}

}  // namespace xlvs::config
