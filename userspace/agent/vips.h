// SPDX-License-Identifier: Apache-2.0
// The VIPs that lvsd keeps on an interface (`manage_vips`), and the routes that announce them (`ha.table`). Thread
// rule: the event loop's thread.
#pragma once

#include <cstdint>
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
    std::uint32_t table = 0;
    std::set<IpAddress> routes;  // to these, in `table`
    friend bool operator==(const Placed&, const Placed&) = default;
  };

  // `placed`: what an earlier lvsd left, of its state file.
  Vips(Host& host, Placed placed) : host_(host), placed_(std::move(placed)) {}

  // Puts the VIPs of `config` where it wants them and takes away those that lvsd added before. An error has been
  // undone. A service that is not yet known to withdraw its VIPs or not keeps those that are there, and gets no others.
  // `pools`: of the services as far as they are known. A router that is not active has no VIPs. With a table all this
  // is said of the routes there, and the addresses are simply on the interface. `waiting`: may stay, but not come yet.
  Result<void> set(const Config& config, const Pools& pools, bool active, const std::set<IpAddress>& waiting = {});
  // Back to what placed() was.
  void restore(const Placed& before);
  void remove_all() { restore({placed_.interface, {}, placed_.table, {}}); }

  [[nodiscard]] const Placed& placed() const { return placed_; }
  // Those that were on the interface before lvsd, when they were wanted last: it can not take them away.
  [[nodiscard]] const std::set<IpAddress>& foreign() const { return foreign_; }

 private:
  Result<void> place(const Placed& wanted);
  void note_foreign(const Placed& wanted, const Placed& before, const std::set<IpAddress>& known);
  Result<void> place_addresses(const std::string& interface, const std::set<IpAddress>& wanted);
  Result<void> place_routes(std::uint32_t table, const std::set<IpAddress>& wanted);

  Host& host_;
  Placed placed_;
  std::set<IpAddress> foreign_;
};

[[nodiscard]] std::set<IpAddress> listened_on(const Config& config);

}  // namespace xlvs::agent
