// SPDX-License-Identifier: Apache-2.0
#include "health/certificate.h"

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <utility>

#include "health/probers.h"

namespace xlvs::health {

TlsOptions tls_options(const CheckSpec& spec, std::string name) {
  TlsOptions tls;
  const auto* sni = parameter<std::string>(spec, "sni");
  tls.server_name = sni != nullptr ? *sni : std::move(name);
  if (const auto* verify = parameter<bool>(spec, "verify")) tls.verify = *verify;
  if (const auto* file = parameter<std::string>(spec, "ca_file")) tls.ca_file = *file;
  if (const auto* days = parameter<std::int64_t>(spec, "min_days")) tls.min_days = *days;
  return tls;
}

std::optional<std::chrono::system_clock::time_point> certificate_end(const SSL* ssl) {
  const X509* certificate = SSL_get0_peer_certificate(ssl);
  if (certificate == nullptr) return std::nullopt;
  std::tm time{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &time) != 1) return std::nullopt;
  return std::chrono::system_clock::from_time_t(timegm(&time));
}

ProbeResult with_certificate(ProbeResult result, std::optional<std::chrono::system_clock::time_point> end,
                             std::int64_t min_days) {
  result.certificate_end = end;
  if (!result.passed || min_days == 0) return result;
  if (!end) return {false, "certificate", "the server showed no certificate with an end", result.latency};
  constexpr std::int64_t kSecondsOfDay = 86'400;
  const std::int64_t left =
      std::chrono::duration_cast<std::chrono::seconds>(*end - std::chrono::system_clock::now()).count();
  if (left >= min_days * kSecondsOfDay) return result;
  result.passed = false;
  result.reason = "certificate";
  result.detail = left < 0 ? "the certificate has expired"
                           : fmt::format("the certificate is valid for {} more days, fewer than {}",
                                         left / kSecondsOfDay, min_days);
  return result;
}

}  // namespace xlvs::health
