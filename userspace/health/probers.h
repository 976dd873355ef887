// SPDX-License-Identifier: Apache-2.0
// The check types' probers, one file each; the table is in probers.cc. Private to health/.
#pragma once

#include <memory>

#include "core/regex.h"
#include "health/health.h"

namespace xlvs::health {

std::unique_ptr<Prober> make_tcp(boost::asio::io_context& loop, const ProbeTarget& target);
std::unique_ptr<Prober> make_http(boost::asio::io_context& loop, const ProbeTarget& target);
std::unique_ptr<Prober> make_https(boost::asio::io_context& loop, const ProbeTarget& target);
std::unique_ptr<Prober> make_send_expect(boost::asio::io_context& loop, const ProbeTarget& target);
std::unique_ptr<Prober> make_udp(boost::asio::io_context& loop, const ProbeTarget& target);
std::unique_ptr<Prober> make_dns(boost::asio::io_context& loop, const ProbeTarget& target);
std::unique_ptr<Prober> make_tls(boost::asio::io_context& loop, const ProbeTarget& target);
std::unique_ptr<Prober> make_icmp(boost::asio::io_context& loop, const ProbeTarget& target);
std::unique_ptr<Prober> make_grpc(boost::asio::io_context& loop, const ProbeTarget& target);
std::unique_ptr<Prober> make_agent(boost::asio::io_context& loop, const ProbeTarget& target);
std::unique_ptr<Prober> make_exec(boost::asio::io_context& loop, const ProbeTarget& target);

// Where a prober connects to, and how.
struct Destination {
  Endpoint endpoint;
  std::uint32_t mark = 0;  // not 0: the data plane takes these packets to a VIP there
};
[[nodiscard]] Destination destination(const ProbeTarget& target);

// Before the socket is connected. False: errno says why, and the check must not go on: it would go elsewhere.
[[nodiscard]] bool prepare_socket(int socket, Family family, std::uint32_t mark);

// Why a connection could not be made, from the errno value that connect() gave; no result when it is this router that
// lacks something.
[[nodiscard]] ProbeResult connect_failure(int error_number);
// The same of a datagram: a local firewall forbids it (EPERM).
[[nodiscard]] ProbeResult send_failure(int error_number);
[[nodiscard]] ProbeResult lack_of_resources(std::string detail);
// What comes of a probe when the time is up, if the loop was too late to say more.
[[nodiscard]] ProbeResult too_late();

// A parameter of the check, nullptr when it is absent.
template <typename T>
const T* parameter(const CheckSpec& spec, const std::string& name) {
  const auto found = spec.params.find(name);
  return found == spec.params.end() ? nullptr : std::get_if<T>(&found->second);
}

// Of kind bytes, without its escapes; "" when it is absent.
[[nodiscard]] std::string bytes_parameter(const CheckSpec& spec, const std::string& name);
// Of kind regex, compiled.
[[nodiscard]] std::optional<Regex> regex_parameter(const CheckSpec& spec, const std::string& name);

}  // namespace xlvs::health
