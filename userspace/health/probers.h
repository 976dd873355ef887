// SPDX-License-Identifier: Apache-2.0
// The check types' probers, one file each; the table is in probers.cc. Private to health/.
#pragma once

#include <memory>

#include "health/health.h"

namespace xlvs::health {

std::unique_ptr<Prober> make_tcp(boost::asio::io_context& loop, const ProbeTarget& target);
std::unique_ptr<Prober> make_http(boost::asio::io_context& loop, const ProbeTarget& target);
std::unique_ptr<Prober> make_https(boost::asio::io_context& loop, const ProbeTarget& target);

// Why a connection could not be made, from the errno value that connect() gave.
[[nodiscard]] ProbeResult connect_failure(int error_number);

// A parameter of the check, nullptr when it is absent.
template <typename T>
const T* parameter(const CheckSpec& spec, const std::string& name) {
  const auto found = spec.params.find(name);
  return found == spec.params.end() ? nullptr : std::get_if<T>(&found->second);
}

}  // namespace xlvs::health
