// SPDX-License-Identifier: Apache-2.0
// Echo requests of all checks, through one socket for each family: ten thousand backends need two descriptors. The
// kernel's unprivileged ping sockets if it allows them (net.ipv4.ping_group_range), else raw ones (CAP_NET_RAW).
// Private to health/. Thread rule: the event loop's thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <utility>

#include <boost/asio/io_context.hpp>

#include "core/ip.h"
#include "health/health.h"

namespace xlvs::health {

class Ping : public boost::asio::execution_context::service {
 public:
  using key_type = Ping;
  static boost::asio::execution_context::id id;

  // The one of this io_context, made at the first call.
  static Ping& of(boost::asio::io_context& loop);
  explicit Ping(boost::asio::execution_context& context);
  ~Ping() override;

  using Ticket = std::pair<std::uint16_t, IpAddress>;  // sequence number and destination
  using Done = std::function<void(ProbeResult)>;
  // Sends a request; `done` comes when it is answered or known to be undeliverable, perhaps from within this call, and
  // never when it is lost: the time is the caller's to watch.
  Ticket start(const IpAddress& destination, Done done);
  void cancel(const Ticket& ticket);  // `done` is not called; nothing happens when it has been already

 private:
  class Socket;

  void shutdown() override;
  Socket& socket(Family family);
  void finish(const Ticket& ticket, ProbeResult result);

  boost::asio::io_context& loop_;
  std::map<Family, std::shared_ptr<Socket>> sockets_;
  std::map<Ticket, Done> waiting_;
  std::uint16_t sequence_ = 0;
};

}  // namespace xlvs::health
