// SPDX-License-Identifier: Apache-2.0
// Check type "tls": a TLS handshake succeeds and the certificate is valid; nothing is said over the connection. What
// the server may send for that is bounded by OpenSSL: 100 KiB of certificates.
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "health/certificate.h"
#include "health/conversation.h"
#include "health/probers.h"
#include "health/tls_contexts.h"

namespace xlvs::health {
namespace {

namespace ssl = boost::asio::ssl;

struct Plan {
  Destination to;
  TlsOptions tls;
};
using PlanPtr = std::shared_ptr<const Plan>;

// Whom the certificate must be for; false: out of memory, or no name of a host.
bool set_peer(SSL* handle, const Plan& plan) {
  std::string name = plan.tls.server_name;
  // SSL_set_tlsext_host_name(3) without its cast; OpenSSL copies the name.
  if (!name.empty() && SSL_ctrl(handle, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name.data()) != 1) {
    return false;
  }
  SSL_set_verify(handle, plan.tls.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  if (!plan.tls.verify) return true;
  X509_VERIFY_PARAM* parameters = SSL_get0_param(handle);
  if (!name.empty()) return X509_VERIFY_PARAM_set1_host(parameters, name.c_str(), name.size()) == 1;
  return X509_VERIFY_PARAM_set1_ip_asc(parameters, plan.to.endpoint.address.to_string().c_str()) == 1;
}

ProbeResult handshake_failure(const SSL* handle, bool verify, const boost::system::error_code& error) {
  const long verified = SSL_get_verify_result(handle);
  if (verify && verified != X509_V_OK) {
    return {false, "certificate", fmt::format("the certificate: {}", X509_verify_cert_error_string(verified)), {}};
  }
  return {false, "tls", fmt::format("TLS handshake: {}", error.message()), {}};
}

awaitable<ProbeResult> ask(boost::asio::io_context& loop, PlanPtr plan, Progress& progress) {
  const auto context = TlsContexts::of(loop).trusting(plan->tls.verify ? plan->tls.ca_file : "");
  if (!context) co_return ProbeResult{false, "error", context.error().message, {}};
  const auto kept = *context;  // until the stream is gone
  ssl::stream<tcp::socket> stream(loop, *kept);
  if (!set_peer(stream.native_handle(), *plan)) {
    co_return ProbeResult{false, "error", fmt::format("OpenSSL refuses the name {}", plan->tls.server_name), {}};
  }
  if (auto failure = co_await connect(stream.next_layer(), plan->to)) co_return *failure;
  progress.missing = "connected, but no TLS handshake";
  const auto [error] =
      co_await stream.async_handshake(ssl::stream_base::client, boost::asio::as_tuple(boost::asio::use_awaitable));
  if (error) co_return handshake_failure(stream.native_handle(), plan->tls.verify, error);
  co_return with_certificate({true, "ok", SSL_get_version(stream.native_handle()), {}},
                             certificate_end(stream.native_handle()), plan->tls.min_days);
}

}  // namespace

std::unique_ptr<Prober> make_tls(boost::asio::io_context& loop, const ProbeTarget& target) {
  auto plan = std::make_shared<const Plan>(Plan{destination(target), tls_options(target.spec)});
  return make_conversation(loop, [plan](auto& io, Progress& progress) { return ask(io, plan, progress); });
}

}  // namespace xlvs::health
