// SPDX-License-Identifier: Apache-2.0
#include "core/check_type.h"

namespace xlvs {
namespace {

std::vector<CheckParam> http_params() {
  return {
      {.name = "path", .kind = CheckParamKind::text, .default_value = "/", .summary = "what is requested"},
      {.name = "method",
       .kind = CheckParamKind::text,
       .default_value = "GET",
       .summary = "the request's method",
       .choices = {"GET", "HEAD"}},
      {.name = "host",
       .kind = CheckParamKind::text,
       .default_value = std::nullopt,
       .summary = "the Host header; without it the backend's address and port"},
      {.name = "headers",
       .kind = CheckParamKind::text_map,
       .default_value = std::nullopt,
       .summary = "further request headers, name: value"},
      {.name = "status",
       .kind = CheckParamKind::status_ranges,
       .default_value = std::vector<StatusRange>{{200, 299}},
       .summary = "status codes that pass: 200, \"200-399\" or a list of these"},
      {.name = "body",
       .kind = CheckParamKind::text,
       .default_value = std::nullopt,
       .summary = "text that the reply's body must contain"},
  };
}

std::vector<CheckParam> https_params() {
  std::vector<CheckParam> params = http_params();
  params.push_back({.name = "sni",
                    .kind = CheckParamKind::text,
                    .default_value = std::nullopt,
                    .summary = "the server name sent in the TLS handshake and looked for in the certificate"});
  params.push_back({.name = "verify",
                    .kind = CheckParamKind::boolean,
                    .default_value = true,
                    .summary = "whether the certificate must be valid"});
  params.push_back({.name = "ca_file",
                    .kind = CheckParamKind::text,
                    .default_value = std::nullopt,
                    .summary = "PEM file of the CAs to trust; without it the system's"});
  return params;
}

}  // namespace

std::span<const CheckType> check_types() {
  static const std::vector<CheckType> types{
      {"none", "no check: the backend is always up", {}},
      {"tcp", "a TCP connection is established", {}},
      {"http", "an HTTP request is answered with the expected status and body", http_params()},
      {"https", "the same over TLS", https_params()},
  };
  return types;
}

const CheckType* find_check_type(std::string_view name) {
  for (const CheckType& type : check_types())
    if (type.name == name) return &type;
  return nullptr;
}

}  // namespace xlvs
