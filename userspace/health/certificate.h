// SPDX-License-Identifier: Apache-2.0
// What check types that speak TLS share. Private to health/.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <openssl/types.h>

#include "health/health.h"

namespace xlvs::health {

// Where Debian, Fedora and their kin keep the CAs, in one file: a directory of them would be read for each handshake.
inline constexpr const char* kSystemCaFile = "/etc/ssl/certs/ca-certificates.crt";

struct TlsOptions {
  std::string server_name;  // sent in the handshake and looked for in the certificate; empty: none, the address counts
  bool verify = true;
  std::string ca_file = kSystemCaFile;
  std::int64_t min_days = 0;  // that the certificate must still be valid; 0: not looked at
};

// Of the parameters verify, ca_file, min_days and sni; without sni the server is called `name`.
[[nodiscard]] TlsOptions tls_options(const CheckSpec& spec, std::string name = "");

// When the certificate that the server showed ends; nullopt: it showed none, or one without a sensible end.
[[nodiscard]] std::optional<std::chrono::system_clock::time_point> certificate_end(const SSL* ssl);

// Adds that to the result, and makes a pass a failure when fewer than `min_days` are left.
[[nodiscard]] ProbeResult with_certificate(ProbeResult result, std::optional<std::chrono::system_clock::time_point> end,
                                           std::int64_t min_days);

}  // namespace xlvs::health
