// SPDX-License-Identifier: Apache-2.0
// What check types "http", "https" and "grpc" share. Private to health/.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "health/certificate.h"
#include "health/health.h"

namespace xlvs::health {

inline constexpr std::size_t kMaxHeaders = 64U << 10;
inline constexpr std::size_t kMaxBody = 1U << 20;

struct HttpRequest {
  Endpoint endpoint;
  std::uint32_t mark = 0;  // as Destination::mark
  std::string method = "GET";
  std::string path = "/";
  std::string host;                            // empty: the name of TLS, else the address and port
  std::map<std::string, std::string> headers;  // further ones
  std::optional<std::string> body;             // makes it a POST
  bool http2 = false;                          // by ALPN with TLS, else with prior knowledge; nothing else will do
  std::optional<TlsOptions> tls;
  std::vector<std::string> wanted_fields;  // of the reply's headers and trailers, in lower case
};

struct HttpReply {
  long status = 0;
  std::string body;                           // its first kMaxBody bytes; empty when nobody reads it
  std::size_t body_bytes = 0;                 // read
  std::map<std::string, std::string> fields;  // those wanted that were there

  [[nodiscard]] bool cut() const { return body_bytes >= kMaxBody; }  // there may be more
};

// What a reply is worth.
class HttpJudge {
 public:
  virtual ~HttpJudge() = default;
  [[nodiscard]] virtual bool reads_body() const = 0;
  // A status that is not wanted decides, whatever becomes of the body: the result, or nullopt to read on.
  [[nodiscard]] virtual std::optional<ProbeResult> judge_status(long status) const = 0;
  // Of a reply that is complete, or has been read up to kMaxBody.
  [[nodiscard]] virtual ProbeResult judge(const HttpReply& reply) const = 0;
};

// One request on a fresh connection, to the literal address, whatever names it mentions; redirects are an answer like
// any other. The whole reply has to come within the timeout, but is read up to kMaxBody only.
std::unique_ptr<Prober> make_http_prober(boost::asio::io_context& loop, const HttpRequest& request,
                                         std::unique_ptr<const HttpJudge> judge);

// Of a check "http" or "https" with these parameters.
std::unique_ptr<Prober> make_http_check(boost::asio::io_context& loop, const ProbeTarget& target,
                                        std::optional<TlsOptions> tls);

// "www.example.com:8443" -> "www.example.com". An address literal is not a server name: "".
[[nodiscard]] std::string server_name(const std::string& host);

}  // namespace xlvs::health
