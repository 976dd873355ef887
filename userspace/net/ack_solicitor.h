// SPDX-License-Identifier: Apache-2.0
// Makes a silent TCP client speak: it gets a segment that can not belong to its connection, and has to answer with an
// acknowledgement of what it really expects (RFC 9293, 3.10.7.4). When its server is gone, that acknowledgement is what
// the data plane needs to reset the connection. Thread rule: one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/ip.h"
#include "core/result.h"

namespace xlvs::net {

// The IP packet: an acknowledgement with the sequence number `seq`, from `server` (the virtual address) to `client`.
// Both of one family.
[[nodiscard]] std::vector<std::uint8_t> solicitation(const Endpoint& server, const Endpoint& client, std::uint32_t seq);

class AckSolicitor {
 public:
  // Needs CAP_NET_RAW.
  [[nodiscard]] static Result<std::unique_ptr<AckSolicitor>> open();
  AckSolicitor(const AckSolicitor&) = delete;
  AckSolicitor& operator=(const AckSolicitor&) = delete;
  ~AckSolicitor();

  // Sends one, by the kernel's routes, without waiting; false: not sent (no route, a full queue). Should the sequence
  // number happen to be acceptable, the client takes it for a duplicate acknowledgement and stays silent: with a window
  // of 1 MiB one time in 4096.
  bool ask(const Endpoint& server, const Endpoint& client);

 private:
  AckSolicitor(int ipv4, int ipv6) : ipv4_(ipv4), ipv6_(ipv6) {}
  int ipv4_;
  int ipv6_;
};

}  // namespace xlvs::net
