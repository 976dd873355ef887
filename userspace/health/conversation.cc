// SPDX-License-Identifier: Apache-2.0
#include "health/conversation.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "health/deadline.h"
#include "health/probers.h"

namespace xlvs::health {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;
constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);

// One probe under way. Its handlers keep it alive, and find `done` empty once it has been answered or abandoned; the
// coroutine's own end then comes a little later.
struct Run {
  explicit Run(asio::io_context& loop) : deadline(loop) {}

  void finish(ProbeResult result) {
    if (!done) return;
    result.latency = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin);
    const auto callback = std::exchange(done, nullptr);
    abandon();
    callback(std::move(result));
  }

  void abandon() {
    done = nullptr;
    deadline.cancel();
    if (std::exchange(talking, false)) cancel.emit(asio::cancellation_type::terminal);
  }

  Deadline deadline;
  asio::cancellation_signal cancel;
  bool talking = false;  // the coroutine has begun and not ended: only then is there something to cancel
  Progress progress;
  Clock::time_point begin = Clock::now();
  std::function<void(ProbeResult)> done;
};

ProbeResult time_up(const Run& run, std::chrono::milliseconds timeout) {
  if (run.progress.otherwise) return *run.progress.otherwise;
  return {false, "timeout", fmt::format("{} within {} ms", run.progress.missing, timeout.count()), {}};
}

class ConversationProber final : public Prober {
 public:
  ConversationProber(asio::io_context& loop, Conversation conversation)
      : loop_(loop), conversation_(std::make_shared<const Conversation>(std::move(conversation))) {}
  ConversationProber(const ConversationProber&) = delete;
  ConversationProber& operator=(const ConversationProber&) = delete;
  ~ConversationProber() override {
    if (run_) run_->abandon();
  }

  void start(std::chrono::milliseconds timeout, std::function<void(ProbeResult)> done) override {
    const auto run = std::make_shared<Run>(loop_);
    run->done = std::move(done);
    run->deadline.start(timeout, [weak = std::weak_ptr(run), timeout](bool late) {
      if (const auto self = weak.lock()) self->finish(late ? too_late() : time_up(*self, timeout));
    });
    run_ = run;
    // Not at once: a conversation that fails before it waits must not report from within start().
    asio::post(loop_, [run, &loop = loop_, conversation = conversation_] {
      if (!run->done) return;
      run->talking = true;
      asio::co_spawn(loop, (*conversation)(loop, run->progress),
                     asio::bind_cancellation_slot(
                         run->cancel.slot(), [run, conversation](const std::exception_ptr& thrown, ProbeResult result) {
                           run->talking = false;
                           run->finish(thrown ? failure_of(thrown) : std::move(result));
                         }));
    });
  }

 private:
  static ProbeResult failure_of(const std::exception_ptr& thrown) {
    try {
      std::rethrow_exception(thrown);
    } catch (const std::exception& error) {
      return {false, "error", error.what(), {}};
    }
  }

  asio::io_context& loop_;
  std::shared_ptr<const Conversation> conversation_;
  std::shared_ptr<Run> run_;
};

template <typename Protocol>
typename Protocol::endpoint asio_endpoint(const Endpoint& endpoint) {
  const auto bytes = endpoint.address.bytes();
  if (endpoint.address.is_v4()) {
    asio::ip::address_v4::bytes_type v4{};
    std::copy(bytes.begin(), bytes.end(), v4.begin());
    return {asio::ip::address_v4(v4), endpoint.port};
  }
  asio::ip::address_v6::bytes_type v6{};
  std::copy(bytes.begin(), bytes.end(), v6.begin());
  return {asio::ip::address_v6(v6), endpoint.port};
}

// A reset in the middle is the server's way of closing. With UDP, errors of an earlier datagram come back with any
// call.
ProbeResult exchange_failure(std::string_view what, int error_number) {
  switch (error_number) {
    case ECONNRESET:
    case EPIPE:
      return {false, "closed", "the server closed the connection before its reply was complete", {}};
    default:
      ProbeResult result = send_failure(error_number);
      if (!result.no_result) result.detail = fmt::format("{}: {}", what, std::strerror(error_number));
      return result;
  }
}

}  // namespace

std::unique_ptr<Prober> make_conversation(asio::io_context& loop, Conversation conversation) {
  return std::make_unique<ConversationProber>(loop, std::move(conversation));
}

tcp::endpoint tcp_endpoint(const Endpoint& endpoint) {
  return asio_endpoint<tcp>(endpoint);
}

udp::endpoint udp_endpoint(const Endpoint& endpoint) {
  return asio_endpoint<udp>(endpoint);
}

namespace {

template <typename Socket>
std::optional<ProbeResult> open(Socket& socket, const typename Socket::protocol_type& protocol, const Destination& to) {
  boost::system::error_code error;
  socket.open(protocol, error);
  if (error) return connect_failure(error.value());
  if (!prepare_socket(socket.native_handle(), to.endpoint.address.family(), to.mark)) return connect_failure(errno);
  return std::nullopt;
}

}  // namespace

awaitable<std::optional<ProbeResult>> connect(tcp::socket& socket, Destination to) {
  const tcp::endpoint endpoint = tcp_endpoint(to.endpoint);
  if (auto failure = open(socket, endpoint.protocol(), to)) co_return failure;
  const auto [error] = co_await socket.async_connect(endpoint, kTuple);
  if (error) co_return connect_failure(error.value());
  co_return std::nullopt;
}

std::optional<ProbeResult> connect(udp::socket& socket, const Destination& to) {
  const udp::endpoint endpoint = udp_endpoint(to.endpoint);
  if (auto failure = open(socket, endpoint.protocol(), to)) return failure;
  boost::system::error_code error;
  socket.connect(endpoint, error);
  if (error) return connect_failure(error.value());
  return std::nullopt;
}

awaitable<std::optional<ProbeResult>> send(tcp::socket& socket, std::string_view bytes) {
  const auto [error, length] = co_await asio::async_write(socket, asio::buffer(bytes), kTuple);
  if (error) co_return exchange_failure("send", error.value());
  co_return std::nullopt;
}

awaitable<std::optional<ProbeResult>> send(udp::socket& socket, std::string_view datagram) {
  const auto [error, length] = co_await socket.async_send(asio::buffer(datagram), kTuple);
  if (error) co_return exchange_failure("send", error.value());
  co_return std::nullopt;
}

awaitable<Received> receive(tcp::socket& socket, Buffer& buffer) {
  const auto [error, length] = co_await socket.async_read_some(asio::buffer(buffer), kTuple);
  Received received;
  if (error == asio::error::eof) {
    received.closed = true;
  } else if (error) {
    received.failure = exchange_failure("receive", error.value());
  } else {
    received.bytes = {buffer.data(), length};
  }
  co_return received;
}

awaitable<Received> receive(udp::socket& socket, Buffer& buffer) {
  const auto [error, length] = co_await socket.async_receive(asio::buffer(buffer), kTuple);
  Received received;
  if (error) {
    received.failure = exchange_failure("receive", error.value());
  } else {
    received.bytes = {buffer.data(), length};
  }
  co_return received;
}

}  // namespace xlvs::health
