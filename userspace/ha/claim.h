// SPDX-License-Identifier: Apache-2.0
// Others who say that an address of this router's role is theirs: another owner, or a real server whose `lo` answers
// ARP for the VIP (LVS' ARP problem). What RFC 5227, section 2.4, calls conflict detection, and RFC 4862, section 5.4,
// for IPv6. The parser is pure; a socket may be used from any thread, one at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "core/ip.h"
#include "core/result.h"

namespace xlvs::ha {

struct Claim {
  IpAddress address;
  MacAddress mac;
  friend bool operator==(const Claim&, const Claim&) = default;
};

// A whole Ethernet frame: any ARP packet claims its sender address, a neighbour advertisement its target.
[[nodiscard]] std::optional<Claim> parse_claim(std::span<const std::uint8_t> frame);

class ClaimSocket {
 public:
  // ARP for IPv4, neighbour advertisements for IPv6, of what arrives there. permission without CAP_NET_RAW.
  static Result<ClaimSocket> open(unsigned ifindex, Family family);
  ClaimSocket(ClaimSocket&& other) noexcept;
  ClaimSocket& operator=(ClaimSocket&&) = delete;
  ClaimSocket(const ClaimSocket&) = delete;
  ClaimSocket& operator=(const ClaimSocket&) = delete;
  ~ClaimSocket();

  // False: nothing waits. Otherwise `claim` is what the next frame says, if anything.
  [[nodiscard]] bool receive(std::optional<Claim>& claim);
  [[nodiscard]] int fd() const { return fd_; }

 private:
  explicit ClaimSocket(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace xlvs::ha
