// SPDX-License-Identifier: Apache-2.0
// A raw socket for VRRP on one interface, multicast or to given peers. Any thread, one at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/ip.h"
#include "core/result.h"

namespace xlvs::ha {

[[nodiscard]] bool is_link_local(const IpAddress& address);  // fe80::/10

// What the host has on an interface, of use for VRRP.
struct LocalInterface {
  std::string name;
  unsigned ifindex = 0;
  MacAddress mac;
  bool up = false;  // administratively, and with carrier
  std::vector<IpAddress> addresses;
};
// not_found names the interface.
[[nodiscard]] Result<LocalInterface> read_interface(const std::string& name);
// What advertisements of this family are sent from: the first IPv4 address, the link-local IPv6 address (RFC 9568,
// section 5.1.2.1; for unicast peers that are not link-local, the first address that is not). `not_vips`: the router's
// own addresses only.
[[nodiscard]] Result<IpAddress> primary_address(const LocalInterface& interface, Family family,
                                                std::span<const IpAddress> vips, std::span<const IpAddress> peers);

struct VrrpPacket {
  IpAddress source;
  IpAddress destination;
  std::uint8_t ttl = 0;
  std::vector<std::uint8_t> message;
};

class VrrpSocket {
 public:
  // Without peers: multicast. permission without CAP_NET_RAW.
  static Result<VrrpSocket> open(const LocalInterface& interface, const IpAddress& source,
                                 std::vector<IpAddress> peers);
  VrrpSocket(VrrpSocket&& other) noexcept;
  VrrpSocket& operator=(VrrpSocket&&) = delete;
  VrrpSocket(const VrrpSocket&) = delete;
  VrrpSocket& operator=(const VrrpSocket&) = delete;
  ~VrrpSocket();

  // To whom an advertisement goes: each needs a checksum of its own.
  [[nodiscard]] std::span<const IpAddress> destinations() const { return destinations_; }
  // An errno value; 0: sent.
  [[nodiscard]] int send(const IpAddress& destination, std::span<const std::uint8_t> message);
  // The next packet that waits, from whomever; nullopt: none.
  [[nodiscard]] std::optional<VrrpPacket> receive();
  [[nodiscard]] int fd() const { return fd_; }

 private:
  VrrpSocket(int fd, unsigned ifindex, const IpAddress& source, std::vector<IpAddress> destinations)
      : fd_(fd), ifindex_(ifindex), source_(source), destinations_(std::move(destinations)) {}
  int fd_;
  unsigned ifindex_;
  IpAddress source_;
  std::vector<IpAddress> destinations_;
};

}  // namespace xlvs::ha
