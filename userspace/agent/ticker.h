// SPDX-License-Identifier: Apache-2.0
// Calls a function at a steady interval on the event loop, until it is destroyed.
#pragma once

#include <chrono>
#include <functional>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

namespace xlvs::agent {

class Ticker {
 public:
  Ticker(boost::asio::io_context& loop, std::chrono::milliseconds interval, std::function<void()> tick)
      : timer_(loop), interval_(interval), tick_(std::move(tick)) {
    wait();
  }

 private:
  // The next turn counts from now: a loop that was late does not catch up with a burst.
  void wait() {
    timer_.expires_after(interval_);
    timer_.async_wait([this](const boost::system::error_code& error) {
      if (error) return;
      tick_();
      wait();
    });
  }

  boost::asio::steady_timer timer_;
  std::chrono::milliseconds interval_;
  std::function<void()> tick_;
};

}  // namespace xlvs::agent
