// SPDX-License-Identifier: Apache-2.0
// One request at a time, and not more in a second than allowed: between two of them the event loop does all else that
// has become due. Internal to control/. Thread rule: the event loop's thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <deque>
#include <memory>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace xlvs::control {

// A timer that nobody lets expire: something to wait for, once.
struct Event {
  explicit Event(boost::asio::io_context& loop) : timer(loop, boost::asio::steady_timer::time_point::max()) {}
  void set() {
    is_set = true;
    timer.cancel();
  }
  boost::asio::awaitable<void> wait() {
    if (!is_set) co_await timer.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
  }
  boost::asio::steady_timer timer;
  bool is_set = false;
};

class Gate {
 public:
  using Clock = std::chrono::steady_clock;

  // `rate`: requests per second, and as many at once after a pause; 0: unbounded.
  Gate(boost::asio::io_context& loop, unsigned rate) : loop_(loop), rate_(rate), timer_(loop) {}
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  // Returns when it is the caller's turn, in the order of the calls.
  boost::asio::awaitable<void> turn() {
    if (open_) co_return;
    const auto event = std::make_shared<Event>(loop_);
    waiting_.push_back(event);
    if (waiting_.size() == 1) arm();
    co_await event->wait();
  }

  // For good: whoever waits goes on.
  void open() {
    open_ = true;
    timer_.cancel();
    for (const auto& event : waiting_) event->set();
    waiting_.clear();
  }

 private:
  // Armed anew for each, so that the loop looks at its sockets and other timers before the next.
  void arm() {
    auto when = Clock::now();
    if (rate_ != 0) when = std::max(when, last_ + std::chrono::duration_cast<Clock::duration>(kSecond) / rate_);
    timer_.expires_at(when);
    timer_.async_wait([this](boost::system::error_code error) {
      if (error || open_ || waiting_.empty()) return;
      const auto step = rate_ == 0 ? Clock::duration{0} : std::chrono::duration_cast<Clock::duration>(kSecond) / rate_;
      last_ = std::max(last_ + step, Clock::now() - kSecond);
      waiting_.front()->set();
      waiting_.pop_front();
      if (!waiting_.empty()) arm();
    });
  }

  static constexpr std::chrono::seconds kSecond{1};

  boost::asio::io_context& loop_;
  unsigned rate_;
  boost::asio::steady_timer timer_;
  std::deque<std::shared_ptr<Event>> waiting_;
  Clock::time_point last_{};  // the moment that the last one counts for
  bool open_ = false;
};

}  // namespace xlvs::control
