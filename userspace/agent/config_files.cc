// SPDX-License-Identifier: Apache-2.0
#include "agent/config_files.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "agent/durable_file.h"
#include "config/ownership.h"

namespace xlvs::agent {
namespace {

namespace fs = std::filesystem;

enum class Owner { nobody, router, pair };

Result<Owner> owner_of(const config::Source& source) {
  const config::Ownership keys = config::ownership(source);
  if (keys.router_key.empty()) return keys.pair_key.empty() ? Owner::nobody : Owner::pair;
  if (keys.pair_key.empty()) return Owner::router;
  return fail(ErrorKind::invalid,
              "{} has both '{}', which is each router's own, and '{}', which the routers have in common: only whole "
              "files can be pushed, move one of them to a file of its own, beside the main file in conf.d/",
              source.name, keys.router_key, keys.pair_key);
}

}  // namespace

std::string path_of(const std::string& main, const std::string& name) {
  return name.empty() ? main : (fs::path(main).parent_path() / "conf.d" / name).string();
}

Result<std::vector<ha::ConfigFile>> files_to_push(const std::string& path, const std::vector<config::Source>& sources) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return fail(ErrorKind::invalid, "{} is not a file", path);
  std::vector<ha::ConfigFile> files;
  for (const config::Source& source : sources) {
    const auto owner = owner_of(source);
    if (!owner) return tl::make_unexpected(owner.error());
    if (*owner != Owner::pair) continue;
    const std::string name = source.name == path ? "" : fs::path(source.name).filename().string();
    const auto rights = rights_of(source.name);
    files.push_back({name, source.text, static_cast<std::uint16_t>(rights ? rights->mode : 0)});
  }
  if (!files.empty()) return files;
  return fail(ErrorKind::invalid, "no file has anything that the routers have in common, such as services");
}

Result<PushPlan> plan_push(const std::string& path, const std::vector<config::Source>& sources,
                           const std::vector<ha::ConfigFile>& pushed) {
  std::map<std::string, std::string> next;  // by path
  std::map<std::string, std::string> before;
  std::map<std::string, Owner> owners;
  std::map<std::string, std::uint16_t> modes;
  for (const config::Source& source : sources) {
    const auto owner = owner_of(source);
    if (!owner) return tl::make_unexpected(owner.error());
    before[source.name] = source.text;
    owners[source.name] = *owner;
    if (*owner != Owner::pair) next[source.name] = source.text;
  }
  for (const ha::ConfigFile& file : pushed) {
    const std::string target = path_of(path, file.name);
    if (const auto found = owners.find(target); found != owners.end() && found->second != Owner::pair)
      return fail(ErrorKind::invalid,
                  "{} is this router's own, and would be replaced: give one of the two another name", target);
    next[target] = file.text;
    modes[target] = file.mode;
  }
  if (!next.contains(path))
    return fail(
        ErrorKind::invalid,
        "{} holds what the routers have in common, but not at the router that pushes: the main file must be the "
        "routers' own on both, or on neither",
        path);
  PushPlan plan;
  for (const auto& [name, text] : before)
    if (!next.contains(name)) plan.changes.push_back({name, std::nullopt, 0});
  for (const auto& [name, text] : next) {
    const auto found = before.find(name);
    if (found == before.end() || found->second != text) plan.changes.push_back({name, text, modes[name]});
  }
  plan.sources.push_back({path, next[path]});
  next.erase(path);
  for (auto& [name, text] : next) plan.sources.push_back({name, std::move(text)});
  return plan;
}

}  // namespace xlvs::agent
