// SPDX-License-Identifier: Apache-2.0
// A UDP socket between the two routers of a pair. Any thread, one at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/ip.h"
#include "core/result.h"

namespace xlvs::ha {

struct PeerPacket {
  bool from_peer = false;  // its source is the peer's address and port
  std::vector<std::uint8_t> bytes;
};

class PeerSocket {
 public:
  // Bound to local:port, for address:port. `local` need not be on the host yet: a broken second path must not keep a
  // router from starting. Errors name `local`.
  // `beside`: others that say so may have the same address and port, of which the last gets what comes.
  static Result<PeerSocket> open(const IpAddress& local, const IpAddress& address, std::uint16_t port,
                                 bool beside = false);
  PeerSocket(PeerSocket&& other) noexcept;
  PeerSocket& operator=(PeerSocket&&) = delete;
  PeerSocket(const PeerSocket&) = delete;
  PeerSocket& operator=(const PeerSocket&) = delete;
  ~PeerSocket();

  // An errno value; 0: sent. Never blocks.
  [[nodiscard]] int send(std::span<const std::uint8_t> datagram);
  // The next datagram that waits; nullopt: none. One that is longer than kLargestPeerDatagram is cut one byte behind
  // it.
  [[nodiscard]] std::optional<PeerPacket> receive();
  [[nodiscard]] int fd() const { return fd_; }

 private:
  PeerSocket(int fd, const IpAddress& address, std::uint16_t port) : fd_(fd), peer_{address, port} {}
  int fd_;
  Endpoint peer_;
};

}  // namespace xlvs::ha
