// SPDX-License-Identifier: Apache-2.0
#include "agent/maintenance_dir.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <string_view>

#include "core/ip.h"

namespace xlvs::agent {
namespace {

namespace fs = std::filesystem;

// Nobody's link, pipe or device is opened for it: a reader that blocks would stop the loop.
std::string first_line_of(const fs::path& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return "";
  std::array<char, 256> buffer{};
  const ssize_t length = read(fd, buffer.data(), buffer.size());
  close(fd);
  const std::string_view text(buffer.data(), length > 0 ? static_cast<std::size_t>(length) : 0);
  return std::string(text.substr(0, text.find('\n')));
}

// "[2001:DB8::1]:80" and "2001:db8:0::1" as the configuration would have them.
std::string usual_form(const std::string& name) {
  if (const auto endpoint = Endpoint::parse(name)) return endpoint->to_string();
  if (const auto address = IpAddress::parse(name)) return address->to_string();
  return name;
}

}  // namespace

Maintenance read_maintenance_dir(const std::string& directory) {
  Maintenance files;
  if (directory.empty()) return files;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name.starts_with('.') || name.ends_with('~')) continue;
    files[usual_form(name)] = first_line_of(it->path());
    if (files.size() >= kMaxMaintenanceFiles) break;
  }
  return files;
}

}  // namespace xlvs::agent
