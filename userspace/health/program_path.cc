// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstring>

#include "health/process.h"

namespace xlvs::health {
namespace {

constexpr int kMostLinks = 40;  // as the kernel follows

std::string owner_of(const struct stat& found) {
  return fmt::format("uid {}, gid {}, mode {:04o}", found.st_uid, found.st_gid, found.st_mode & 07777);
}

// A link's own mode means nothing: who may replace it is a matter of the folder it is in.
bool only_root_may_change(const struct stat& found) {
  if (found.st_uid != 0) return false;
  if (S_ISLNK(found.st_mode)) return true;
  return (found.st_mode & S_IWOTH) == 0 && ((found.st_mode & S_IWGRP) == 0 || found.st_gid == 0);
}

Result<std::string> read_link(const std::string& path) {
  std::array<char, PATH_MAX> target{};
  const ssize_t length = readlink(path.c_str(), target.data(), target.size());
  if (length < 0) return fail(ErrorKind::invalid, "{}: {}", path, std::strerror(errno));
  return std::string(target.data(), static_cast<std::size_t>(length));
}

}  // namespace

Result<void> check_only_root_may_change(const std::string& path) {
  std::string done;         // looked at: "" is /
  std::string left = path;  // still to walk
  int links = 0;
  while (true) {
    struct stat found{};
    const std::string here = done.empty() ? "/" : done;
    if (lstat(here.c_str(), &found) != 0) return fail(ErrorKind::invalid, "{}: {}", here, std::strerror(errno));
    if (!only_root_may_change(found))
      return fail(ErrorKind::invalid, "{} would run as root, but others than root may change {} ({})", path, here,
                  owner_of(found));
    if (S_ISLNK(found.st_mode)) {
      if (++links > kMostLinks) return fail(ErrorKind::invalid, "{}: {}", path, std::strerror(ELOOP));
      auto target = read_link(here);
      if (!target) return tl::make_unexpected(target.error());
      left = *target + "/" + left;
      done = target->starts_with('/') ? "" : done.substr(0, done.rfind('/'));
      continue;
    }
    const std::size_t begin = left.find_first_not_of('/');
    if (begin == std::string::npos) return {};
    const std::size_t end = std::min(left.find('/', begin), left.size());
    const std::string name = left.substr(begin, end - begin);
    left.erase(0, end);
    if (name == "..")
      done = done.substr(0, done.empty() ? 0 : done.rfind('/'));
    else if (name != ".")
      done += "/" + name;
  }
}

}  // namespace xlvs::health
