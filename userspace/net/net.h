// SPDX-License-Identifier: Apache-2.0
// The host's network as the agent needs it: links, routes to backends and their neighbours, VIP addresses; all by
// netlink (rtnetlink(7), libmnl). Thread rule: the event loop's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "core/ip.h"
#include "core/result.h"

namespace xlvs::net {

struct Link {
  std::string name;
  unsigned ifindex = 0;
  MacAddress mac;
  std::uint32_t mtu = 0;
  bool up = false;  // administratively up and with carrier
  friend bool operator==(const Link&, const Link&) = default;
};

// One synchronous dump; for start-up and `lvsctl config check`.
[[nodiscard]] Result<std::vector<Link>> list_links();
[[nodiscard]] Result<Link> find_link(const std::string& name);  // not_found names the interface

// Where packets to an address leave this host.
struct Hop {
  bool local = false;  // the address is one of this host's own
  MacAddress mac;
  unsigned ifindex = 0;
  IpAddress via;  // the neighbour: the gateway, or the address itself when it is on link
  friend bool operator==(const Hop&, const Hop&) = default;
};

// Follows links, routes and neighbours of a set of addresses. It asks the kernel for the route (RTM_GETROUTE), makes it
// resolve the neighbour (NTF_USE: the kernel sends ARP/ND itself) and keeps the entry fresh, so that it never goes
// stale while the address is followed. Survives netlink overruns (ENOBUFS) by reading everything again. Events come
// from the event loop, never from within open() or follow(); they may call follow(), but not destroy the watch.
class Watch {
 public:
  struct Events {
    // The next hop of a followed address became known, changed or (nullopt) was lost, with the reason for the log. Lost
    // means: no route, an interface that is down, or a neighbour that does not answer ARP/ND; an entry that is merely
    // being confirmed keeps its hop. Each failed resolution is reported once, and tried again every second.
    std::function<void(const IpAddress&, const std::optional<Hop>&, const std::string& reason)> hop_changed;
    // A link appeared, changed or (up = false, mtu = 0) went away. Also once for each link there is after open().
    std::function<void(const Link&)> link_changed;
    // Addresses of this host, links, or routes of VipRoutes have changed, be it by this process: once for all changes
    // of one moment (some 20 ms).
    std::function<void()> tables_changed{};
  };
  struct Options {
    int receive_buffer = 4 << 20;  // bytes, of the event socket
  };

  static Result<std::unique_ptr<Watch>> open(boost::asio::io_context& loop, Events events, Options options);
  static Result<std::unique_ptr<Watch>> open(boost::asio::io_context& loop, Events events);
  virtual ~Watch() = default;
  // The complete set; calls hop_changed for each new one as soon as it is known.
  virtual void follow(const std::set<IpAddress>& addresses) = 0;
  [[nodiscard]] virtual std::optional<Hop> hop(const IpAddress& address) const = 0;
  // How often events were lost and everything was read again.
  [[nodiscard]] virtual std::uint64_t overruns() const = 0;
};

// What the kernel has of wanted addresses or routes, as far as it said.
struct VipFacts {
  std::set<IpAddress> present;   // of those that are wanted
  std::set<IpAddress> restored;  // of these: lvsd had them there, somebody took them away, and they were added again
};

// VIPs on an interface: /32 or /128 (nodad), scope global, never a source address by themselves (IPv6), marked with
// IFA_PROTO where the kernel knows it (6.1 does not show it in every tool, so lvsd also remembers which it added).
// Adding an address that is there already, from elsewhere, is not an error, and remove() leaves it alone.
class VipAddresses {
 public:
  explicit VipAddresses(std::string interface);
  // Adds what is missing, removes what this object added before and is not wanted any more. `adopted`: VIPs that an
  // earlier lvsd of this instance added (from its state file), which count as this object's own.
  Result<void> set(const std::set<IpAddress>& wanted, const std::set<IpAddress>& adopted = {});
  [[nodiscard]] const std::set<IpAddress>& owned() const { return owned_; }
  // As the last set() left it.
  [[nodiscard]] const VipFacts& facts() const { return facts_; }
  void remove_all();

 private:
  std::string interface_;
  std::set<IpAddress> owned_;
  VipFacts facts_;
};

// Routes that tell a routing daemon which VIPs this host takes: /32 or /128, blackhole, in a table of their own. They
// are there to be read; no rule should lead packets to them. Marked with a route protocol (119 in `ip route`). A route
// to the same destination that is in the table already becomes one of these.
class VipRoutes {
 public:
  explicit VipRoutes(std::uint32_t table) : table_(table) {}
  // As VipAddresses::set().
  Result<void> set(const std::set<IpAddress>& wanted, const std::set<IpAddress>& adopted = {});
  [[nodiscard]] const std::set<IpAddress>& owned() const { return owned_; }
  [[nodiscard]] const VipFacts& facts() const { return facts_; }

 private:
  std::uint32_t table_;
  std::set<IpAddress> owned_;
  VipFacts facts_;
};

}  // namespace xlvs::net
