// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 over stream sockets: accept, read a request, answer(), write, again. One coroutine accepts, one serves each
// connection; all run on the event loop's thread. Internal to control/.
#pragma once

#include <functional>
#include <memory>

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>

#include "control/routes.h"
#include "control/server.h"

namespace xlvs::control {

struct HttpServing;  // what the coroutines hold

class HttpServer {
 public:
  // Of any address family, bound and listening.
  using Acceptor = boost::asio::basic_socket_acceptor<boost::asio::generic::stream_protocol>;
  // A refusal of a new connection by who its peer is.
  using Admit = std::function<Result<void>(int socket)>;

  HttpServer(boost::asio::io_context& loop, Acceptor acceptor, Operations& operations, Access access,
             const ServerOptions& options, Admit admit);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

 private:
  std::shared_ptr<HttpServing> serving_;
};

}  // namespace xlvs::control
