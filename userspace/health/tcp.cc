// SPDX-License-Identifier: Apache-2.0
// Check type "tcp": passes when a connection is established; it is reset at once.
#include <cerrno>
#include <utility>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>

#include "health/deadline.h"
#include "health/probers.h"

namespace xlvs::health {
namespace {

using boost::asio::ip::tcp;
using Clock = std::chrono::steady_clock;

tcp::endpoint asio_endpoint(const Endpoint& endpoint) {
  const auto bytes = endpoint.address.bytes();
  if (endpoint.address.is_v4()) {
    boost::asio::ip::address_v4::bytes_type v4{};
    std::copy(bytes.begin(), bytes.end(), v4.begin());
    return {boost::asio::ip::address_v4(v4), endpoint.port};
  }
  boost::asio::ip::address_v6::bytes_type v6{};
  std::copy(bytes.begin(), bytes.end(), v6.begin());
  return {boost::asio::ip::address_v6(v6), endpoint.port};
}

// One connection attempt. Its handlers keep it alive, and find `done` empty once it has been answered or abandoned.
struct Attempt {
  explicit Attempt(boost::asio::io_context& loop) : socket(loop), deadline(loop) {}

  void finish(ProbeResult result) {
    if (!done) return;
    // A reset leaves nothing in TIME-WAIT: 10,000 backends checked every 2 s would keep 300,000 such sockets.
    boost::system::error_code ignored;
    if (result.passed) socket.set_option(tcp::socket::linger(true, 0), ignored);
    result.latency = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin);
    const auto callback = std::exchange(done, nullptr);
    abandon();
    callback(std::move(result));
  }

  void abandon() {
    done = nullptr;
    boost::system::error_code ignored;
    socket.close(ignored);
    deadline.cancel();
  }

  tcp::socket socket;
  Deadline deadline;
  Clock::time_point begin = Clock::now();
  std::function<void(ProbeResult)> done;
};

class TcpProber final : public Prober {
 public:
  TcpProber(boost::asio::io_context& loop, const ProbeTarget& target) : loop_(loop), to_(destination(target)) {}
  TcpProber(const TcpProber&) = delete;
  TcpProber& operator=(const TcpProber&) = delete;
  ~TcpProber() override {
    if (attempt_) attempt_->abandon();
  }

  void start(std::chrono::milliseconds timeout, std::function<void(ProbeResult)> done) override {
    auto attempt = std::make_shared<Attempt>(loop_);
    attempt->done = std::move(done);
    attempt->deadline.start(timeout, [weak = std::weak_ptr(attempt), timeout](bool late) {
      const auto self = weak.lock();
      if (!self) return;
      self->finish(late
                       ? too_late()
                       : ProbeResult{false, "timeout", fmt::format("no connection within {} ms", timeout.count()), {}});
    });
    attempt_ = attempt;
    const tcp::endpoint endpoint = asio_endpoint(to_.endpoint);
    boost::system::error_code unopened;
    attempt->socket.open(endpoint.protocol(), unopened);  // should it fail, so does async_connect()
    if (!unopened && !prepare_socket(attempt->socket.native_handle(), to_.endpoint.address.family(), to_.mark)) {
      boost::asio::post(loop_, [attempt, result = connect_failure(errno)] { attempt->finish(result); });
      return;
    }
    attempt->socket.async_connect(endpoint, [attempt](boost::system::error_code error) {
      attempt->finish(error ? connect_failure(error.value()) : ProbeResult{true, "ok", "connected", {}});
    });
  }

 private:
  boost::asio::io_context& loop_;
  Destination to_;
  std::shared_ptr<Attempt> attempt_;
};

}  // namespace

std::unique_ptr<Prober> make_tcp(boost::asio::io_context& loop, const ProbeTarget& target) {
  return std::make_unique<TcpProber>(loop, target);
}

}  // namespace xlvs::health
