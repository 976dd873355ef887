// SPDX-License-Identifier: Apache-2.0
// What the check types that speak through Asio's sockets share: a probe is one coroutine, which is ended when the time
// is up or the prober goes. Private to health/. Thread rule: the event loop's thread.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>

#include "health/health.h"
#include "health/probers.h"

namespace xlvs::health {

using boost::asio::awaitable;
using boost::asio::ip::tcp;
using boost::asio::ip::udp;

// What a probe has come to; the detail of a timeout is "`missing` within 1000 ms".
struct Progress {
  std::string missing = "no connection";
  // What to report when the time is up, if that is no failure.
  std::optional<ProbeResult> otherwise{};
};

// One probe. What it needs must live in the coroutine itself (parameters by value); every co_await may be its last.
using Conversation = std::function<awaitable<ProbeResult>(boost::asio::io_context& loop, Progress& progress)>;

// A prober that has this conversation each time.
[[nodiscard]] std::unique_ptr<Prober> make_conversation(boost::asio::io_context& loop, Conversation conversation);

// ---- steps of a conversation: nullopt or bytes when done, else the failure to report --------------------------------

[[nodiscard]] tcp::endpoint tcp_endpoint(const Endpoint& endpoint);
[[nodiscard]] udp::endpoint udp_endpoint(const Endpoint& endpoint);
[[nodiscard]] awaitable<std::optional<ProbeResult>> connect(tcp::socket& socket, Destination to);
[[nodiscard]] std::optional<ProbeResult> connect(udp::socket& socket, const Destination& to);
[[nodiscard]] awaitable<std::optional<ProbeResult>> send(tcp::socket& socket, std::string_view bytes);
[[nodiscard]] awaitable<std::optional<ProbeResult>> send(udp::socket& socket, std::string_view datagram);

using Buffer = std::array<char, 4096>;
struct Received {
  std::string_view bytes;              // in the buffer; may be empty for a datagram
  bool closed = false;                 // tcp: the server has closed, and this is its last word
  std::optional<ProbeResult> failure;  // nothing was received
};
[[nodiscard]] awaitable<Received> receive(tcp::socket& socket, Buffer& buffer);
[[nodiscard]] awaitable<Received> receive(udp::socket& socket, Buffer& buffer);

}  // namespace xlvs::health
