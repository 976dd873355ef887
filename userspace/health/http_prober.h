// SPDX-License-Identifier: Apache-2.0
// What check types "http" and "https" share. Private to health/.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "health/health.h"

namespace xlvs::health {

struct TlsOptions {
  std::string server_name;  // sent in the handshake and looked for in the certificate; empty: none, the address counts
  bool verify = true;
  std::string ca_file;  // empty: the system's
};

// One request on a fresh connection, to the target's literal address, whatever names it mentions; redirects are an
// answer like any other. The whole reply has to come within the timeout, but is read up to kMaxBody only.
std::unique_ptr<Prober> make_http_prober(boost::asio::io_context& loop, const ProbeTarget& target,
                                         const std::optional<TlsOptions>& tls);

inline constexpr std::size_t kMaxHeaders = 64U << 10;
inline constexpr std::size_t kMaxBody = 1U << 20;

}  // namespace xlvs::health
