// SPDX-License-Identifier: Apache-2.0
// Tells the link that an address has moved here: gratuitous ARP (RFC 5227, section 3: an ARP announcement) and
// unsolicited neighbour advertisements (RFC 4861, section 7.2.6). The frames are pure; the announcer sends them.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/ip.h"
#include "core/result.h"

namespace xlvs::ha {

// Whole Ethernet frames.
[[nodiscard]] std::vector<std::uint8_t> arp_announcement(const MacAddress& mac, const IpAddress& address);
[[nodiscard]] std::vector<std::uint8_t> neighbour_advertisement(const MacAddress& mac, const IpAddress& address);
// Who else has the address? From nobody, so that nobody learns anything: an ARP probe (RFC 5227, section 2.1.1), or a
// solicitation as duplicate address detection sends it (RFC 4862, section 5.4.2).
[[nodiscard]] std::vector<std::uint8_t> address_probe(const MacAddress& mac, const IpAddress& address);

// One per process; any thread, one at a time.
class Announcer {
 public:
  static Result<Announcer> open();  // permission without CAP_NET_RAW
  Announcer(Announcer&& other) noexcept;
  Announcer& operator=(Announcer&&) = delete;
  Announcer(const Announcer&) = delete;
  Announcer& operator=(const Announcer&) = delete;
  ~Announcer();

  // One frame per address, in as few system calls as possible; returns how many the device took.
  std::size_t announce(unsigned ifindex, const MacAddress& mac, std::span<const IpAddress> addresses);
  // The same with probes: nobody but this host is to answer them.
  std::size_t probe(unsigned ifindex, const MacAddress& mac, std::span<const IpAddress> addresses);

 private:
  explicit Announcer(int socket) : socket_(socket) {}
  std::size_t send(unsigned ifindex, std::vector<std::vector<std::uint8_t>> frames);
  int socket_;
};

}  // namespace xlvs::ha
