// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 over any stream protocol of Asio: accept, read a request, answer(), write, again. One coroutine accepts, one
// serves each connection; all run on the event loop's thread. Internal to control/.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include "control/routes.h"
#include "control/server.h"

namespace xlvs::control {

using HttpResponse = boost::beast::http::response<boost::beast::http::string_body>;
using RequestParser = boost::beast::http::request_parser<boost::beast::http::string_body>;

[[nodiscard]] HttpResponse to_http(Response response, unsigned http_version, bool keep_alive);
// What a client shall hear of a request that could not be read; nullopt: nothing, it has gone or was too slow.
[[nodiscard]] std::optional<Response> bad_request(const boost::beast::error_code& error, const ServerOptions& options);

template <typename Protocol>
class HttpServer {
 public:
  using Socket = typename Protocol::socket;
  using Acceptor = typename Protocol::acceptor;
  // A refusal of a new connection by who its peer is.
  using Admit = std::function<Result<void>(Socket&)>;

  HttpServer(Acceptor acceptor, Operations& operations, Access access, const ServerOptions& options, Admit admit)
      : shared_(std::make_shared<Shared>(std::move(acceptor), operations, access, options, std::move(admit))) {
    boost::asio::co_spawn(shared_->acceptor.get_executor(), accept(shared_), boost::asio::detached);
  }
  ~HttpServer() {
    shared_->operations = nullptr;
    boost::beast::error_code ignored;
    shared_->acceptor.close(ignored);
    for (Stream* stream : shared_->streams) stream->close();
  }
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

 private:
  using Stream = boost::beast::basic_stream<Protocol>;
  template <typename T>
  using Task = boost::asio::awaitable<T>;

  // What the coroutines hold: they may resume once more after the server is gone, and then see `operations` null.
  struct Shared {
    Shared(Acceptor a, Operations& o, Access c, const ServerOptions& s, Admit m)
        : acceptor(std::move(a)), operations(&o), access(c), options(s), admit(std::move(m)) {}
    Acceptor acceptor;
    Operations* operations;
    Access access;
    ServerOptions options;
    Admit admit;
    std::unordered_set<Stream*> streams;
  };
  using SharedPtr = std::shared_ptr<Shared>;

  struct Connection {
    Connection(Socket socket, SharedPtr s) : stream(std::move(socket)), shared(std::move(s)) {
      shared->streams.insert(&stream);
    }
    ~Connection() { shared->streams.erase(&stream); }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    Stream stream;
    SharedPtr shared;
    boost::beast::flat_buffer buffer;
  };
  using ConnectionPtr = std::shared_ptr<Connection>;

  static constexpr auto kTuple = boost::asio::as_tuple(boost::asio::use_awaitable);

  static Task<void> accept(SharedPtr shared) {
    while (shared->operations != nullptr) {
      auto [error, socket] = co_await shared->acceptor.async_accept(kTuple);
      if (shared->operations == nullptr) co_return;
      if (error) {  // out of descriptors or memory: let some connection end first
        boost::asio::steady_timer pause(shared->acceptor.get_executor(), std::chrono::milliseconds(100));
        co_await pause.async_wait(kTuple);
        continue;
      }
      begin(std::move(socket), shared);
    }
  }

  static void begin(Socket socket, const SharedPtr& shared) {
    if (shared->streams.size() >= shared->options.connections) {
      return refuse(socket, {ErrorKind::unavailable, fmt::format("lvsd already serves {} connections; try again",
                                                                 shared->options.connections)});
    }
    if (const auto admitted = shared->admit(socket); !admitted) return refuse(socket, admitted.error());
    auto executor = socket.get_executor();
    auto connection = std::make_shared<Connection>(std::move(socket), shared);
    boost::asio::co_spawn(executor, serve(std::move(connection)), boost::asio::detached);
  }

  // One write that does not wait: a fresh socket's buffer has room for it.
  static void refuse(Socket& socket, const Error& reason) {
    std::ostringstream text;
    text << to_http(error_response(reason), 11, false);
    boost::beast::error_code ignored;
    socket.non_blocking(true, ignored);
    socket.write_some(boost::asio::buffer(text.str()), ignored);
    socket.shutdown(Socket::shutdown_send, ignored);
  }

  static Task<void> serve(ConnectionPtr connection) {
    bool more = true;
    while (more) more = co_await serve_one(connection);
    boost::beast::error_code ignored;
    connection->stream.socket().shutdown(Socket::shutdown_send, ignored);
    co_await drain(connection);
  }

  // Returns whether the connection is good for another request.
  static Task<bool> serve_one(ConnectionPtr connection) {
    namespace http = boost::beast::http;
    const ServerOptions& options = connection->shared->options;
    RequestParser parser;
    parser.header_limit(options.header_bytes);
    parser.body_limit(options.body_bytes);
    connection->stream.expires_after(options.idle);
    boost::beast::error_code error = co_await read(connection, parser);
    Operations* operations = connection->shared->operations;
    if (operations == nullptr) co_return false;
    HttpResponse response;
    if (error) {
      auto answer = bad_request(error, options);
      if (!answer) co_return false;
      response = to_http(std::move(*answer), 11, false);
    } else {
      const auto& message = parser.get();
      const Request request{std::string(message.method_string()), std::string(message.target()), message.body()};
      response =
          to_http(respond(request, *operations, connection->shared->access), message.version(), message.keep_alive());
    }
    connection->stream.expires_after(options.idle);
    auto [write_error, size] = co_await http::async_write(connection->stream, response, kTuple);
    co_return !write_error && response.keep_alive();
  }

  static Task<boost::beast::error_code> read(ConnectionPtr connection, RequestParser& parser) {
    namespace http = boost::beast::http;
    Stream& stream = connection->stream;
    auto [error, size] = co_await http::async_read_header(stream, connection->buffer, parser, kTuple);
    if (error) co_return error;
    if (boost::beast::iequals(parser.get()[http::field::expect], "100-continue")) {
      http::response<http::empty_body> go_on(http::status::continue_, parser.get().version());
      auto [write_error, written] = co_await http::async_write(stream, go_on, kTuple);
      if (write_error) co_return write_error;
    }
    auto [body_error, body_size] = co_await http::async_read(stream, connection->buffer, parser, kTuple);
    co_return body_error;
  }

  // Takes what the client still sends, a while, before closing: closing with unread data resets a TCP connection, and
  // the client might lose the answer that explains why.
  static Task<void> drain(ConnectionPtr connection) {
    std::array<char, 4096> scrap;
    connection->stream.expires_after(
        std::min<std::chrono::milliseconds>(connection->shared->options.idle, std::chrono::seconds(1)));
    for (int i = 0; i < 256; ++i) {
      auto [error, size] = co_await connection->stream.async_read_some(boost::asio::buffer(scrap), kTuple);
      if (error) co_return;
    }
  }

  SharedPtr shared_;
};

}  // namespace xlvs::control
