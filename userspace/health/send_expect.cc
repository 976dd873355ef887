// SPDX-License-Identifier: Apache-2.0
// Check type "send_expect": something is sent (or nothing), and the reply must be as expected. Over TCP the reply is
// compared as it comes; over UDP it is one datagram.
#include <utility>

#include "core/bytes.h"
#include "health/conversation.h"
#include "health/probers.h"
#include "health/reply_matcher.h"

namespace xlvs::health {
namespace {

struct Plan {
  Destination to;
  std::string send;
  Expectation expected;
};
using PlanPtr = std::shared_ptr<const Plan>;

constexpr const char* kNoReply = "connected, but no expected reply";

awaitable<ProbeResult> over_tcp(boost::asio::io_context& loop, PlanPtr plan, Progress& progress) {
  tcp::socket socket(loop);
  if (auto failure = co_await connect(socket, plan->to)) co_return *failure;
  progress.missing = kNoReply;
  if (!plan->send.empty()) {
    if (auto failure = co_await send(socket, plan->send)) co_return *failure;
  }
  ReplyMatcher matcher(plan->expected);
  Buffer buffer;
  for (;;) {
    const Received received = co_await receive(socket, buffer);
    if (received.failure) co_return *received.failure;
    if (received.closed) co_return matcher.ended();
    if (auto result = matcher.feed(received.bytes)) co_return *result;
  }
}

awaitable<ProbeResult> over_udp(boost::asio::io_context& loop, PlanPtr plan, Progress& progress) {
  udp::socket socket(loop);
  if (auto failure = connect(socket, plan->to)) co_return *failure;
  progress.missing = "no reply";
  if (auto failure = co_await send(socket, plan->send)) co_return *failure;
  Buffer buffer;
  const Received received = co_await receive(socket, buffer);
  if (received.failure) co_return *received.failure;
  ReplyMatcher matcher(plan->expected);
  if (auto result = matcher.feed(received.bytes)) co_return *result;
  co_return ProbeResult{
      false, "reply", fmt::format("the reply {} is not as expected", quote_bytes(received.bytes)), {}};
}

}  // namespace

std::unique_ptr<Prober> make_send_expect(boost::asio::io_context& loop, const ProbeTarget& target) {
  auto plan = std::make_shared<Plan>();
  plan->to = destination(target);
  plan->send = bytes_parameter(target.spec, "send");
  plan->expected.regex = regex_parameter(target.spec, "expect_regex");
  const auto* expect = parameter<std::string>(target.spec, "expect");
  if (expect != nullptr && *expect != "*") plan->expected.prefix = bytes_parameter(target.spec, "expect");
  const auto* protocol = parameter<std::string>(target.spec, "protocol");
  const bool is_udp = protocol != nullptr && *protocol == "udp";
  return make_conversation(loop, [plan = PlanPtr(std::move(plan)), is_udp](auto& io, Progress& progress) {
    return is_udp ? over_udp(io, plan, progress) : over_tcp(io, plan, progress);
  });
}

}  // namespace xlvs::health
