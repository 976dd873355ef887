// SPDX-License-Identifier: Apache-2.0
// From a request to its answer, without a socket: the table of endpoints. docs/api.md describes them for people.
// Thread rule: the event loop's thread, as Operations.
#pragma once

#include <functional>
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
  // Large answers of status 200: takes the values, and returns what makes the text of them, on any thread.
  std::function<std::string()> (*page)(const Operations& operations) = nullptr;
  std::string_view page_type = "application/json";
  // Answers that take long to find: what may be run on any thread, and returns what finds the rest here.
  std::function<std::function<Response()>()> (*apart)(const Call& call) = nullptr;
};
[[nodiscard]] std::span<const Route> routes();
// The route of this request, if it has a page; and the work to be done apart, if it has some.
[[nodiscard]] const Route* find_page(const Request& request, Access access);
[[nodiscard]] std::function<std::function<Response()>()> find_apart(const Request& request, Operations& operations,
                                                                    Access access);
// What `answer` says; an exception is a 500.
[[nodiscard]] Response guarded(const std::function<Response()>& answer);

}  // namespace xlvs::control
