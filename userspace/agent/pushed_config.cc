// SPDX-License-Identifier: Apache-2.0
#include "agent/pushed_config.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include <spdlog/spdlog.h>

#include "agent/agent.h"
#include "agent/config_files.h"

namespace xlvs::agent {
namespace {

namespace fs = std::filesystem;
using ha::ConfigOutcome;
using ha::ConfigVerdict;

ConfigVerdict invalid(std::vector<std::string> lines) {
  return {ConfigOutcome::invalid, 0, std::move(lines)};
}

ConfigVerdict failed(const Error& error) {
  return {ConfigOutcome::failed, 0, {error.message}};
}

ConfigVerdict apply(Agent& agent, const PushPlan& plan) {
  ConfigStore store(push_folder(agent.options().instance_state_dir()));
  if (!plan.changes.empty())
    if (auto done = store.replace(plan.changes); !done) return failed(done.error());
  auto applied = agent.reload();
  if (applied) return {ConfigOutcome::applied, applied->generation, applied->changes};  // which has kept the files
  if (plan.changes.empty()) return failed(applied.error());
  ConfigVerdict verdict = failed(applied.error());
  if (auto undone = store.roll_back(); !undone)
    verdict.lines.push_back(undone.error().message);
  else
    (void)agent.reload();  // what is on disk is what runs: not stale
  return verdict;
}

ConfigVerdict decide(Agent& agent, const std::vector<ha::ConfigFile>& files, bool dry_run) {
  const std::string& path = agent.options().config_path;
  const auto sources = config::read_sources(path);
  if (!sources) return failed(sources.error());
  const auto plan = plan_push(path, *sources, files);
  if (!plan) return invalid({plan.error().message});
  const auto loaded = config::parse(plan->sources);
  if (!loaded) {
    std::vector<std::string> lines;
    for (const config::Diagnostic& diagnostic : loaded.error()) lines.push_back(diagnostic.to_string());
    return invalid(std::move(lines));
  }
  if (auto errors = agent.check_next(loaded->config); !errors.empty()) return invalid(std::move(errors));
  if (dry_run)
    return {ConfigOutcome::valid, agent.config_report().generation,
            config::describe_changes(without_names(agent.balancer().config()), loaded->config)};
  return apply(agent, *plan);
}

}  // namespace

std::string push_folder(const std::string& instance_state_dir) {
  return instance_state_dir + "/before-push";
}

ConfigVerdict take_pushed(Agent& agent, const std::vector<ha::ConfigFile>& files, bool dry_run) {
  ConfigVerdict verdict = decide(agent, files, dry_run);
  const std::string first = verdict.lines.empty() ? "" : ": " + verdict.lines.front();
  if (verdict.outcome == ConfigOutcome::applied)
    spdlog::info("the peer's configuration is in force, generation {}; what the files held before is in {}",
                 verdict.generation, push_folder(agent.options().instance_state_dir()));
  else if (verdict.outcome != ConfigOutcome::valid)
    spdlog::warn("a configuration that the peer pushed was not taken ({}){}", to_string(verdict.outcome), first);
  return verdict;
}

std::vector<std::string> unfinished_push(const std::string& instance_state_dir) {
  const ConfigStore store(push_folder(instance_state_dir));
  if (!store.unfinished()) return {};
  return {fmt::format(
      "a configuration that the peer pushed was neither taken whole nor undone: look at the files, copies of what they "
      "held are in {}; `lvsctl config apply` takes them as they are, the next start of lvsd undoes what was pushed",
      store.folder())};
}

std::vector<std::string> push_warnings(const std::string& config_path) {
  const fs::path folder = fs::path(config_path).parent_path();
  std::error_code error;
  for (const fs::path& path : {folder, folder / "conf.d"}) {
    if (!fs::exists(path, error) || access(path.c_str(), W_OK) == 0) continue;
    return {
        fmt::format("`ha.peer.accept_config` is true, but lvsd may not write to {}: {}; under systemd add "
                    "ReadWritePaths={} to the unit (`systemctl edit`)",
                    path.string(), std::strerror(errno), folder.string())};
  }
  return {};
}

}  // namespace xlvs::agent
