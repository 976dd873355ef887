// SPDX-License-Identifier: Apache-2.0
#include "agent/config_store.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <openssl/sha.h>
#include <spdlog/spdlog.h>
#include <nlohmann/json.hpp>

#include "agent/durable_file.h"

namespace xlvs::agent {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr mode_t kCopy = 0640;
constexpr mode_t kWidest = 0640;  // of a new file
constexpr mode_t kUntold = 0600;
constexpr mode_t kFolder = 0750;
constexpr mode_t kPermissions = 07777;

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

std::string hash_of(std::string_view text) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  std::string hex;
  for (const unsigned char byte : digest) hex += fmt::format("{:02x}", byte);
  return hex;
}

// The hash of what a file holds; null: there is none.
Result<json> state_of(const std::string& path) {
  std::error_code error;
  if (!fs::exists(path, error)) return json(nullptr);
  const auto text = read_all(path);
  if (!text) return tl::make_unexpected(text.error());
  return json(hash_of(*text));
}

FileRights rights_for(const FileChange& change) {
  if (auto rights = rights_of(change.path)) {
    if (change.mode != 0) rights->mode &= change.mode;
    return *rights;
  }
  return {change.mode == 0 ? kUntold : change.mode & kWidest, geteuid(), getegid()};
}

// What is to be known of a file to put it back; null rights: it was not there.
json rights_to_json(const std::optional<FileRights>& rights) {
  if (!rights) return nullptr;
  return {{"mode", rights->mode}, {"owner", rights->owner}, {"group", rights->group}};
}

std::optional<FileRights> rights_from_json(const json& entry) {
  if (!entry.contains("rights") || entry["rights"].is_null()) return std::nullopt;  // or written by an earlier version
  const json& rights = entry["rights"];
  return FileRights{rights.at("mode").get<mode_t>() & kPermissions, rights.at("owner").get<uid_t>(),
                    rights.at("group").get<gid_t>()};
}

Result<void> keep_aside(const std::string& path) {
  const auto now = read_all(path);
  if (!now) return tl::make_unexpected(now.error());
  return write_durably(path + ".before-undo", *now, rights_of(path).value_or(FileRights{}));
}

Result<void> put_back(const std::string& path, const json& entry) {
  if (entry.at("copy").is_null()) return remove_durably(path);
  const auto before = read_all(entry.at("copy").get<std::string>());
  if (!before) return tl::make_unexpected(before.error());
  if (const auto rights = rights_from_json(entry)) return write_durably(path, *before, *rights);
  return write_durably(path, *before, kUntold);
}

// The file is as it was, or as somebody has made it since.
Result<void> undo(const json& entry, bool aside) {
  const auto path = entry.at("path").get<std::string>();
  const auto now = state_of(path);
  if (!now) return tl::make_unexpected(now.error());
  if (entry.contains("before")) {  // earlier versions did not say what a file held, and what it was given
    if (*now == entry["before"]) return {};
    if (*now != entry.at("pushed")) {
      spdlog::warn("{} has been changed since the peer pushed it: it stays as it is", path);
      return {};
    }
  }
  if (aside && !now->is_null())
    if (auto kept = keep_aside(path); !kept) spdlog::warn("what {} held is not kept: {}", path, kept.error().message);
  return put_back(path, entry);
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
  fs::permissions(folder_, fs::perms(kFolder), error);
  json files = json::array();
  for (const FileChange& change : changes) {
    json entry{{"path", change.path},
               {"copy", nullptr},
               {"before", nullptr},
               {"pushed", change.text ? json(hash_of(*change.text)) : json(nullptr)},
               {"rights", rights_to_json(rights_of(change.path))}};
    if (fs::exists(change.path, error)) {
      const fs::path path(change.path);
      const std::string parent = path.parent_path().filename().string();
      const std::string copy = (fs::path(folder_) / (parent == "conf.d" ? parent : "") / path.filename()).string();
      if (auto done = make_folder(fs::path(copy).parent_path()); !done) return done;
      const auto text = read_all(change.path);
      if (!text) return tl::make_unexpected(text.error());
      const mode_t mode = rights_of(change.path).value_or(FileRights{}).mode & kCopy;
      if (auto done = write_durably(copy, *text, mode); !done) return done;
      entry["copy"] = copy;
      entry["before"] = hash_of(*text);
    }
    files.push_back(std::move(entry));
  }
  return write_durably(manifest(), json{{"finished", false}, {"files", files}}.dump(2) + "\n", kCopy);
}

Result<void> ConfigStore::replace(const std::vector<FileChange>& changes) {
  if (auto done = copy_aside(changes); !done) return done;
  for (const FileChange& change : changes) {
    auto done = make_folder(fs::path(change.path).parent_path());
    if (done)
      done = change.text ? write_durably(change.path, *change.text, rights_for(change)) : remove_durably(change.path);
    if (done) continue;
    if (auto undone = roll_back(); !undone) done.error().message += "; then " + undone.error().message;
    return done;
  }
  return {};
}

// What can not be marked is removed, for which a full disk has room: a list that stays would be acted upon weeks later.
void ConfigStore::keep() {
  Result<void> done;
  try {
    const auto text = read_all(manifest());
    if (!text) {
      done = tl::make_unexpected(text.error());
    } else {
      json list = json::parse(*text);
      list["finished"] = true;
      done = write_durably(manifest(), list.dump(2) + "\n", kCopy);
    }
  } catch (const json::exception& problem) {
    done = fail(ErrorKind::unavailable, "{}: {}", manifest(), problem.what());
  }
  if (done) return;
  const auto removed = remove_durably(manifest());
  if (removed)
    spdlog::warn("{}; what the peer pushed is in force all the same", done.error().message);
  else
    spdlog::error("the next start of lvsd may undo the configuration that was pushed: {}", removed.error().message);
}

bool ConfigStore::unfinished() const {
  std::ifstream file(manifest());
  if (!file) return false;
  const json list = json::parse(file, nullptr, false);
  return list.is_object() && list.contains("finished") && list["finished"] == false;
}

Result<void> ConfigStore::roll_back(bool aside) {
  const auto text = read_all(manifest());
  if (!text) return tl::make_unexpected(text.error());
  try {
    const json list = json::parse(*text);
    for (const json& entry : list.at("files"))
      if (auto done = undo(entry, aside); !done)
        return fail(done.error().kind, "{} is not as it was before: {}; what it held is in {}",
                    entry.at("path").get<std::string>(), done.error().message, folder_);
  } catch (const json::exception& problem) {
    return fail(ErrorKind::unavailable, "{}: {}", manifest(), problem.what());
  }
  keep();
  return {};
}

}  // namespace xlvs::agent
