// SPDX-License-Identifier: Apache-2.0
// Servers on loopback that behave as badly as a test wants, and what drives them and the probers: one event loop.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>

#include "health/health.h"

namespace xlvs::health::test {

using boost::asio::awaitable;
using boost::asio::ip::tcp;

// Accepts on 127.0.0.1 (or ::1) and gives each connection to `script`.
class Server {
 public:
  using Script = std::function<awaitable<void>(tcp::socket)>;
  Server(boost::asio::io_context& loop, Script script, const std::string& address = "127.0.0.1",
         std::uint16_t port = 0);
  [[nodiscard]] Endpoint endpoint() const;
  [[nodiscard]] int connections() const { return *connections_; }
  void stop() { acceptor_.close(); }

 private:
  tcp::acceptor acceptor_;
  std::shared_ptr<int> connections_ = std::make_shared<int>(0);
};

// Answers each datagram on 127.0.0.1 with those that `script` makes of it.
class UdpServer {
 public:
  using Script = std::function<std::vector<std::string>(const std::string& datagram)>;
  UdpServer(boost::asio::io_context& loop, Script script);
  [[nodiscard]] Endpoint endpoint() const;
  [[nodiscard]] const std::vector<std::string>& received() const { return *received_; }

 private:
  boost::asio::ip::udp::socket socket_;
  std::shared_ptr<std::vector<std::string>> received_ = std::make_shared<std::vector<std::string>>();
};

// Reads a request's head; "" when the client has gone.
awaitable<std::string> read_request(tcp::socket& socket);
// A script that answers each connection's request with `reply` and closes. `seen` gets the requests.
Server::Script answer(std::string reply, std::vector<std::string>* seen = nullptr);
std::string ok(const std::string& body = "");  // a whole HTTP reply with status 200
std::string with_status(int status);
Server::Script never_answer();
// Sends the parts, `pause` apart, whatever the client says, and then closes, or stays silent until the client goes.
enum class Afterwards { close, reset, silence };
Server::Script say(std::vector<std::string> parts, Afterwards afterwards = Afterwards::close,
                   std::chrono::milliseconds pause = std::chrono::milliseconds(0));
// Sends `part` over and over.
Server::Script say_endlessly(std::string part, std::chrono::milliseconds pause = std::chrono::milliseconds(0));
// Reads what `expected` begins with, byte for byte, before it answers; another request is answered by "?".
Server::Script answer_to(std::string expected, std::string reply);

// A key and its self-signed certificate for `names`: "DNS:www.example.test,IP:127.0.0.1".
struct Certificate {
  explicit Certificate(const std::string& names, std::chrono::seconds valid = std::chrono::hours(1));
  Certificate(const Certificate&) = delete;
  Certificate& operator=(const Certificate&) = delete;
  ~Certificate();
  std::string file;  // PEM: the certificate, then its key
};

// Speaks TLS with `certificate`, then answers as answer(). `server_names` gets the SNI of each handshake, "" for none.
Server::Script answer_tls(const Certificate& certificate, std::string reply,
                          std::vector<std::string>* server_names = nullptr);

// An address that drops SYNs: a listener whose queue is full.
class SilentListener {
 public:
  explicit SilentListener(boost::asio::io_context& loop);
  [[nodiscard]] Endpoint endpoint() const;

 private:
  tcp::acceptor acceptor_;
  std::vector<std::unique_ptr<tcp::socket>> fillers_;
};

[[nodiscard]] Endpoint closed_port(boost::asio::io_context& loop);  // refuses connections
[[nodiscard]] Endpoint closed_udp_port(boost::asio::io_context& loop);

class HealthTest : public ::testing::Test {
 protected:
  // Runs the event loop until `condition` holds; a test failure, naming `what`, when it does not in time.
  void run_until(const std::string& what, const std::function<bool()>& condition);
  void run_for(std::chrono::milliseconds time);  // for what must not happen
  [[nodiscard]] static CheckSpec spec(const std::string& type, std::map<std::string, CheckValue> params = {});
  [[nodiscard]] std::unique_ptr<Prober> make_prober(const Endpoint& endpoint, const CheckSpec& spec);
  // One probe from start to end.
  ProbeResult probe(const Endpoint& endpoint, const CheckSpec& spec,
                    std::chrono::milliseconds timeout = std::chrono::seconds(5));

  boost::asio::io_context loop_;
};

}  // namespace xlvs::health::test
