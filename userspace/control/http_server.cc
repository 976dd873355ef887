// SPDX-License-Identifier: Apache-2.0
#include "control/http_server.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <sstream>
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

namespace xlvs::control {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using Protocol = asio::generic::stream_protocol;
using Stream = beast::basic_stream<Protocol>;

// The coroutines may resume once more after the server is gone, and then see `operations` null.
struct HttpServing {
  HttpServer::Acceptor acceptor;
  Operations* operations;
  Access access;
  ServerOptions options;
  HttpServer::Admit admit;
  std::unordered_set<Stream*> streams;
};

namespace {

using HttpResponse = http::response<http::string_body>;
using RequestParser = http::request_parser<http::string_body>;
template <typename T>
using Task = asio::awaitable<T>;
using ServingPtr = std::shared_ptr<HttpServing>;

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);

struct Connection {
  Connection(Protocol::socket socket, ServingPtr s) : stream(std::move(socket)), serving(std::move(s)) {
    serving->streams.insert(&stream);
  }
  ~Connection() { serving->streams.erase(&stream); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  Stream stream;
  ServingPtr serving;
  beast::flat_buffer buffer;
};
using ConnectionPtr = std::shared_ptr<Connection>;

HttpResponse to_http(Response response, unsigned http_version, bool keep_alive) {
  HttpResponse message(http::int_to_status(response.status), http_version);
  message.set(http::field::server, "lvsd");
  message.set(http::field::content_type, response.type);
  message.set(http::field::cache_control, "no-store");
  message.set("X-Content-Type-Options", "nosniff");
  for (const auto& [name, value] : response.headers) message.set(name, value);
  message.keep_alive(keep_alive);
  message.body() = std::move(response.body);
  message.prepare_payload();
  return message;
}

// What a client shall hear of a request that could not be read; nullopt: nothing, it has gone or was too slow.
std::optional<Response> bad_request(const beast::error_code& error, const ServerOptions& options) {
  if (error == http::error::body_limit) {
    return error_response(413, {ErrorKind::invalid, fmt::format("the body exceeds {} bytes", options.body_bytes)});
  }
  if (error == http::error::header_limit) {
    return error_response(431, {ErrorKind::invalid, fmt::format("the header exceeds {} bytes", options.header_bytes)});
  }
  const bool gone = error == http::error::end_of_stream || error == http::error::partial_message;
  if (gone || error.category() != make_error_code(http::error::bad_method).category()) return std::nullopt;
  return error_response(400, {ErrorKind::invalid, fmt::format("malformed HTTP: {}", error.message())});
}

// One write that does not wait: a fresh socket's buffer has room for it.
void refuse(Protocol::socket& socket, const Error& reason) {
  std::ostringstream text;
  text << to_http(error_response(reason), 11, false);
  beast::error_code ignored;
  socket.non_blocking(true, ignored);
  socket.write_some(asio::buffer(text.str()), ignored);
  socket.shutdown(Protocol::socket::shutdown_send, ignored);
}

Task<beast::error_code> read(ConnectionPtr connection, RequestParser& parser) {
  Stream& stream = connection->stream;
  auto [error, size] = co_await http::async_read_header(stream, connection->buffer, parser, kTuple);
  if (error) co_return error;
  if (beast::iequals(parser.get()[http::field::expect], "100-continue")) {
    http::response<http::empty_body> go_on(http::status::continue_, parser.get().version());
    auto [write_error, written] = co_await http::async_write(stream, go_on, kTuple);
    if (write_error) co_return write_error;
  }
  auto [body_error, body_size] = co_await http::async_read(stream, connection->buffer, parser, kTuple);
  co_return body_error;
}

// Returns whether the connection is good for another request.
Task<bool> serve_one(ConnectionPtr connection) {
  const ServerOptions& options = connection->serving->options;
  RequestParser parser;
  parser.header_limit(options.header_bytes);
  parser.body_limit(options.body_bytes);
  connection->stream.expires_after(options.idle);
  beast::error_code error = co_await read(connection, parser);
  Operations* operations = connection->serving->operations;
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
        to_http(respond(request, *operations, connection->serving->access), message.version(), message.keep_alive());
  }
  connection->stream.expires_after(options.idle);
  auto [write_error, size] = co_await http::async_write(connection->stream, response, kTuple);
  co_return !write_error && response.keep_alive();
}

// Takes what the client still sends, a while, before closing: closing with unread data resets a TCP connection, and
// the client might lose the answer that explains why.
Task<void> drain(ConnectionPtr connection) {
  std::array<char, 4096> scrap;
  connection->stream.expires_after(
      std::min<std::chrono::milliseconds>(connection->serving->options.idle, std::chrono::seconds(1)));
  for (int i = 0; i < 256; ++i) {
    auto [error, size] = co_await connection->stream.async_read_some(asio::buffer(scrap), kTuple);
    if (error) co_return;
  }
}

Task<void> serve(ConnectionPtr connection) {
  bool more = true;
  while (more) more = co_await serve_one(connection);
  beast::error_code ignored;
  connection->stream.socket().shutdown(Protocol::socket::shutdown_send, ignored);
  co_await drain(connection);
}

void begin(Protocol::socket socket, const ServingPtr& serving) {
  if (serving->streams.size() >= serving->options.connections) {
    return refuse(socket, {ErrorKind::unavailable,
                           fmt::format("lvsd already serves {} connections; try again", serving->options.connections)});
  }
  if (const auto admitted = serving->admit(socket.native_handle()); !admitted) {
    return refuse(socket, admitted.error());
  }
  auto executor = socket.get_executor();
  auto connection = std::make_shared<Connection>(std::move(socket), serving);
  asio::co_spawn(executor, serve(std::move(connection)), asio::detached);
}

Task<void> accept(ServingPtr serving) {
  while (serving->operations != nullptr) {
    auto [error, socket] = co_await serving->acceptor.async_accept(kTuple);
    if (serving->operations == nullptr) co_return;
    if (error) {  // out of descriptors or memory: let some connection end first
      asio::steady_timer pause(serving->acceptor.get_executor(), std::chrono::milliseconds(100));
      co_await pause.async_wait(kTuple);
      continue;
    }
    begin(std::move(socket), serving);
  }
}

}  // namespace

HttpServer::HttpServer(Acceptor acceptor, Operations& operations, Access access, const ServerOptions& options,
                       Admit admit)
    : serving_(std::make_shared<HttpServing>(
          HttpServing{std::move(acceptor), &operations, access, options, std::move(admit), {}})) {
  asio::co_spawn(serving_->acceptor.get_executor(), accept(serving_), asio::detached);
}

HttpServer::~HttpServer() {
  serving_->operations = nullptr;
  beast::error_code ignored;
  serving_->acceptor.close(ignored);
  for (Stream* stream : serving_->streams) stream->close();
}

}  // namespace xlvs::control
