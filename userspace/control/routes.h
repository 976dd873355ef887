// SPDX-License-Identifier: Apache-2.0
// From a request to its answer, without a socket: the table of endpoints. docs/api.md describes them for people.
// Thread rule: the event loop's thread, as Operations.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "control/api.h"

namespace xlvs::control {

struct Request {
  std::string method, target, body;
};

struct Response {
  unsigned status = 200;
  std::string type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;  // beyond what every response has
};

enum class Access : unsigned {
  control = 1,    // the UNIX socket: peers that may change things
  read_only = 2,  // TCP: whoever can connect
};

// Always answers; an Operations that throws is a 500 and not the end of the daemon.
[[nodiscard]] Response respond(const Request& request, Operations& operations, Access access);

// {"error": {"kind": ..., "message": ...}} with the given status, or with the one that goes with the kind.
[[nodiscard]] Response error_response(unsigned status, const Error& error);
[[nodiscard]] Response error_response(const Error& error);

struct Call;  // one request on its way, see routes.cc

struct Route {
  std::string_view method, path;  // a segment "*" of the path matches any one segment
  unsigned access;                // Access values, or-ed
  Response (*answer)(const Call& call);
};
[[nodiscard]] std::span<const Route> routes();

}  // namespace xlvs::control
