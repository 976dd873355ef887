// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

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

// One byte more than is allowed in all is enough for parse() to refuse it.
Result<Source> read_file(const std::string& path) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) return fail(ErrorKind::invalid, "{} is a directory, not a file", path);
  errno = 0;
  std::ifstream stream(path, std::ios::binary);
  if (!stream) return fail(kind_of(errno), "can not read the configuration {}: {}", path, std::strerror(errno));
  Source source{path, {}};
  std::vector<char> block(64U << 10);
  while (source.text.size() <= kMaxText && stream) {
    stream.read(block.data(), static_cast<std::streamsize>(block.size()));
    source.text.append(block.data(), static_cast<std::size_t>(stream.gcount()));
  }
  if (stream.bad())
    return fail(ErrorKind::unavailable, "can not read the configuration {}: {}", path, std::strerror(errno));
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
  auto main = read_file(path);
  if (!main) return tl::make_unexpected(main.error());
  std::vector<Source> sources;
  sources.push_back(std::move(*main));
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return sources;  // a pipe, say: it has no folder of its own
  const auto names = fragments(path);
  if (!names) return tl::make_unexpected(names.error());
  for (const std::string& name : *names) {
    auto fragment = read_file(name);
    if (!fragment) return tl::make_unexpected(fragment.error());
    sources.push_back(std::move(*fragment));
  }
  return sources;
}

}  // namespace xlvs::config
