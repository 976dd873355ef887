// SPDX-License-Identifier: Apache-2.0
// A synchronous client of the control socket, as lvsctl uses it. One request per call; any thread.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "control/json.h"
#include "control/uri.h"
#include "core/result.h"

namespace xlvs::control {

struct CallError : Error {
  bool answered = false;  // lvsd said so; otherwise no usable answer came
};
using Answer = tl::expected<Json, CallError>;

class Client {
 public:
  // `timeout` is for a whole call.
  explicit Client(std::string socket_path, std::chrono::milliseconds timeout = std::chrono::seconds(10));

  // The JSON body of a 2xx answer. Errors carry lvsd's kind and message; `unavailable` with a hint when nobody listens,
  // `permission` when the socket may not be opened.
  [[nodiscard]] Answer get(const std::string& target) const;
  [[nodiscard]] Answer post(const std::string& target, const Json& body) const;

 private:
  std::string path_;
  std::chrono::milliseconds timeout_;
};

// Percent-encodes and joins: "/v1/flows?service=web".
[[nodiscard]] std::string with_query(std::string_view path, const Query& query);

}  // namespace xlvs::control
