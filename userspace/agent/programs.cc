// SPDX-License-Identifier: Apache-2.0
#include "agent/programs.h"

#include <set>

#include <fmt/ranges.h>

#include "health/process.h"

namespace xlvs::agent {
namespace {

Result<void> check_program(const std::string& path, const std::string& name) {
  const auto user = health::find_program_user(name);
  if (!user) return tl::make_unexpected(user.error());
  if (user->uid == 0) return fail(ErrorKind::invalid, "user '{}' is root: name one without privileges", name);
  return health::check_executable(path, *user);
}

Result<void> check_program(const CheckSpec& check) {
  return check_program(std::get<std::vector<std::string>>(check.params.at("command")).front(),
                       std::get<std::string>(check.params.at("user")));
}

}  // namespace

Result<void> check_programs(const Config& config) {
  std::vector<std::string> lines;
  for (const ServiceConfig& service : config.services) {
    std::set<std::string> told;  // once, though many backends have it
    const auto look = [&](const CheckList& checks) {
      for (const CheckSpec& check : checks) {
        if (check.type != "exec") continue;
        const auto result = check_program(check);
        if (result || !told.insert(result.error().message).second) continue;
        lines.push_back(fmt::format("service {}: check: {}", service.name, result.error().message));
      }
    };
    look(service.checks);
    for (const auto* backends : {&service.backends, &service.named})
      for (const BackendConfig& backend : *backends)
        if (backend.checks) look(*backend.checks);
  }
  if (config.ha) {
    for (const TrackConfig& track : config.ha->track) {
      if (track.program.empty()) continue;
      if (const auto result = check_program(track.program.front(), track.user); !result)
        lines.push_back(fmt::format("ha track {}: {}", track.name, result.error().message));
    }
  }
  if (lines.empty()) return {};
  return fail(ErrorKind::invalid, "{}", fmt::join(lines, "\n"));
}

}  // namespace xlvs::agent
