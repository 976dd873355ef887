// SPDX-License-Identifier: Apache-2.0
// Check type "agent": a program on the server says in one line how much it can bear, see agent_reply.h.
#include <utility>

#include "core/bytes.h"
#include "health/agent_reply.h"
#include "health/conversation.h"
#include "health/probers.h"

namespace xlvs::health {
namespace {

awaitable<ProbeResult> ask(boost::asio::io_context& loop, Destination to, std::string request, Progress& progress) {
  tcp::socket socket(loop);
  if (auto failure = co_await connect(socket, to)) co_return *failure;
  progress.missing = "connected, but no complete line";
  if (!request.empty()) {
    if (auto failure = co_await send(socket, request)) co_return *failure;
  }
  std::string line;
  Buffer buffer;
  for (;;) {
    const Received received = co_await receive(socket, buffer);
    if (received.failure) co_return *received.failure;
    if (received.closed && line.empty()) {
      co_return ProbeResult{false, "closed", "the agent closed the connection without a line", {}};
    }
    line += received.bytes;
    const std::size_t end = line.find_first_of("\r\n");
    if (received.closed || end != std::string::npos) co_return read_agent_reply(std::string_view(line).substr(0, end));
    if (line.size() > kMaxAgentLine) {
      co_return ProbeResult{false, "too_large", fmt::format("no line end within {} bytes", kMaxAgentLine), {}};
    }
  }
}

}  // namespace

std::unique_ptr<Prober> make_agent(boost::asio::io_context& loop, const ProbeTarget& target) {
  return make_conversation(loop, [to = destination(target), request = bytes_parameter(target.spec, "send")](
                                     auto& io, Progress& progress) { return ask(io, to, request, progress); });
}

}  // namespace xlvs::health
