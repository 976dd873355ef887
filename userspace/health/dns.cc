// SPDX-License-Identifier: Apache-2.0
// Check type "dns": a query by UDP, and by TCP when the reply did not fit; or by TCP at once.
#include <array>
#include <random>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "health/conversation.h"
#include "health/dns_message.h"
#include "health/probers.h"

namespace xlvs::health {
namespace {

struct Plan {
  Destination to;
  DnsExpectation expected;
  bool tcp_only = false;
};
using PlanPtr = std::shared_ptr<const Plan>;

std::uint16_t random_id() {
  static std::random_device random;
  return static_cast<std::uint16_t>(random());
}

// Reads until `wanted` bytes are there; the failure otherwise.
awaitable<std::optional<ProbeResult>> fill(tcp::socket& socket, std::string& bytes, std::size_t wanted) {
  Buffer buffer;
  while (bytes.size() < wanted) {
    const Received received = co_await receive(socket, buffer);
    if (received.failure) co_return received.failure;
    if (received.closed) {
      co_return ProbeResult{false, "closed", "the server closed the connection before its reply was complete", {}};
    }
    bytes += received.bytes;
  }
  co_return std::nullopt;
}

// RFC 1035, 4.2.2: each message comes after its length.
awaitable<ProbeResult> over_tcp(boost::asio::io_context& loop, PlanPtr plan, Progress& progress) {
  progress.missing = "no TCP connection";
  tcp::socket socket(loop);
  if (auto failure = co_await connect(socket, plan->to)) co_return *failure;
  progress.missing = "connected, but no complete reply";
  const std::uint16_t id = random_id();
  const std::string query = make_dns_query(plan->expected, id);
  const std::string framed{static_cast<char>(query.size() >> 8), static_cast<char>(query.size() & 0xff)};
  const std::string request = framed + query;
  if (auto failure = co_await send(socket, request)) co_return *failure;
  constexpr std::size_t kLength = 2;
  std::string reply;
  if (auto failure = co_await fill(socket, reply, kLength)) co_return *failure;
  const auto byte = [&](std::size_t i) { return std::size_t{static_cast<unsigned char>(reply[i])}; };
  const std::size_t length = byte(0) << 8 | byte(1);
  if (length > kMaxDnsReply) {
    co_return ProbeResult{false, "too_large", fmt::format("a reply of {} bytes", length), {}};
  }
  if (auto failure = co_await fill(socket, reply, kLength + length)) co_return *failure;
  const auto verdict = read_dns_reply(std::string_view(reply).substr(kLength, length), plan->expected, id);
  if (verdict.kind == DnsVerdict::Kind::judged) co_return verdict.result;
  co_return ProbeResult{false, "protocol", "a reply to another query, or truncated in spite of TCP", {}};
}

awaitable<ProbeResult> over_udp(boost::asio::io_context& loop, PlanPtr plan, Progress& progress) {
  udp::socket socket(loop);
  if (auto failure = connect(socket, plan->to)) co_return *failure;
  progress.missing = "no reply";
  const std::uint16_t id = random_id();
  const std::string query = make_dns_query(plan->expected, id);
  if (auto failure = co_await send(socket, query)) co_return *failure;
  Buffer buffer;
  for (;;) {
    const Received received = co_await receive(socket, buffer);
    if (received.failure) co_return *received.failure;
    const auto verdict = read_dns_reply(received.bytes, plan->expected, id);
    if (verdict.kind == DnsVerdict::Kind::judged) co_return verdict.result;
    if (verdict.kind == DnsVerdict::Kind::truncated) co_return co_await over_tcp(loop, plan, progress);
  }
}

}  // namespace

std::unique_ptr<Prober> make_dns(boost::asio::io_context& loop, const ProbeTarget& target) {
  auto plan = std::make_shared<Plan>();
  plan->to = destination(target);
  const auto text = [&](const char* name, std::string& to) {
    if (const auto* value = parameter<std::string>(target.spec, name)) to = *value;
  };
  text("query", plan->expected.query);
  text("record", plan->expected.record);
  text("rcode", plan->expected.rcode);
  std::string answer = "any";
  text("answer", answer);
  plan->expected.answered = answer != "none";
  if (const auto address = IpAddress::parse(answer)) plan->expected.address = *address;
  if (const auto* tcp_only = parameter<bool>(target.spec, "tcp")) plan->tcp_only = *tcp_only;
  return make_conversation(loop, [plan = PlanPtr(std::move(plan))](auto& io, Progress& progress) {
    return plan->tcp_only ? over_tcp(io, plan, progress) : over_udp(io, plan, progress);
  });
}

}  // namespace xlvs::health
