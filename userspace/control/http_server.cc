// SPDX-License-Identifier: Apache-2.0
#include "control/http_server.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <deque>
#include <exception>
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

#include "control/gate.h"
#include "control/host_header.h"
#include "control/pages.h"
#include "control/worker.h"

namespace xlvs::control {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using Protocol = asio::generic::stream_protocol;
using Stream = beast::basic_stream<Protocol>;
using Clock = std::chrono::steady_clock;

struct Connection;

// The coroutines may resume once more after the server is gone, and then see `operations` null.
struct HttpServing {
  HttpServing(asio::io_context& io, HttpServer::Acceptor listening, Operations& what, Access how,
              const ServerOptions& limits, HttpServer::Admit who)
      : loop(io),
        acceptor(std::move(listening)),
        operations(&what),
        access(how),
        options(limits),
        admit(std::move(who)),
        pages(io, std::chrono::milliseconds(how == Access::read_only ? 1000 : 0)),
        gate(io, limits.requests_per_second) {
    take_spare();
  }
  HttpServing(const HttpServing&) = delete;
  HttpServing& operator=(const HttpServing&) = delete;
  ~HttpServing() { release_spare(); }

  // A descriptor for the connection that comes when there is no other.
  void take_spare() {
    if (spare < 0) spare = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  }
  void release_spare() {
    if (spare >= 0) ::close(std::exchange(spare, -1));
  }

  asio::io_context& loop;
  HttpServer::Acceptor acceptor;
  Operations* operations;
  Access access;
  ServerOptions options;
  HttpServer::Admit admit;
  Pages pages;
  Gate gate;
  std::unordered_set<Connection*> connections;
  int spare = -1;
};

namespace {

using HttpResponse = http::response<http::string_body>;
using PageResponse = http::response<http::span_body<const char>>;
using RequestParser = http::request_parser<http::string_body>;
template <typename T>
using Task = asio::awaitable<T>;
using ServingPtr = std::shared_ptr<HttpServing>;

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);

}  // namespace

