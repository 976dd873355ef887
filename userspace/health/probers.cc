// SPDX-License-Identifier: Apache-2.0
#include "health/probers.h"

#include <cerrno>
#include <cstring>

namespace xlvs::health {

std::span<const ProberType> prober_types() {
  static constexpr ProberType kTypes[] = {
      {"none", nullptr},
      {"tcp", make_tcp},
      {"http", make_http},
      {"https", make_https},
  };
  return kTypes;
}

ProbeResult connect_failure(int error_number) {
  ProbeResult result;
  result.detail = fmt::format("connect: {}", std::strerror(error_number));
  switch (error_number) {
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
    case EACCES:  // a "prohibit" route, or a local firewall
      result.reason = "unreachable";
      break;
    default:
      result.reason = "error";
  }
  return result;
}

}  // namespace xlvs::health
