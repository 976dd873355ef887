// SPDX-License-Identifier: Apache-2.0
#include "agent/flow_query.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <string_view>

#include <fmt/ranges.h>

namespace xlvs::agent {
namespace {

constexpr std::array<std::string_view, 9> kStates = {"SYN_RECV", "SYN_SENT",   "ESTABLISHED", "FIN_WAIT", "TIME_WAIT",
                                                     "CLOSE",    "CLOSE_WAIT", "LAST_ACK",    "UDP"};

Result<std::string> parse_state(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  if (std::find(kStates.begin(), kStates.end(), text) != kStates.end()) return text;
  return fail(ErrorKind::invalid, "state '{}' is not one of {}", text, fmt::join(kStates, ", "));
}

Result<Protocol> parse_protocol(const std::string& text) {
  for (const Protocol protocol : {Protocol::tcp, Protocol::udp}) {
    if (text == to_string(protocol)) return protocol;
  }
  return fail(ErrorKind::invalid, "protocol '{}' is not tcp or udp", text);
}

Result<std::size_t> parse_limit(const std::string& text) {
  std::size_t limit = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), limit);
  if (error == std::errc() && end == text.data() + text.size() && limit <= kMaxFlows) return limit;
  return fail(ErrorKind::invalid, "limit '{}' is not a number from 0 to {}", text, kMaxFlows);
}

template <typename Target, typename Value>
Result<void> assign(Target& target, Result<Value> value, const std::string& name) {
  if (!value) {
    // The parsers of states, protocols and limits name the parameter themselves.
    if (value.error().message.rfind(name + " ", 0) == 0) return tl::make_unexpected(value.error());
    return tl::make_unexpected(value.error().in(name));
  }
  target = std::move(*value);
  return {};
}

Result<void> apply_parameter(FlowQuery& query, const std::string& name, const std::string& value) {
  if (name == "service") {
    query.filter.service = value;
    return {};
  }
  if (name == "backend") return assign(query.filter.backend, parse_endpoint_or_address(value), name);
  if (name == "client") return assign(query.filter.client, parse_endpoint_or_address(value), name);
  if (name == "state") return assign(query.filter.state, parse_state(value), name);
  if (name == "protocol") return assign(query.filter.protocol, parse_protocol(value), name);
  if (name == "limit") return assign(query.limit, parse_limit(value), name);
  return fail(ErrorKind::invalid, "unknown parameter '{}'; known: service, backend, client, state, protocol, limit",
              name);
}

}  // namespace

Result<Endpoint> parse_endpoint_or_address(const std::string& text) {
  if (const auto address = IpAddress::parse(text)) return Endpoint{*address, 0};
  if (const auto endpoint = Endpoint::parse(text)) return *endpoint;
  return fail(ErrorKind::invalid,
              "'{}' is neither an address (10.0.0.11, 2001:db8::11) nor an address and port "
              "(10.0.0.11:8080, [2001:db8::11]:8080)",
              text);
}

Result<FlowQuery> parse_flow_query(const std::vector<std::pair<std::string, std::string>>& query) {
  FlowQuery parsed;
  for (const auto& [name, value] : query) {
    if (auto result = apply_parameter(parsed, name, value); !result) return tl::make_unexpected(result.error());
  }
  return parsed;
}

}  // namespace xlvs::agent
