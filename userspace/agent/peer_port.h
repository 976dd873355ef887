// SPDX-License-Identifier: Apache-2.0
// A sealed channel (ha/peer_channel.h) to the other router of a pair on a UDP port of its own beside the peer link's,
// with the peer link's key. Thread rule: the event loop's thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include "core/ha_config.h"
#include "core/result.h"
#include "ha/peer_channel.h"
#include "ha/peer_socket.h"
#include "ha/vrrp.h"

namespace xlvs::agent {

class PeerPort {
 public:
  struct Use {
    ha::PeerUse use;
    std::uint16_t offset;  // of the port, from the peer link's
    const char* what;      // for errors: "flow synchronisation"
  };
  // False: what came is malformed, and is counted so. A greeting has no body and needs no answer: the peer has let this
  // router in.
  using Received = std::function<bool(std::uint8_t type, std::span<const std::uint8_t> body)>;

  PeerPort(boost::asio::io_context& loop, Use use, Received received);
  ~PeerPort();
  PeerPort(const PeerPort&) = delete;
  PeerPort& operator=(const PeerPort&) = delete;

  // What another configuration needs, not yet in force: an error names the key or the address, and changes nothing.
  struct Next {
    std::optional<PeerConfig> config;
    std::unique_ptr<ha::PeerChannel> channel;
    std::unique_ptr<ha::PeerSocket> socket;  // null: the one that is open
    bool keep = false;                       // addresses and key are the same
  };
  [[nodiscard]] Result<Next> prepare(const std::optional<PeerConfig>& config) const;
  void use(Next next);
  [[nodiscard]] bool is_open() const { return config_.has_value(); }

  // Best effort: what can not be sent is counted, and is lost like what gets lost on the way.
  void send(std::uint8_t type, std::span<const std::uint8_t> body);
  // Waits for datagrams, at most so long, and takes them: for when the loop does not run any more.
  void take_within(std::chrono::milliseconds limit);
  [[nodiscard]] std::uint64_t send_errors() const { return send_errors_; }
  // Datagrams that were not taken, by reason.
  [[nodiscard]] std::map<std::string, std::uint64_t> rejected() const;

 private:
  void close();
  void wait();
  void receive();
  void take(const ha::PeerPacket& packet);
  void greet();

  boost::asio::io_context& loop_;
  Use use_;
  Received received_;
  std::optional<PeerConfig> config_;
  std::unique_ptr<ha::PeerChannel> channel_;
  std::unique_ptr<ha::PeerSocket> socket_;
  std::optional<boost::asio::posix::stream_descriptor> readable_;  // of the socket, which owns the descriptor
  std::shared_ptr<const char> life_;  // of readable_: what waits in the loop for an earlier one is void
  ha::Time greeted_{};
  std::uint64_t send_errors_ = 0;
};

}  // namespace xlvs::agent
