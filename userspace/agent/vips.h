// SPDX-License-Identifier: Apache-2.0
// The VIPs that lvsd keeps on an interface (`manage_vips`), and the routes that announce them (`ha.table`). Thread
// rule: the event loop's thread.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

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

  // Puts the VIPs of `config` where it wants them, also those that somebody took away, and takes away those that lvsd
  // added before. An error has been undone, or with `keep` what could be done is done. An interface that is not there
  // is no error: its addresses are missing() until it comes. A service that is not yet known to withdraw its VIPs or
  // not keeps those that are there, and gets no others. `pools`: of the services as far as they are known. A router
  // that is not active has no VIPs. With a table all this is said of the routes there, and the addresses are simply on
  // the interface. `waiting`: may stay, but not come yet.
  enum class OnError : std::uint8_t { undo, keep };
  Result<void> set(const Config& config, const Pools& pools, bool active, const std::set<IpAddress>& waiting = {},
                   OnError on_error = OnError::undo);
  // Back to what placed() was.
  void restore(const Placed& before);
  void remove_all() { restore({placed_.interface, {}, placed_.table, {}}); }

  [[nodiscard]] const Placed& placed() const { return placed_; }
  // What the kernel really had of it when it was asked last: after every set(), which is to follow each change that
  // the kernel reports.
  [[nodiscard]] std::set<IpAddress> present() const;         // addresses on the interface, those of others included
  [[nodiscard]] std::set<IpAddress> present_routes() const;  // of those in the table
  [[nodiscard]] std::set<IpAddress> missing() const;         // addresses that are wanted and not there
  // For `lvsctl status`: the same, and of routes.
  [[nodiscard]] std::vector<std::string> warnings() const;
  // How often something had been taken away and was put back.
  [[nodiscard]] std::uint64_t repairs() const { return repairs_; }
  // Those that were on the interface before lvsd, when they were wanted last: it can not take them away.
  [[nodiscard]] const std::set<IpAddress>& foreign() const { return foreign_; }

 private:
  Result<void> place(const Placed& wanted, OnError on_error = OnError::undo);
  void note_repairs(const Placed& before);
  void note_foreign(const Placed& wanted, const Placed& before, const std::set<IpAddress>& known);
  Result<void> place_addresses(const std::string& interface, const std::set<IpAddress>& wanted);
  Result<void> place_routes(std::uint32_t table, const std::set<IpAddress>& wanted);

  Host& host_;
  Placed placed_;
  std::set<IpAddress> foreign_;
  Placed wanted_;            // last
  net::VipFacts addresses_;  // of the last place()
  net::VipFacts routes_;     // the same
  std::string error_;        // why some of it is missing
  std::string absent_;       // of the last place(): there is no such interface
  std::uint64_t repairs_ = 0;
};

[[nodiscard]] std::set<IpAddress> listened_on(const Config& config);

}  // namespace xlvs::agent
