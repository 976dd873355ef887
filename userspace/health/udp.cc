// SPDX-License-Identifier: Apache-2.0
// Check type "udp": a datagram is sent; what fails is an ICMP error that comes back for it and, with `require_reply`,
// silence. A server that may keep silent passes only when the time is up: until then the error can still come.
#include <utility>

#include "core/bytes.h"
#include "health/conversation.h"
#include "health/probers.h"

namespace xlvs::health {
namespace {

awaitable<ProbeResult> ask(boost::asio::io_context& loop, Destination to, std::string payload, bool require_reply,
                           Progress& progress) {
  udp::socket socket(loop);
  if (auto failure = connect(socket, to)) co_return *failure;
  progress.missing = "no reply";
  if (!require_reply) progress.otherwise = ProbeResult{true, "ok", "no reply, and no error", {}};
  if (auto failure = co_await send(socket, payload)) co_return *failure;
  Buffer buffer;
  const Received received = co_await receive(socket, buffer);
  if (received.failure) co_return *received.failure;
  co_return ProbeResult{true, "ok", fmt::format("received {}", quote_bytes(received.bytes)), {}};
}

}  // namespace

std::unique_ptr<Prober> make_udp(boost::asio::io_context& loop, const ProbeTarget& target) {
  const auto* require_reply = parameter<bool>(target.spec, "require_reply");
  return make_conversation(loop, [to = destination(target), payload = bytes_parameter(target.spec, "send"),
                                  required = require_reply != nullptr && *require_reply](auto& io, Progress& progress) {
    return ask(io, to, payload, required, progress);
  });
}

}  // namespace xlvs::health
