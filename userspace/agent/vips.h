// SPDX-License-Identifier: Apache-2.0
// The VIPs that lvsd keeps on an interface (`manage_vips`). Thread rule: the event loop's thread.
#pragma once

#include <set>
#include <string>

#include "agent/host.h"
#include "core/desired.h"
#include "core/model.h"

namespace xlvs::agent {

class Vips {
 public:
  struct Placed {
    std::string interface;
    std::set<IpAddress> addresses;  // that lvsd added, not those that were there already
  };

  // `placed`: what an earlier lvsd left, of its state file.
  Vips(Host& host, Placed placed) : host_(host), placed_(std::move(placed)) {}

  // Puts the VIPs of `config` where it wants them and takes away those that lvsd added before. An error has been
  // undone. A service that is not yet known to withdraw its VIPs or not keeps those that are there, and gets no others.
  // `pools`: of the services as far as they are known. A router that is not active has no VIPs.
  Result<void> set(const Config& config, const Pools& pools, bool active);
  // Back to what placed() was.
  void restore(const Placed& before);
  void remove_all() { restore({placed_.interface, {}}); }

  [[nodiscard]] const Placed& placed() const { return placed_; }

 private:
  Result<void> place(const std::string& interface, const std::set<IpAddress>& wanted);

  Host& host_;
  Placed placed_;
};

}  // namespace xlvs::agent
