// SPDX-License-Identifier: Apache-2.0
#include "control/routes.h"

#include <algorithm>
#include <exception>
#include <memory>
#include <utility>

#include "control/json.h"
#include "control/process_metrics.h"
#include "control/server.h"
#include "control/status_page.h"
#include "control/uri.h"

namespace xlvs::control {

struct Call {
  Operations& operations;
  const Target& target;
  const std::string& body;
};

namespace {

constexpr std::string_view kMetricsType = "text/plain; version=0.0.4; charset=utf-8";

Response json_response(const Json& json) {
  Response response;
  response.body = dump(json) + "\n";
  return response;
}

template <typename T>
Response result_response(const Result<T>& result) {
  return result ? json_response(*result) : error_response(result.error());
}

// Reads the body as a T and hands it to `run`; a body that is none is a 400.
template <typename T>
Response with_body(const Call& call, const auto& run) {
  const auto json = parse_json(call.body);
  if (!json) return error_response(json.error().in("request body"));
  const auto value = decode<T>(*json);
  if (!value) return error_response(value.error().in("request body"));
  return run(*value);
}

Response change_backend(const Call& call, Result<BackendChangeResult> (Operations::*change)(const BackendChange&)) {
  return with_body<BackendChange>(call, [&](const BackendChange& wanted) {
    if (wanted.address.empty()) {
      return error_response({ErrorKind::invalid, "request body: address: name the backend, like \"10.0.0.11:8080\""});
    }
    return result_response((call.operations.*change)(wanted));
  });
}

Response show_service(const Call& call) {
  const std::string& name = call.target.segments.back();
  const auto services = call.operations.services();
  const auto found = std::find_if(services.begin(), services.end(), [&](const auto& s) { return s.name == name; });
  if (found != services.end()) return json_response(*found);
  return error_response({ErrorKind::not_found, fmt::format("no service is named '{}'", name)});
}

Response check_config(const Call& call) {
  return with_body<ConfigText>(
      call, [&](const ConfigText& text) { return json_response(call.operations.check_config(text)); });
}

Response push_config(const Call& call) {
  return with_body<ConfigPushRequest>(
      call, [&](const ConfigPushRequest& request) { return result_response(call.operations.push_config(request)); });
}

template <typename T>
std::function<std::string()> json_page(T value) {
  return [value = std::make_shared<const T>(std::move(value))] { return dump(Json(*value)) + "\n"; };
}

std::function<std::string()> metrics_page(const Operations& operations) {
  return [status = std::make_shared<const Status>(operations.status()),
          stats = std::make_shared<const StatsReport>(operations.stats())] {
    return render_metrics(*status, *stats) + render_process_metrics();
  };
}

Response show_metrics(const Call& call) {
  Response response;
  response.type = kMetricsType;
  response.body = metrics_page(call.operations)();
  return response;
}

using Apart = std::function<std::function<Response()>()>;

Apart check_apart(const Call& call) {
  static constexpr std::size_t kMaxText = 8U << 20;  // twice what a hundred thousand backends take
  if (call.body.size() > kMaxText) {
    return [] {
      return [] {
        return error_response(413, {ErrorKind::invalid, fmt::format("the configuration exceeds {} bytes", kMaxText)});
      };
    };
  }
  return [&operations = call.operations, body = call.body]() -> std::function<Response()> {
    const auto json = parse_json(body);
    if (!json) return [error = json.error().in("request body")] { return error_response(error); };
    const auto text = decode<ConfigText>(*json);
    if (!text) return [error = text.error().in("request body")] { return error_response(error); };
    return [end = operations.begin_check(*text)()] { return json_response(end()); };
  };
}

Apart diff_apart(const Call& call) {
  return [&operations = call.operations]() -> std::function<Response()> {
    return [end = operations.begin_diff()()] { return json_response(end()); };
  };
}

Apart apply_apart(const Call& call) {
  return [&operations = call.operations]() -> std::function<Response()> {
    return [end = operations.begin_apply()()] { return result_response(end()); };
  };
}

Response show_page(const Call&) {
  Response response;
  response.type = "text/html; charset=utf-8";
  response.body = status_page();
  response.headers = {{"Content-Security-Policy", status_page_policy()}};
  return response;
}

// ---- the table -----------------------------------------------------------------------------------------------------

constexpr auto kSocket = static_cast<unsigned>(Access::control);
constexpr auto kTcp = static_cast<unsigned>(Access::read_only);
constexpr unsigned kBoth = kSocket | kTcp;

constexpr Route kRoutes[] = {
    {"GET", "/v1/version", kBoth, [](const Call& c) { return json_response(c.operations.version()); }},
    {"GET", "/v1/status", kBoth, [](const Call& c) { return json_response(c.operations.status()); },
     [](const Operations& o) { return json_page(o.status()); }},
    {"GET", "/v1/services", kBoth, [](const Call& c) { return json_response(c.operations.services()); },
     [](const Operations& o) { return json_page(o.services()); }},
    {"GET", "/v1/services/*", kBoth, show_service},
    {"GET", "/v1/flows", kSocket, [](const Call& c) { return result_response(c.operations.flows(c.target.query)); }},
    {"GET", "/v1/stats", kSocket, [](const Call& c) { return json_response(c.operations.stats()); },
     [](const Operations& o) { return json_page(o.stats()); }},
    {"POST", "/v1/backends/drain", kSocket, [](const Call& c) { return change_backend(c, &Operations::drain); }},
    {"POST", "/v1/backends/enable", kSocket, [](const Call& c) { return change_backend(c, &Operations::enable); }},
    {"POST", "/v1/backends/disable", kSocket, [](const Call& c) { return change_backend(c, &Operations::disable); }},
    {"POST", "/v1/backends/force", kSocket, [](const Call& c) { return change_backend(c, &Operations::force); }},
    {"POST", "/v1/backends/weight", kSocket, [](const Call& c) { return change_backend(c, &Operations::set_weight); }},
    {"POST", "/v1/config/check", kSocket, check_config, nullptr, {}, check_apart},
    {"GET",
     "/v1/config/diff",
     kSocket,
     [](const Call& c) { return json_response(c.operations.diff_config()); },
     nullptr,
     {},
     diff_apart},
    {"POST",
     "/v1/config/apply",
     kSocket,
     [](const Call& c) { return result_response(c.operations.apply_config()); },
     nullptr,
     {},
     apply_apart},
    {"POST", "/v1/config/push", kSocket, push_config},
    {"GET", "/v1/config/push", kSocket, [](const Call& c) { return json_response(c.operations.config_push()); }},
    {"GET", "/v1/ha", kBoth, [](const Call& c) { return result_response(c.operations.ha()); }},
    {"POST", "/v1/ha/release", kSocket, [](const Call& c) { return result_response(c.operations.release_ha()); }},
    {"POST", "/v1/ha/resume", kSocket, [](const Call& c) { return result_response(c.operations.resume_ha()); }},
    {"GET", "/metrics", kBoth, show_metrics, metrics_page, kMetricsType},
    {"GET", "/", kTcp, show_page},
};

bool matches(std::string_view pattern, const std::vector<std::string>& segments) {
  pattern.remove_prefix(1);
  for (const std::string& segment : segments) {
    if (pattern.empty()) return false;
    const std::size_t end = pattern.find('/');
    if (const auto wanted = pattern.substr(0, end); wanted != "*" && wanted != segment) return false;
    pattern = end == std::string_view::npos ? std::string_view() : pattern.substr(end + 1);
  }
  return pattern.empty();
}

Response no_route(const Request& request, std::string_view allowed) {
  if (allowed.empty()) {
    return error_response({ErrorKind::not_found, fmt::format("nothing is served at {} here", request.target)});
  }
  auto response = error_response(
      405, {ErrorKind::invalid, fmt::format("{} is not possible here, only {}", request.method, allowed)});
  response.headers = {{"Allow", std::string(allowed)}};
  return response;
}

Response dispatch(const Request& request, Operations& operations, Access access) {
  const auto target = parse_target(request.target);
  if (!target) return error_response(target.error());
  std::string allowed;
  for (const Route& route : kRoutes) {
    if ((route.access & static_cast<unsigned>(access)) == 0 || !matches(route.path, target->segments)) continue;
    if (route.method == request.method) return route.answer({operations, *target, request.body});
    allowed += (allowed.empty() ? "" : ", ") + std::string(route.method);
  }
  return no_route(request, allowed);
}

unsigned status_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::invalid:
      return 400;
    case ErrorKind::permission:
      return 403;
    case ErrorKind::not_found:
      return 404;
    case ErrorKind::conflict:
      return 409;
    case ErrorKind::unsupported:
      return 501;
    case ErrorKind::unavailable:
      return 503;
  }
  return 500;
}

}  // namespace

