// SPDX-License-Identifier: Apache-2.0
#include "agent/programs.h"

#include <algorithm>
#include <array>
#include <functional>
#include <set>

#include <fmt/ranges.h>

#include "health/process.h"

namespace xlvs::agent {
namespace {

constexpr std::array<std::string_view, 5> kSignallers{"kill", "killall", "killall5", "pkill", "skill"};

struct Named {
  std::string what;  // "service web: check", "ha track nginx", "hooks"
  const std::vector<std::string>* program;
  std::string user;
};

// Checks and tracks; of the programs of a service each once, though many backends have it.
void each_probe(const Config& config, const std::function<void(const Named&)>& call) {
  for (const ServiceConfig& service : config.services) {
    std::set<std::pair<std::vector<std::string>, std::string>> told;
    const auto look = [&](const CheckList& checks) {
      for (const CheckSpec& check : checks) {
        if (check.type != "exec") continue;
        const auto& command = std::get<std::vector<std::string>>(check.params.at("command"));
        const auto& user = std::get<std::string>(check.params.at("user"));
        if (told.emplace(command, user).second) call({"service " + service.name + ": check", &command, user});
      }
    };
    look(service.checks);
    for (const auto* backends : {&service.backends, &service.named})
      for (const BackendConfig& backend : *backends)
        if (backend.checks) look(*backend.checks);
  }
  if (!config.ha) return;
  for (const TrackConfig& track : config.ha->track)
    if (!track.program.empty()) call({"ha track " + track.name, &track.program, track.user});
}

Result<void> check_program(const std::string& path, const std::string& name, bool root_allowed) {
  const auto user = health::find_program_user(name);
  if (!user) return tl::make_unexpected(user.error());
  if (user->uid == 0 && !root_allowed)
    return fail(ErrorKind::invalid,
                "user '{}' is root: name one without privileges, or allow it with `root_programs: true`", name);
  if (auto result = health::check_executable(path, *user); !result) return result;
  return user->uid == 0 ? health::check_only_root_may_change(path) : Result<void>{};
}

bool is_root(const std::string& name) {
  const auto user = health::find_program_user(name);
  return user && user->uid == 0;
}

}  // namespace

Result<void> check_programs(const Config& config) {
  std::vector<std::string> lines;
  each_probe(config, [&](const Named& probe) {
    const auto result = check_program(probe.program->front(), probe.user, config.root_programs);
    if (result) return;
    std::string line = fmt::format("{}: {}", probe.what, result.error().message);
    if (std::find(lines.begin(), lines.end(), line) == lines.end()) lines.push_back(std::move(line));
  });
  if (lines.empty()) return {};
  return fail(ErrorKind::invalid, "{}", fmt::join(lines, "\n"));
}

std::vector<std::string> program_warnings(const Config& config) {
  std::vector<std::string> all;
  const auto look = [&](const Named& named, std::string_view remedy) {
    const std::string& path = named.program->front();
    const std::string name = path.substr(path.rfind('/') + 1);
    if (std::find(kSignallers.begin(), kSignallers.end(), name) == kSignallers.end() || is_root(named.user)) return;
    all.push_back(fmt::format(
        "{}: {} runs as {}, who may signal no process of another user, not even with signal 0: name the user whose "
        "processes are meant, or `user: root`{}",
        named.what, path, named.user, remedy));
  };
  each_probe(config, [&](const Named& probe) {
    look(probe, config.root_programs ? "" : " with `root_programs: true`; pidof and pgrep need neither");
  });
  for (const HookConfig& hook : config.hooks)
    if (!hook.program.empty()) look({"hooks", &hook.program, hook.user}, "");
  return all;
}

bool has_programs(const Config& config) {
  bool any = std::any_of(config.hooks.begin(), config.hooks.end(),
                         [](const HookConfig& hook) { return !hook.program.empty(); });
  each_probe(config, [&](const Named&) { any = true; });
  return any;
}

}  // namespace xlvs::agent
