// SPDX-License-Identifier: Apache-2.0
#include "agent/config_store.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <spdlog/spdlog.h>
#include <nlohmann/json.hpp>

#include "agent/durable_file.h"

namespace xlvs::agent {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr mode_t kNewFile = 0644;
constexpr mode_t kCopy = 0640;

Result<std::string> read_all(const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file) text << file.rdbuf();
  if (!file || text.bad()) return fail(ErrorKind::unavailable, "cannot read {}: {}", path, std::strerror(errno));
  return text.str();
}

Result<void> make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return fail(ErrorKind::unavailable, "cannot create {}: {}", folder.string(), error.message());
  return {};
}

}  // namespace

std::string ConfigStore::manifest() const {
  return folder_ + "/manifest.json";
}

// The copies first, then the list that says what to do with them: without it there is nothing to undo.
Result<void> ConfigStore::copy_aside(const std::vector<FileChange>& changes) const {
  if (auto done = remove_durably(manifest()); !done) return done;
  std::error_code error;
  fs::remove_all(folder_, error);
  if (auto done = make_folder(folder_); !done) return done;
  json files = json::array();
  for (const FileChange& change : changes) {
    json entry{{"path", change.path}, {"copy", nullptr}};
    if (fs::exists(change.path, error)) {
      const fs::path path(change.path);
      const std::string parent = path.parent_path().filename().string();
      const std::string copy = (fs::path(folder_) / (parent == "conf.d" ? parent : "") / path.filename()).string();
      if (auto done = make_folder(fs::path(copy).parent_path()); !done) return done;
      const auto text = read_all(change.path);
      if (!text) return tl::make_unexpected(text.error());
      if (auto done = write_durably(copy, *text, kCopy); !done) return done;
      entry["copy"] = copy;
    }
    files.push_back(std::move(entry));
  }
  return write_durably(manifest(), json{{"finished", false}, {"files", files}}.dump(2) + "\n", kCopy);
}

Result<void> ConfigStore::replace(const std::vector<FileChange>& changes) {
  if (auto done = copy_aside(changes); !done) return done;
  for (const FileChange& change : changes) {
    auto done = make_folder(fs::path(change.path).parent_path());
    if (done) done = change.text ? write_durably(change.path, *change.text, kNewFile) : remove_durably(change.path);
    if (done) continue;
    if (auto undone = roll_back(); !undone) done.error().message += "; then " + undone.error().message;
    return done;
  }
  return {};
}

void ConfigStore::keep() {
  try {
    const auto text = read_all(manifest());
    if (!text) return spdlog::error("{}", text.error().message);
    json list = json::parse(*text);
    list["finished"] = true;
    if (auto done = write_durably(manifest(), list.dump(2) + "\n", kCopy); !done)
      spdlog::error("the next start of lvsd will undo the configuration that was pushed: {}", done.error().message);
  } catch (const json::exception& problem) {
    spdlog::error("{}: {}", manifest(), problem.what());
  }
}

bool ConfigStore::unfinished() const {
  std::ifstream file(manifest());
  if (!file) return false;
  const json list = json::parse(file, nullptr, false);
  return list.is_object() && list.contains("finished") && list["finished"] == false;
}

Result<void> ConfigStore::roll_back() {
  const auto text = read_all(manifest());
  if (!text) return tl::make_unexpected(text.error());
  try {
    const json list = json::parse(*text);
    for (const json& entry : list.at("files")) {
      const auto path = entry.at("path").get<std::string>();
      Result<void> done;
      if (entry.at("copy").is_null()) {
        done = remove_durably(path);
      } else {
        const auto before = read_all(entry.at("copy").get<std::string>());
        done = before ? write_durably(path, *before, kNewFile) : Result<void>(tl::make_unexpected(before.error()));
      }
      if (!done)
        return fail(done.error().kind, "{} is not as it was before: {}; what it held is in {}", path,
                    done.error().message, folder_);
    }
  } catch (const json::exception& problem) {
    return fail(ErrorKind::unavailable, "{}: {}", manifest(), problem.what());
  }
  keep();
  return {};
}

}  // namespace xlvs::agent