struct Connection {
  Connection(Protocol::socket socket, ServingPtr s) : stream(std::move(socket)), serving(std::move(s)) {
    serving->connections.insert(this);
  }
  ~Connection() {
    serving->connections.erase(this);
    stream.close();
    serving->take_spare();
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  Stream stream;
  ServingPtr serving;
  beast::flat_buffer buffer;
  Clock::time_point waiting_since = Clock::now();
  bool requested = false;  // it has a complete request, and takes or awaits its answer
};

namespace {

using ConnectionPtr = std::shared_ptr<Connection>;

template <typename Message>
void set_fields(Message& message, const std::string& type, bool keep_alive) {
  message.set(http::field::server, "lvsd");
  message.set(http::field::content_type, type);
  message.set(http::field::cache_control, "no-store");
  message.set("X-Content-Type-Options", "nosniff");
  message.keep_alive(keep_alive);
}

HttpResponse to_http(Response response, unsigned http_version, bool keep_alive) {
  HttpResponse message(http::int_to_status(response.status), http_version);
  set_fields(message, response.type, keep_alive);
  for (const auto& [name, value] : response.headers) message.set(name, value);
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

// Between two requests a connection may rest; a header that has begun must come soon.
Task<beast::error_code> await_first_byte(ConnectionPtr connection, bool first_request) {
  if (connection->buffer.size() > 0) co_return beast::error_code();
  const ServerOptions& options = connection->serving->options;
  connection->stream.expires_after(first_request ? options.header : options.idle);
  auto [error, size] = co_await connection->stream.async_read_some(connection->buffer.prepare(4096), kTuple);
  if (error == asio::error::eof) co_return http::error::end_of_stream;
  if (!error) connection->buffer.commit(size);
  co_return error;
}

Task<beast::error_code> read(ConnectionPtr connection, RequestParser& parser, bool first_request) {
  Stream& stream = connection->stream;
  const ServerOptions& options = connection->serving->options;
  connection->requested = false;
  connection->waiting_since = Clock::now();
  if (const auto error = co_await await_first_byte(connection, first_request)) co_return error;
  stream.expires_after(options.header);
  auto [error, size] = co_await http::async_read_header(stream, connection->buffer, parser, kTuple);
  if (error) co_return error;
  if (beast::iequals(parser.get()[http::field::expect], "100-continue")) {
    http::response<http::empty_body> go_on(http::status::continue_, parser.get().version());
    auto [write_error, written] = co_await http::async_write(stream, go_on, kTuple);
    if (write_error) co_return write_error;
  }
  stream.expires_after(options.idle);
  auto [body_error, body_size] = co_await http::async_read(stream, connection->buffer, parser, kTuple);
  connection->requested = !body_error;
  co_return body_error;
}

template <typename Message>
Task<bool> write(ConnectionPtr connection, Message& message) {
  connection->stream.expires_after(connection->serving->options.idle);
  auto [error, size] = co_await http::async_write(connection->stream, message, kTuple);
  co_return !error && message.keep_alive();
}

Task<bool> send_page(ConnectionPtr connection, const Route& route, unsigned version, bool keep_alive) {
  HttpServing& serving = *connection->serving;
  const auto answered = std::make_shared<Event>(serving.loop);
  const auto result = std::make_shared<std::optional<Result<Pages::Text>>>();
  serving.pages.get(route, *serving.operations, [answered, result](const Result<Pages::Text>& text) {
    *result = text;
    answered->set();
  });
  co_await answered->wait();
  if (serving.operations == nullptr || !*result) co_return false;
  if (!**result) {
    HttpResponse refusal = to_http(error_response((*result)->error()), version, keep_alive);
    co_return co_await write(connection, refusal);
  }
  const Pages::Text text = ***result;
  PageResponse message(http::status::ok, version);
  set_fields(message, std::string(route.page_type), keep_alive);
  message.body() = beast::span<const char>(text->data(), text->size());
  message.prepare_payload();
  co_return co_await write(connection, message);
}

// The reading happens on another thread, and what follows from it here.
Task<Response> answer_apart(ServingPtr serving, std::function<std::function<Response()>()> begin) {
  const auto answered = std::make_shared<Event>(serving->loop);
  const auto response = std::make_shared<Response>();
  Worker::of(serving->loop)
      .apart(
          Worker::Kind::texts,
          [serving, answered, response, begin = std::move(begin)]() -> Worker::Step {
            return [serving, answered, response, finish = begin()] {
              if (serving->operations != nullptr) *response = guarded(finish);
              answered->set();
            };
          },
          [answered, response](const std::string& error) {
            *response = error_response(500, {ErrorKind::unavailable, fmt::format("internal error: {}", error)});
            answered->set();
          });
  co_await answered->wait();
  co_return std::move(*response);
}

Task<bool> answer(ConnectionPtr connection, const RequestParser& parser) {
  ServingPtr serving = connection->serving;
  const auto& message = parser.get();
  const bool keep_alive = message.keep_alive();
  co_await serving->gate.turn();
  if (serving->operations == nullptr) co_return false;
  Response response;
  const Request request{std::string(message.method_string()), std::string(message.target()), message.body()};
  if (serving->access == Access::read_only && request.method == "GET" && !is_own_name(std::string(message[http::field::host]))) {
    response = error_response(421, {ErrorKind::invalid, foreign_host_message()});
  } else if (const Route* route = find_page(request, serving->access)) {
    co_return co_await send_page(connection, *route, message.version(), keep_alive);
  } else if (auto apart = find_apart(request, *serving->operations, serving->access)) {
    response = co_await answer_apart(serving, std::move(apart));
    if (serving->operations == nullptr) co_return false;
  } else {
    response = respond(request, *serving->operations, serving->access);
  }
  HttpResponse out = to_http(std::move(response), message.version(), keep_alive);
  co_return co_await write(connection, out);
}

// Returns whether the connection is good for another request.
Task<bool> serve_one(ConnectionPtr connection, bool first_request) {
  const ServerOptions& options = connection->serving->options;
  RequestParser parser;
  parser.header_limit(options.header_bytes);
  parser.body_limit(options.body_bytes);
  const beast::error_code error = co_await read(connection, parser, first_request);
  if (connection->serving->operations == nullptr) co_return false;
  if (!error) co_return co_await answer(connection, parser);
  auto refusal = bad_request(error, options);
  if (!refusal) co_return false;
  HttpResponse out = to_http(std::move(*refusal), 11, false);
  co_return co_await write(connection, out);
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

// Out of memory, say: this connection ends, and no other.
Task<void> serve(ConnectionPtr connection) {
  try {
    bool more = co_await serve_one(connection, true);
    while (more) more = co_await serve_one(connection, false);
    connection->requested = false;
    beast::error_code ignored;
    connection->stream.socket().shutdown(Protocol::socket::shutdown_send, ignored);
    co_await drain(connection);
  } catch (const std::exception&) {
    connection->stream.close();
  }
}

// The one that has been without a complete request for the longest time; nullptr: all have one.
Connection* idlest(const HttpServing& serving) {
  Connection* found = nullptr;
  for (Connection* connection : serving.connections) {
    if (connection->requested) continue;
    if (found == nullptr || connection->waiting_since < found->waiting_since) found = connection;
  }
  return found;
}

void begin(Protocol::socket socket, const ServingPtr& serving) {
  if (const auto admitted = serving->admit(socket.native_handle()); !admitted) {
    return refuse(socket, admitted.error());
  }
  if (serving->connections.size() >= serving->options.connections) {
    Connection* idle = idlest(*serving);
    if (idle == nullptr) {
      return refuse(socket, {ErrorKind::unavailable, fmt::format("lvsd already serves {} connections; try again",
                                                                 serving->options.connections)});
    }
    serving->connections.erase(idle);
    idle->stream.close();
  }
  auto executor = socket.get_executor();
  auto connection = std::make_shared<Connection>(std::move(socket), serving);
  asio::co_spawn(executor, serve(std::move(connection)), asio::detached);
}

// Gives up the spare descriptor for whoever waits; it is taken again when a connection ends.
std::optional<Protocol::socket> accept_with_spare(HttpServing& serving) {
  serving.release_spare();
  Protocol::socket socket(serving.loop);
  beast::error_code error;
  serving.acceptor.non_blocking(true, error);
  if (!error) serving.acceptor.accept(socket, error);
  if (!error) return socket;
  serving.take_spare();
  return std::nullopt;
}

Task<void> accept(ServingPtr serving) {
  while (serving->operations != nullptr) {
    auto [error, socket] = co_await serving->acceptor.async_accept(kTuple);
    if (serving->operations == nullptr) co_return;
    bool pause = bool(error);
    try {
      if (!error) {
        begin(std::move(socket), serving);
      } else if (auto last = serving->spare >= 0 ? accept_with_spare(*serving) : std::nullopt) {
        begin(std::move(*last), serving);
        pause = false;
      } else {
        serving->take_spare();
      }
    } catch (const std::exception&) {  // out of memory
      pause = true;
    }
    if (!pause) continue;
    asio::steady_timer timer(serving->loop, std::chrono::milliseconds(100));  // let some connection end first
    co_await timer.async_wait(kTuple);
  }
}

}  // namespace

HttpServer::HttpServer(asio::io_context& loop, Acceptor acceptor, Operations& operations, Access access,
                       const ServerOptions& options, Admit admit)
    : serving_(
          std::make_shared<HttpServing>(loop, std::move(acceptor), operations, access, options, std::move(admit))) {
  asio::co_spawn(loop, accept(serving_), asio::detached);
}

HttpServer::~HttpServer() {
  serving_->operations = nullptr;
  beast::error_code ignored;
  serving_->acceptor.close(ignored);
  serving_->gate.open();
  for (Connection* connection : serving_->connections) connection->stream.close();
}

}  // namespace xlvs::control
