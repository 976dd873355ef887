// SPDX-License-Identifier: Apache-2.0
// What outlives lvsd besides the pinned maps: runtime overrides, health states and the VIPs that lvsd added. JSON, so
// that a person can read it; written to a temporary file, synced and renamed, so that it is never half there.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "core/desired.h"
#include "core/names.h"
#include "core/result.h"
#include "health/health.h"

namespace xlvs::agent {

struct State {
  std::string boot_id;  // of the kernel that health and VIPs belong to; overrides hold across boots
  Overrides overrides;
  std::map<BackendRef, health::AdoptedHealth> health;  // only backends that have been decided
  std::map<std::string, bool> quorum;                  // by service; only where there is a rule
  std::string vip_interface;
  std::set<IpAddress> vips;
  NameMemories names;     // what they meant last; holds across boots
  bool released = false;  // anycast: the operator took this router out; holds across boots
  std::uint32_t vip_table = 0;
  std::set<IpAddress> vip_routes;    // that lvsd added to it
  std::set<std::string> interfaces;  // that were there, of those configured: a start does without them; across boots

  friend bool operator==(const State& a, const State& b);
};

struct LoadedState {
  State state;
  bool found = false;   // false: no file, or one that was not usable
  std::string warning;  // for the log: what was wrong with the file and where it is now
};

class StateFile {
 public:
  explicit StateFile(std::string path) : path_(std::move(path)) {}

  // A file that makes no sense is renamed to PATH.corrupt and reported in `warning`; an error is a file that can not be
  // read at all. Health and VIPs of another boot are left out.
  [[nodiscard]] Result<LoadedState> load(const std::string& boot_id) const;
  // Makes the directory if need be. An error leaves the previous file as it was.
  [[nodiscard]] Result<void> save(const State& state) const;
  // Also what load() set aside; a missing file is fine.
  void remove() const;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace xlvs::agent
