// SPDX-License-Identifier: Apache-2.0
// A netlink socket and the rtnetlink requests that xlvs makes, typed. Requests are synchronous: rtnetlink works inside
// the sender's system call, so the answer is there when send() returns. A socket belongs to the network namespace of
// the thread that opened it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>

#include "core/ip.h"
#include "core/result.h"
#include "net/net.h"

namespace xlvs::net {

// A message under construction, in a buffer that fits every request of this file.
class Message {
 public:
  Message(std::uint16_t type, std::uint16_t flags);
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;

  // The family header (ifinfomsg, rtmsg, ...), zeroed; comes first.
  template <typename Header>
  Header& header() {
    return *static_cast<Header*>(mnl_nlmsg_put_extra_header(message_, sizeof(Header)));
  }
  void put(std::uint16_t attribute, const IpAddress& address);
  void put(std::uint16_t attribute, std::uint8_t value);
  void put(std::uint16_t attribute, std::uint32_t value);
  void put(std::uint16_t attribute, const std::string& text);
  void put(std::uint16_t attribute, const void* data, std::size_t length);
  [[nodiscard]] nlmsghdr* raw() { return message_; }

 private:
  alignas(nlmsghdr) char buffer_[512];
  nlmsghdr* message_;
};

// Why a request failed: the errno value, and the kernel's own words where it gave some.
struct NetlinkError {
  int code = 0;
  std::string text;
};

class NetlinkSocket {
 public:
  using OnMessage = std::function<void(const nlmsghdr*)>;

  // `groups`: RTNLGRP_*; with any, the socket receives events and is non-blocking.
  [[nodiscard]] static Result<NetlinkSocket> open(std::initializer_list<int> groups = {}, int receive_buffer = 0);
  NetlinkSocket(NetlinkSocket&& other) noexcept;
  NetlinkSocket& operator=(NetlinkSocket&& other) noexcept;
  ~NetlinkSocket();

  // Sends and waits for the answer; each message of it goes to `on_message`. nullopt: success.
  std::optional<NetlinkError> request(Message& message, const OnMessage& on_message = {});

  enum class Received { messages, nothing, overrun };
  // Events: reads one datagram.
  Received receive(const OnMessage& on_message);

  [[nodiscard]] int fd() const { return mnl_socket_get_fd(socket_); }

 private:
  explicit NetlinkSocket(mnl_socket* socket) : socket_(socket) {}
  std::optional<NetlinkError> receive_answer(std::uint32_t sequence, bool dump, const OnMessage& on_message);

  mnl_socket* socket_ = nullptr;
  std::uint32_t sequence_ = 0;
  std::vector<char> buffer_ = std::vector<char>(32768);  // the largest datagram of an rtnetlink dump
};

// A link with what only this folder needs to know.
struct LinkInfo {
  Link link;
  bool ethernet = false;
};

// Where the kernel would send a packet.
struct Route {
  std::uint8_t type = RTN_UNICAST;
  unsigned ifindex = 0;
  std::optional<IpAddress> gateway;
  bool encapsulated = false;
};

struct NeighbourKey {
  unsigned ifindex = 0;
  IpAddress address;
  friend auto operator<=>(const NeighbourKey&, const NeighbourKey&) = default;
};

struct NeighbourInfo {
  NeighbourKey key;
  std::uint16_t state = 0;  // NUD_*
  std::optional<MacAddress> mac;
};

// nullopt: a message of another kind or family.
[[nodiscard]] std::optional<LinkInfo> parse_link(const nlmsghdr* message);
[[nodiscard]] std::optional<Route> parse_route(const nlmsghdr* message);
[[nodiscard]] std::optional<NeighbourInfo> parse_neighbour(const nlmsghdr* message);

// RTM_NEWADDR, RTM_DELADDR.
struct AddressInfo {
  unsigned ifindex = 0;
  IpAddress address;
};
[[nodiscard]] std::optional<AddressInfo> parse_address(const nlmsghdr* message);
// RTM_NEWROUTE, RTM_DELROUTE.
struct TableRoute {
  std::uint32_t table = 0;
  std::uint8_t protocol = 0;
  std::optional<IpAddress> to;  // of /32 and /128 only
};
[[nodiscard]] std::optional<TableRoute> parse_table_route(const nlmsghdr* message);

[[nodiscard]] Result<std::vector<LinkInfo>> dump_links(NetlinkSocket& socket);
// Of one interface.
[[nodiscard]] Result<std::set<IpAddress>> dump_addresses(NetlinkSocket& socket, unsigned ifindex);
// The destinations in `table` of the routes that VipRoutes made.
[[nodiscard]] Result<std::set<IpAddress>> dump_vip_routes(NetlinkSocket& socket, std::uint32_t table);
inline constexpr std::uint8_t kVipRouteProtocol = 119;  // in `ip route`; from the range that is left to users
// Errors are the kernel's: "no route" and its like come as ErrorKind::not_found.
[[nodiscard]] Result<Route> get_route(NetlinkSocket& socket, const IpAddress& address);
// NUD_NONE when the kernel has no such entry.
[[nodiscard]] Result<NeighbourInfo> get_neighbour(NetlinkSocket& socket, const NeighbourKey& key);
// Makes the kernel behave as if it had a packet to send there: creates the entry, sends ARP/ND, or takes a stale entry
// through DELAY and PROBE. Never call it for a PERMANENT entry: NTF_USE would make it an ordinary one.
[[nodiscard]] Result<void> use_neighbour(NetlinkSocket& socket, const NeighbourKey& key);
// Removes the kernel's entry, with what it waits for; it may be gone already.
void forget_neighbour(NetlinkSocket& socket, const NeighbourKey& key);

}  // namespace xlvs::net
