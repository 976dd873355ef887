// SPDX-License-Identifier: Apache-2.0
#include "control/client.h"

#include <cerrno>
#include <optional>
#include <utility>

#include <grp.h>
#include <sys/stat.h>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

namespace xlvs::control {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using Local = asio::local::stream_protocol;
using Stream = boost::beast::basic_stream<Local>;
using boost::beast::error_code;

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kLongestPath = sizeof(sockaddr_un::sun_path) - 1;

enum class Stage { connect, exchange, done };

struct Exchange {
  http::request<http::string_body> request;
  http::response_parser<http::string_body> response;
  Stage stage = Stage::connect;
  error_code error;
};

asio::awaitable<void> run(Stream& stream, const std::string& path, Exchange& exchange) {
  const Local::endpoint endpoint(path);
  auto [connect_error] = co_await stream.async_connect(endpoint, kTuple);
  exchange.error = connect_error;
  if (exchange.error) co_return;
  exchange.stage = Stage::exchange;
  // A server that refuses (too busy, too large) answers and closes without reading on: the answer tells more than
  // EPIPE.
  auto [write_error, written] = co_await http::async_write(stream, exchange.request, kTuple);
  const bool closed = write_error == asio::error::broken_pipe || write_error == asio::error::connection_reset;
  exchange.error = write_error;
  if (write_error && !closed) co_return;
  boost::beast::flat_buffer buffer;
  auto [read_error, size] = co_await http::async_read(stream, buffer, exchange.response, kTuple);
  exchange.error = read_error;
  if (!read_error) exchange.stage = Stage::done;
}

CallError failure(ErrorKind kind, std::string message) {
  CallError error;
  error.kind = kind;
  error.message = std::move(message);
  return error;
}

std::string group_hint(const std::string& path) {
  struct stat file{};
  if (stat(path.c_str(), &file) != 0 || file.st_gid == 0) return "run lvsctl as root";
  const group* entry = getgrgid(file.st_gid);
  return fmt::format("run lvsctl as root or join group {}", entry != nullptr ? entry->gr_name : "of the socket");
}

CallError connect_failure(const std::string& path, const error_code& error) {
  if (error == asio::error::access_denied) {
    return failure(ErrorKind::permission, fmt::format("no permission to open {}; {}", path, group_hint(path)));
  }
  if (error == boost::system::errc::no_such_file_or_directory || error == asio::error::connection_refused) {
    return failure(ErrorKind::unavailable,
                   fmt::format("lvsd is not running: nobody listens on {} (see `systemctl status lvsd`; another "
                               "instance is named with --instance or --socket)",
                               path));
  }
  return failure(ErrorKind::unavailable, fmt::format("can not connect to lvsd on {}: {}", path, error.message()));
}

CallError exchange_failure(const std::string& path, const Exchange& exchange, std::chrono::milliseconds timeout) {
  if (exchange.error == boost::beast::error::timeout) {
    return failure(
        ErrorKind::unavailable,
        fmt::format("lvsd did not answer on {} within {:.1f} s; it may be stuck (see `systemctl status lvsd`)", path,
                    std::chrono::duration<double>(timeout).count()));
  }
  if (exchange.stage == Stage::connect) return connect_failure(path, exchange.error);
  return failure(ErrorKind::unavailable,
                 fmt::format("lvsd on {} broke the connection off: {}", path, exchange.error.message()));
}

Answer interpret(const http::response<http::string_body>& response, const std::string& path) {
  auto body = parse_json(response.body());
  if (!body) {
    return tl::make_unexpected(
        failure(ErrorKind::unavailable, fmt::format("what answers on {} is not lvsd: {}", path, body.error().message)));
  }
  if (http::to_status_class(response.result()) == http::status_class::successful) return std::move(*body);
  CallError error = failure(ErrorKind::unavailable, fmt::format("lvsd answered {}", response.result_int()));
  error.answered = true;
  if (const auto found = body->find("error"); found != body->end() && found->is_object()) {
    if (const auto kind = parse_error_kind(found->value("kind", ""))) error.kind = *kind;
    error.message = found->value("message", error.message);
  }
  return tl::make_unexpected(std::move(error));
}

Answer call(const std::string& path, std::chrono::milliseconds timeout, http::request<http::string_body> request) {
  if (path.size() > kLongestPath) {
    return tl::make_unexpected(
        failure(ErrorKind::invalid, fmt::format("socket path {} is longer than {} characters", path, kLongestPath)));
  }
  request.set(http::field::host, "lvsd");
  request.keep_alive(false);
  request.prepare_payload();
  Exchange exchange;
  exchange.request = std::move(request);
  exchange.response.body_limit(boost::none);
  asio::io_context loop(1);
  Stream stream(loop);
  stream.expires_after(timeout);
  asio::co_spawn(loop, run(stream, path, exchange), asio::detached);
  loop.run();
  if (exchange.stage != Stage::done) return tl::make_unexpected(exchange_failure(path, exchange, timeout));
  return interpret(exchange.response.get(), path);
}

}  // namespace

Client::Client(std::string socket_path, std::chrono::milliseconds timeout)
    : path_(std::move(socket_path)), timeout_(timeout) {}

Answer Client::get(const std::string& target) const {
  return call(path_, timeout_, http::request<http::string_body>(http::verb::get, target, 11));
}

Answer Client::post(const std::string& target, const Json& body) const {
  http::request<http::string_body> request(http::verb::post, target, 11);
  request.set(http::field::content_type, "application/json");
  request.body() = dump(body);
  return call(path_, timeout_, std::move(request));
}

std::string with_query(std::string_view path, const Query& query) {
  std::string target(path);
  char separator = '?';
  for (const auto& [name, value] : query) {
    target += separator + percent_encode(name) + "=" + percent_encode(value);
    separator = '&';
  }
  return target;
}

}  // namespace xlvs::control
