// SPDX-License-Identifier: Apache-2.0
// This router among others that are all active at once (`ha: {mode: anycast}`): whether the operator has taken it out,
// which addresses it may announce yet, and what became of each. Thread rule: the event loop's thread.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/balancer.h"
#include "agent/vips.h"
#include "control/api.h"
#include "core/desired.h"
#include "core/model.h"
#include "core/names.h"

namespace xlvs::agent {

// What is left of `ha` for VRRP: nothing with anycast.
[[nodiscard]] std::optional<HaConfig> vrrp_of(const std::optional<HaConfig>& ha);

class Anycast {
 public:
  using Time = std::chrono::system_clock::time_point;

  // `released`: as an earlier lvsd left it.
  explicit Anycast(bool released);

  // The configuration that is in force from now on.
  void configure(const std::optional<HaConfig>& ha);
  [[nodiscard]] bool configured() const { return configured_; }

  // Takes this router out, until resume(); whether that changed something.
  bool release();
  bool resume();
  [[nodiscard]] bool released() const { return released_; }
  // Whether a router with this configuration may have virtual addresses, as far as the operator is concerned.
  [[nodiscard]] bool active_with(const std::optional<HaConfig>& ha) const;

  // To be told whenever pools may have changed.
  void observe(const Pools& pools, Time now);
  // Services whose backends are not all known, and why: unchecked, about to come back, a name without an address. Their
  // tables may differ from those that the other routers have.
  [[nodiscard]] std::map<std::string, std::string> unsettled(const Balancer& balancer, const NameMemories& names) const;
  // Addresses that are not to be announced yet, for Vips::set(): a router that does not know all backends would send
  // flows that the network moves to it to others than the routers that had them.
  [[nodiscard]] std::set<IpAddress> waiting(const Config& config,
                                            const std::map<std::string, std::string>& unsettled) const;

  [[nodiscard]] control::HaReport report(const Config& config, const Pools& pools,
                                         const std::map<std::string, std::string>& unsettled, const Vips& vips) const;
  // For `lvsctl status`: what lvsd can not withdraw.
  [[nodiscard]] std::vector<std::string> warnings(const Config& config, const Vips& vips) const;

 private:
  void change(bool released, const char* reason);

  bool configured_ = false;
  bool released_;
  std::string reason_;
  Time since_;
  std::uint64_t transitions_ = 0;
  std::map<std::string, bool> well_;       // services: whether somebody took flows last
  std::map<std::string, Time> recovered_;  // since when again, of those that had nobody for some time
};

// For the log: services that lose connections when the network moves them to another router.
[[nodiscard]] std::vector<std::string> anycast_warnings(const Config& config);

}  // namespace xlvs::agent
