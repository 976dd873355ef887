// SPDX-License-Identifier: Apache-2.0
// libcurl's transfers on the event loop: one multi handle per io_context, whose sockets and timer are Asio's to watch
// (curl_multi_socket_action(3)). Private to health/. Thread rule: the event loop's thread.
#pragma once

#include <functional>
#include <map>
#include <memory>

#include <curl/curl.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

namespace xlvs::health {

class CurlLoop : public boost::asio::execution_context::service {
 public:
  using key_type = CurlLoop;
  static boost::asio::execution_context::id id;

  // The one of this io_context, made at the first call.
  static CurlLoop& of(boost::asio::io_context& loop);
  explicit CurlLoop(boost::asio::execution_context& context);
  ~CurlLoop() override;

  // Runs the transfer; `done` comes from the event loop, when it has ended, and may start or cancel any transfer. The
  // handle stays the caller's.
  void start(CURL* transfer, std::function<void(CURLcode)> done);
  void cancel(CURL* transfer);  // `done` is not called; nothing happens when it has ended already

 private:
  struct Socket;

  void shutdown() override;
  static int on_socket(CURL* transfer, curl_socket_t fd, int what, void* self, void* socket);
  static int on_timer(CURLM* multi, long timeout_ms, void* self);
  void watch(curl_socket_t fd, int what);
  void arm(const std::shared_ptr<Socket>& socket);
  void wait(const std::shared_ptr<Socket>& socket, bool Socket::* waiting, int what, int ready);
  void act(curl_socket_t fd, int ready);

  boost::asio::io_context& loop_;
  std::unique_ptr<boost::asio::steady_timer> timer_;
  CURLM* multi_ = nullptr;
  std::map<curl_socket_t, std::shared_ptr<Socket>> sockets_;
  std::map<CURL*, std::function<void(CURLcode)>> transfers_;
};

}  // namespace xlvs::health
