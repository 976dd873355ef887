// SPDX-License-Identifier: Apache-2.0
// The API server (UNIX socket, 0660, root or the socket's group by peer credentials) and the read-only metrics and
// status server (TCP). Boost.Beast on the event loop; bounded by ServerOptions. Thread rule: the event loop's thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>

#include "control/api.h"
#include "core/ip.h"
#include "core/result.h"

namespace xlvs::control {

struct ServerOptions {
  // A further one takes the place of the one that has been without a complete request for the longest time; when all
  // have one it is answered 503 and closed.
  std::size_t connections = 64;
  std::size_t body_bytes = 16 * 1024 * 1024;  // 413
  std::uint32_t header_bytes = 64 * 1024;     // 431
  std::chrono::milliseconds header{5'000};    // for a request's header, once its connection or its first byte is here
  std::chrono::milliseconds idle{30'000};     // between requests, for a body to arrive, and for an answer to be taken
  unsigned requests_per_second = 0;           // in all, further ones wait; 0: unbounded
};

// Serves until destroyed; that closes every connection and calls Operations no more.
class Server {
 public:
  virtual ~Server() = default;
  // The socket's path, or "address:port" with the port that the kernel chose if 0 was asked for.
  [[nodiscard]] virtual std::string where() const = 0;
};

// Takes over a socket file that nobody listens on; conflict if somebody does, or if the file is no socket. The file is
// removed by the destructor.
[[nodiscard]] Result<std::unique_ptr<Server>> serve_unix(boost::asio::io_context& loop, const std::string& path,
                                                         Operations& operations, const ServerOptions& options = {});
// GET only: /metrics, /v1/status, /v1/version, /v1/services, and / (the status page).
[[nodiscard]] Result<std::unique_ptr<Server>> serve_tcp(boost::asio::io_context& loop, const Endpoint& endpoint,
                                                        Operations& operations, const ServerOptions& options = {});

// Prometheus text format 0.0.4 of a status and stats; docs/metrics.md lists every metric.
[[nodiscard]] std::string render_metrics(const Status& status, const StatsReport& stats);

}  // namespace xlvs::control
