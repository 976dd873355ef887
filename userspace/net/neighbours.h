// SPDX-License-Identifier: Apache-2.0
// The neighbours behind followed addresses: a copy of the kernel's entries, and the rhythm in which the kernel is made
// to resolve and confirm them. Private to net/.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>

#include "net/netlink.h"

namespace xlvs::net {

class Neighbours {
 public:
  using Clock = std::chrono::steady_clock;
  // A user's neighbour got another MAC, was lost, or could not be resolved.
  using Changed = std::function<void(const IpAddress& user)>;

  struct View {
    std::optional<MacAddress> mac;
    std::string failure;  // why there is no MAC; empty with no MAC: not decided yet
  };

  // `requests` must outlive this object.
  Neighbours(NetlinkSocket& requests, Changed changed);

  void attach(const NeighbourKey& key, const IpAddress& user);
  void detach(const NeighbourKey& key, const IpAddress& user);
  [[nodiscard]] View view(const NeighbourKey& key);  // of an attached one; reads the kernel's entry if need be

  void on_event(const NeighbourInfo& info);
  void read_again();  // all of them, each when it is next looked at

  // Makes the kernel work on the neighbour that is due first. False when none is due.
  bool provoke_next();
  [[nodiscard]] std::optional<Clock::time_point> next_due() const;

 private:
  struct Entry {
    std::optional<MacAddress> mac;
    std::string failure;
    std::uint16_t state = 0;  // NUD_* as last seen
    bool must_read = true;
    Clock::time_point last_use{};  // when the kernel was last provoked
    std::optional<Clock::time_point> due;
    std::set<IpAddress> users;
  };

  void read(const NeighbourKey& key, Entry& entry);
  void update(const NeighbourKey& key, Entry& entry, const NeighbourInfo& info);
  void use(const NeighbourKey& key, Entry& entry);
  void schedule(const NeighbourKey& key, Entry& entry, Clock::time_point when);
  void unschedule(const NeighbourKey& key, Entry& entry);
  [[nodiscard]] Clock::time_point next_use(const Entry& entry);
  void report(const Entry& entry);

  NetlinkSocket& requests_;
  Changed changed_;
  std::map<NeighbourKey, Entry> entries_;
  std::set<std::pair<Clock::time_point, NeighbourKey>> due_;
  std::minstd_rand random_;
};

}  // namespace xlvs::net
