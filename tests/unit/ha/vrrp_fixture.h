// SPDX-License-Identifier: Apache-2.0
// The state machine on a clock of its own. Times are milliseconds since the start.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "ha/vrrp.h"

namespace xlvs::ha {

using std::chrono::milliseconds;

inline IpAddress ip(std::string_view text) {
  return IpAddress::parse(text).value();
}
inline Time at(double ms) {
  return Time(std::chrono::duration_cast<Duration>(std::chrono::duration<double, std::milli>(100'000 + ms)));
}
inline double ms(Time time) {
  return std::chrono::duration<double, std::milli>(time - at(0)).count();
}

inline MemberConfig member(std::uint8_t priority, std::string_view source = "10.0.0.2", std::uint8_t vrid = 51) {
  MemberConfig config;
  config.name = "vi" + std::to_string(vrid);
  config.vrid = vrid;
  config.priority = priority;
  config.interval = milliseconds(100);
  config.source = ip(source);
  config.vips = {ip("198.51.100.10")};
  return config;
}

inline GroupConfig single(std::uint8_t priority = 100) {
  GroupConfig config;
  config.members = {member(priority)};
  return config;
}

inline Advertisement heard(int priority, int interval = 100, std::uint8_t vrid = 51) {
  return {VrrpVersion::v3,       vrid, static_cast<std::uint8_t>(priority), milliseconds(interval),
          {ip("198.51.100.10")}, {}};
}

inline PeerView peer(Role role) {
  return {
      .alive = true, .active = role == Role::active, .takes_part = role == Role::backup, .sources = {ip("10.0.0.1")}};
}

inline std::vector<int> priorities(const Step& step) {
  std::vector<int> result;
  for (const Send& send : step.send) result.push_back(send.advertisement.priority);
  return result;
}

class VrrpTest : public ::testing::Test {
 protected:
  void make(GroupConfig config) { group.emplace(std::move(config)); }
  void make_active(GroupConfig config, double until = 2000) {
    make(std::move(config));
    std::ignore = group->start(at(0));
    run_until(until);
    ASSERT_EQ(group->role(), Role::active);
  }
  Step receive(double now, const Advertisement& advertisement, std::string_view source = "10.0.0.1") {
    const auto& members = group->config().members;
    const auto found = std::find_if(members.begin(), members.end(), [&](const MemberConfig& candidate) {
      return candidate.vrid == advertisement.vrid;
    });
    const auto index = found == members.end() ? 0 : found - members.begin();
    return group->receive(at(now), static_cast<std::size_t>(index), advertisement, ip(source), how);
  }
  // Ticks whenever something is due, up to and including `until`; returns the time of the last change of role, or -1.
  double run_until(double until) {
    double changed = -1;
    while (const auto due = group->next_due()) {
      if (*due > at(until)) break;
      const Step step = group->tick(*due);
      sent += step.send.size();
      if (step.changed) changed = ms(*due);
    }
    return changed;
  }

  std::optional<Group> group;
  Heard how = Heard::taken;
  std::size_t sent = 0;
};

}  // namespace xlvs::ha
