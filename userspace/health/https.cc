// SPDX-License-Identifier: Apache-2.0
// Check type "https": "http" over TLS. The server is called by `sni`, else by `host`, else by its address.
#include "health/http_prober.h"
#include "health/probers.h"

namespace xlvs::health {

std::string server_name(const std::string& host) {
  if (Endpoint::parse(host) || IpAddress::parse(host) || host.starts_with('[')) return "";
  return host.substr(0, host.find(':'));
}

std::unique_ptr<Prober> make_https(boost::asio::io_context& loop, const ProbeTarget& target) {
  const auto* host = parameter<std::string>(target.spec, "host");
  return make_http_check(loop, target, tls_options(target.spec, host != nullptr ? server_name(*host) : ""));
}

}  // namespace xlvs::health
