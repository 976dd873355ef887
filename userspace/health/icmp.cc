// SPDX-License-Identifier: Apache-2.0
// Check type "icmp": an echo request is answered, see ping.h.
#include <utility>

#include <boost/asio/post.hpp>

#include "health/deadline.h"
#include "health/ping.h"
#include "health/probers.h"

namespace xlvs::health {
namespace {

using Clock = std::chrono::steady_clock;

class IcmpProber final : public Prober {
 public:
  IcmpProber(boost::asio::io_context& loop, const IpAddress& address) : loop_(loop), address_(address) {}
  IcmpProber(const IcmpProber&) = delete;
  IcmpProber& operator=(const IcmpProber&) = delete;
  ~IcmpProber() override {
    if (attempt_) attempt_->end();
  }

  void start(std::chrono::milliseconds timeout, std::function<void(ProbeResult)> done) override {
    const auto attempt = std::make_shared<Attempt>(loop_);
    attempt->done = std::move(done);
    attempt->deadline.start(timeout, [weak = std::weak_ptr(attempt), timeout](bool late) {
      const auto self = weak.lock();
      if (!self) return;
      self->finish(late ? too_late()
                        : ProbeResult{false, "timeout", fmt::format("no reply within {} ms", timeout.count()), {}});
    });
    attempt_ = attempt;
    boost::asio::post(loop_, [attempt, address = address_] {
      if (!attempt->done) return;
      const auto ticket =
          attempt->ping.start(address, [attempt](ProbeResult result) { attempt->finish(std::move(result)); });
      if (attempt->done) attempt->ticket = ticket;
    });
  }

 private:
  // Ping's callback keeps it alive until it is answered or ended.
  struct Attempt {
    explicit Attempt(boost::asio::io_context& loop) : ping(Ping::of(loop)), deadline(loop) {}

    void finish(ProbeResult result) {
      if (!done) return;
      result.latency = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin);
      const auto callback = std::exchange(done, nullptr);
      end();
      callback(std::move(result));
    }

    void end() {
      done = nullptr;
      deadline.cancel();
      if (const auto sent = std::exchange(ticket, std::nullopt)) ping.cancel(*sent);
    }

    Ping& ping;
    Deadline deadline;
    std::optional<Ping::Ticket> ticket;
    Clock::time_point begin = Clock::now();
    std::function<void(ProbeResult)> done;
  };

  boost::asio::io_context& loop_;
  IpAddress address_;
  std::shared_ptr<Attempt> attempt_;
};

}  // namespace

std::unique_ptr<Prober> make_icmp(boost::asio::io_context& loop, const ProbeTarget& target) {
  return std::make_unique<IcmpProber>(loop, target.endpoint.address);
}

}  // namespace xlvs::health