std::span<const Route> routes() {
  return kRoutes;
}

Response error_response(unsigned status, const Error& error) {
  Json detail;
  detail["kind"] = to_string(error.kind);
  detail["message"] = error.message;
  Json json;
  json["error"] = std::move(detail);
  auto response = json_response(json);
  response.status = status;
  return response;
}

Response error_response(const Error& error) {
  return error_response(status_of(error.kind), error);
}

namespace {

const Route* find_route(const Request& request, const Target& target, Access access) {
  for (const Route& route : kRoutes)
    if ((route.access & static_cast<unsigned>(access)) != 0 && route.method == request.method &&
        matches(route.path, target.segments))
      return &route;
  return nullptr;
}

}  // namespace

const Route* find_page(const Request& request, Access access) {
  const auto target = parse_target(request.target);
  const Route* route = target ? find_route(request, *target, access) : nullptr;
  return route != nullptr && route->page != nullptr ? route : nullptr;
}

Apart find_apart(const Request& request, Operations& operations, Access access) {
  const auto target = parse_target(request.target);
  const Route* route = target ? find_route(request, *target, access) : nullptr;
  if (route == nullptr || route->apart == nullptr) return nullptr;
  return route->apart({operations, *target, request.body});
}

Response respond(const Request& request, Operations& operations, Access access) {
  return guarded([&] { return dispatch(request, operations, access); });
}

Response guarded(const std::function<Response()>& answer) {
  try {
    return answer();
  } catch (const std::exception& error) {
    return error_response(500, {ErrorKind::unavailable, fmt::format("internal error: {}", error.what())});
  }
}

}  // namespace xlvs::control
