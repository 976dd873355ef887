// SPDX-License-Identifier: Apache-2.0
// A synchronous client of the control socket, as lvsctl uses it. One request per call; any thread.
#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "core/result.h"

namespace xlvs::control {

class Client {
 public:
  explicit Client(std::string socket_path, std::chrono::seconds timeout = std::chrono::seconds(10));

  // The JSON body of a 2xx answer. Errors carry lvsd's kind and message; `unavailable` with a hint when nobody listens,
  // `permission` when the socket may not be opened.
  [[nodiscard]] Result<nlohmann::json> get(const std::string& target) const;
  [[nodiscard]] Result<nlohmann::json> post(const std::string& target, const nlohmann::json& body) const;

 private:
  std::string path_;
  std::chrono::seconds timeout_;
};

// Percent-encodes and joins: "/v1/flows?service=web".
[[nodiscard]] std::string with_query(std::string_view path, const std::vector<std::pair<std::string, std::string>>& query);

}  // namespace xlvs::control
