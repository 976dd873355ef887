// SPDX-License-Identifier: Apache-2.0
#include "control/http_server.h"

namespace xlvs::control {

namespace http = boost::beast::http;

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

std::optional<Response> bad_request(const boost::beast::error_code& error, const ServerOptions& options) {
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

}  // namespace xlvs::control
