// SPDX-License-Identifier: Apache-2.0
// Check type "grpc": the health service that gRPC servers have (grpc.health.v1), over HTTP/2 with or without TLS.
#include <charconv>
#include <utility>

#include "core/bytes.h"
#include "health/grpc_message.h"
#include "health/http_prober.h"
#include "health/probers.h"

namespace xlvs::health {
namespace {

constexpr std::uint64_t kServing = 1;

std::string status_name(std::uint64_t status) {
  constexpr const char* kNames[] = {"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"};
  return status < std::size(kNames) ? kNames[status] : fmt::format("status {}", status);
}

class ServingJudge final : public HttpJudge {
 public:
  [[nodiscard]] bool reads_body() const override { return true; }

  [[nodiscard]] std::optional<ProbeResult> judge_status(long status) const override {
    constexpr long kOk = 200;
    if (status == kOk) return std::nullopt;
    return ProbeResult{false, "status", fmt::format("HTTP status {}, expected {}", status, kOk), {}};
  }

  [[nodiscard]] ProbeResult judge(const HttpReply& reply) const override {
    const auto field = [&](const char* name) -> std::string_view {
      const auto found = reply.fields.find(name);
      return found == reply.fields.end() ? std::string_view() : found->second;
    };
    if (!field("content-type").starts_with("application/grpc")) {
      return {false, "protocol", fmt::format("no gRPC: content type {}", quote_bytes(field("content-type"))), {}};
    }
    const std::string_view status = field("grpc-status");
    if (status.empty()) return {false, "protocol", "no gRPC: the reply has no status", {}};
    if (status != "0") {
      return {false,
              "status",
              fmt::format("gRPC status {}, {}", quote_bytes(status), quote_bytes(field("grpc-message"))),
              {}};
    }
    const auto serving = read_grpc_health_reply(reply.body);
    if (!serving) return {false, "protocol", serving.error().message, {}};
    const std::string detail = fmt::format("the server says {}", status_name(*serving));
    if (*serving != kServing) return {false, "down", detail, {}};
    return {true, "ok", detail, {}};
  }
};

}  // namespace

std::unique_ptr<Prober> make_grpc(boost::asio::io_context& loop, const ProbeTarget& target) {
  HttpRequest request;
  request.endpoint = target.endpoint;
  request.mark = target.spec.mark;
  request.path = "/grpc.health.v1.Health/Check";
  request.headers = {{"Content-Type", "application/grpc"}, {"TE", "trailers"}};
  request.http2 = true;
  request.wanted_fields = {"content-type", "grpc-status", "grpc-message"};
  if (const auto* host = parameter<std::string>(target.spec, "host")) request.host = *host;
  const auto* service = parameter<std::string>(target.spec, "service");
  request.body = make_grpc_health_request(service != nullptr ? *service : "");
  const auto* tls = parameter<bool>(target.spec, "tls");
  if (tls != nullptr && *tls) request.tls = tls_options(target.spec, server_name(request.host));
  return make_http_prober(loop, request, std::make_unique<ServingJudge>());
}

}  // namespace xlvs::health
