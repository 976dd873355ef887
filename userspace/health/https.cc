// SPDX-License-Identifier: Apache-2.0
// Check type "https": "http" over TLS. The server is called by `sni`, else by `host`, else by its address.
#include "health/http_prober.h"
#include "health/probers.h"

namespace xlvs::health {
namespace {

// "www.example.com:8443" -> "www.example.com". An address literal is not a server name.
std::string name_of(const std::string& host) {
  if (Endpoint::parse(host) || IpAddress::parse(host) || host.starts_with('[')) return "";
  return host.substr(0, host.find(':'));
}

}  // namespace

std::unique_ptr<Prober> make_https(boost::asio::io_context& loop, const ProbeTarget& target) {
  TlsOptions tls;
  if (const auto* sni = parameter<std::string>(target.spec, "sni")) {
    tls.server_name = *sni;
  } else if (const auto* host = parameter<std::string>(target.spec, "host")) {
    tls.server_name = name_of(*host);
  }
  if (const auto* verify = parameter<bool>(target.spec, "verify")) tls.verify = *verify;
  if (const auto* file = parameter<std::string>(target.spec, "ca_file")) tls.ca_file = *file;
  return make_http_prober(loop, target, tls);
}

}  // namespace xlvs::health
