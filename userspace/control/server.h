// SPDX-License-Identifier: Apache-2.0
// The API server (UNIX socket, 0660, root or the socket's group by peer credentials) and the read-only metrics and
// status server (TCP). Boost.Beast on the event loop; bounded: 64 connections, 16 MiB a request, 30 s idle.
#pragma once

#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>

#include "control/api.h"
#include "core/ip.h"
#include "core/result.h"

namespace xlvs::control {

class Server {
 public:
  virtual ~Server() = default;
};

// Takes over a socket file that nobody listens on; conflict if somebody does.
[[nodiscard]] Result<std::unique_ptr<Server>> serve_unix(boost::asio::io_context& loop, const std::string& path,
                                                         Operations& operations);
// GET only: /metrics, /v1/status, /v1/version, and / (the status page).
[[nodiscard]] Result<std::unique_ptr<Server>> serve_tcp(boost::asio::io_context& loop, const Endpoint& endpoint,
                                                        Operations& operations);

// Prometheus text format 0.0.4 of a status and stats; docs/metrics.md lists every metric.
[[nodiscard]] std::string render_metrics(const Status& status, const StatsReport& stats);

}  // namespace xlvs::control
