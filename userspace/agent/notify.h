// SPDX-License-Identifier: Apache-2.0
// What lvsd tells systemd (sd_notify(3)). Does nothing when nobody asked ($NOTIFY_SOCKET).
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

namespace xlvs::agent {

class Notifier {
 public:
  // The watchdog is fed while `alive` says yes, too.
  explicit Notifier(boost::asio::io_context& loop, std::function<bool()> alive = nullptr);

  // READY=1 with a status line; starts the watchdog when systemd wants one. Also ends reloading().
  void ready(const std::string& status);
  void reloading();
  void stopping();
  void status(const std::string& text);

 private:
  void watch();

  boost::asio::steady_timer timer_;
  std::function<bool()> alive_;
  std::optional<std::chrono::microseconds> watchdog_;
  bool watching_ = false;
};

}  // namespace xlvs::agent
