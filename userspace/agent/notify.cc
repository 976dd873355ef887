// SPDX-License-Identifier: Apache-2.0
#include "agent/notify.h"

#include <systemd/sd-daemon.h>
#include <time.h>

#include <cstdint>

#include <fmt/format.h>

namespace xlvs::agent {
namespace {

void tell(const std::string& message) {
  sd_notify(0, message.c_str());
}

}  // namespace

Notifier::Notifier(boost::asio::io_context& loop, std::function<bool()> alive)
    : timer_(loop), alive_(std::move(alive)) {
  std::uint64_t microseconds = 0;
  if (sd_watchdog_enabled(0, &microseconds) > 0) watchdog_ = std::chrono::microseconds(microseconds);
}

void Notifier::ready(const std::string& status) {
  tell("READY=1\nSTATUS=" + status);
  if (watchdog_ && !watching_) {
    watching_ = true;
    watch();
  }
}

void Notifier::reloading() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  tell(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", now.tv_sec * 1000000 + now.tv_nsec / 1000));
}

void Notifier::stopping() {
  tell("STOPPING=1");
}

void Notifier::status(const std::string& text) {
  tell("STATUS=" + text);
}

// From the event loop itself: a loop that hangs is a lvsd that hangs. A third of the time that systemd allows.
void Notifier::watch() {
  if (!alive_ || alive_()) tell("WATCHDOG=1");
  timer_.expires_after(*watchdog_ / 3);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) watch();
  });
}

}  // namespace xlvs::agent
