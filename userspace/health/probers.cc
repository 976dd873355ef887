// SPDX-License-Identifier: Apache-2.0
#include "health/probers.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "core/bytes.h"

namespace xlvs::health {

std::span<const ProberType> prober_types() {
  static constexpr ProberType kTypes[] = {
      {"none", nullptr},     {"tcp", make_tcp},     {"http", make_http},
      {"https", make_https}, {"tls", make_tls},     {"send_expect", make_send_expect},
      {"udp", make_udp},     {"dns", make_dns},     {"icmp", make_icmp},
      {"grpc", make_grpc},   {"agent", make_agent}, {"exec", make_exec},
  };
  return kTypes;
}

Destination destination(const ProbeTarget& target) {
  return {target.endpoint, target.spec.mark};
}

// What is for a VIP must not go further than the backend: one that lost the VIP might send it back to the router, which
// would find it another backend, and that one would answer.
bool prepare_socket(int socket, Family family, std::uint32_t mark) {
  if (mark == 0) return true;
  constexpr int kOneHop = 1;
  if (::setsockopt(socket, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) != 0) return false;
  return family == Family::ipv4 ? ::setsockopt(socket, IPPROTO_IP, IP_TTL, &kOneHop, sizeof(kOneHop)) == 0
                                : ::setsockopt(socket, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &kOneHop, sizeof(kOneHop)) == 0;
}

ProbeResult lack_of_resources(std::string detail) {
  ProbeResult result{false, "resources", std::move(detail), {}};
  result.no_result = true;
  return result;
}

ProbeResult too_late() {
  ProbeResult result{false, "late", "lvsd itself was too busy to know", {}};
  result.no_result = true;
  return result;
}

ProbeResult send_failure(int error_number) {
  const std::string detail = fmt::format("send: {}", std::strerror(error_number));
  if (error_number == EPERM) return lack_of_resources(detail + ", by a local firewall?");
  ProbeResult result = connect_failure(error_number);
  result.detail = detail;
  return result;
}

ProbeResult connect_failure(int error_number) {
  ProbeResult result;
  result.detail = fmt::format("connect: {}", std::strerror(error_number));
  switch (error_number) {
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
    case EADDRNOTAVAIL:  // no port is left
    case EAGAIN:         // the same, of a UDP socket
    case EPERM:          // a local firewall, or no CAP_NET_ADMIN for a mark
      return lack_of_resources(std::move(result.detail));
    case ECONNREFUSED:
      result.reason = "refused";
      break;
    case ETIMEDOUT:
      result.reason = "timeout";
      break;
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
    case ENETDOWN:
    case EACCES:  // a "prohibit" route
      result.reason = "unreachable";
      break;
    default:
      result.reason = "error";
  }
  return result;
}

std::string bytes_parameter(const CheckSpec& spec, const std::string& name) {
  const auto* text = parameter<std::string>(spec, name);
  if (text == nullptr) return "";
  auto bytes = unescape(*text);
  if (!bytes) std::abort();  // config/ accepts only what can be read
  return *std::move(bytes);
}

std::optional<Regex> regex_parameter(const CheckSpec& spec, const std::string& name) {
  const auto* pattern = parameter<std::string>(spec, name);
  if (pattern == nullptr) return std::nullopt;
  auto regex = Regex::compile(*pattern);
  if (!regex) std::abort();
  return *std::move(regex);
}

}  // namespace xlvs::health
