// SPDX-License-Identifier: Apache-2.0
#include <pwd.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "health/process.h"

namespace xlvs::health {
namespace {

// Symbolic links are followed: what counts is the file at their end.
Result<struct stat> look(const std::string& path) {
  struct stat found{};
  if (stat(path.c_str(), &found) != 0) return fail(ErrorKind::invalid, "{}: {}", path, std::strerror(errno));
  return found;
}

bool may_execute(const struct stat& file, const ProgramUser& user) {
  if (file.st_uid == user.uid) return (file.st_mode & S_IXUSR) != 0;
  if (file.st_gid == user.gid) return (file.st_mode & S_IXGRP) != 0;
  return (file.st_mode & S_IXOTH) != 0;
}

}  // namespace

Result<ProgramUser> find_program_user(const std::string& name) {
  std::array<char, 16384> buffer{};
  passwd entry{};
  passwd* found = nullptr;
  uid_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error == std::errc{} && end == name.data() + name.size()) {
    getpwuid_r(number, &entry, buffer.data(), buffer.size(), &found);
  } else {
    getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
  }
  if (found == nullptr) return fail(ErrorKind::not_found, "there is no user '{}'", name);
  return ProgramUser{entry.pw_uid, entry.pw_gid};
}

Result<void> check_executable(const std::string& path, const ProgramUser& user) {
  const auto file = look(path);
  if (!file) return tl::make_unexpected(file.error());
  if (!S_ISREG(file->st_mode)) return fail(ErrorKind::invalid, "{} is not a file", path);
  if (!may_execute(*file, user)) return fail(ErrorKind::invalid, "{} is not executable by uid {}", path, user.uid);
  for (std::size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    const auto directory = look(path.substr(0, slash));
    if (!directory) return tl::make_unexpected(directory.error());
    if (!may_execute(*directory, user)) {
      return fail(ErrorKind::invalid, "{}: uid {} may not enter {}", path, user.uid, path.substr(0, slash));
    }
  }
  return {};
}

}  // namespace xlvs::health
