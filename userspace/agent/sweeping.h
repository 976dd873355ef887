// SPDX-License-Identifier: Apache-2.0
// Keeps the flow table swept, and sees to it that clients who lost their server learn of it: a sweep meets their flows,
// and each client is made to say what it expects, which the XDP program answers with a reset. Thread rule: the event
// loop's thread.
#pragma once

#include <chrono>
#include <cstddef>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "agent/host.h"
#include "agent/ticker.h"
#include "dataplane/dataplane.h"

namespace xlvs::agent {

class Sweeping {
 public:
  Sweeping(boost::asio::io_context& loop, dataplane::Dataplane& dataplane, Host& host);
  Sweeping(const Sweeping&) = delete;
  Sweeping& operator=(const Sweeping&) = delete;

  // A backend may have failed: a whole sweep now, in steps between which the loop turns, and clients are asked in this
  // one and in those of the next seconds. More often than twice a second it does nothing.
  void look_for_lost_flows();

 private:
  using Clock = std::chrono::steady_clock;
  void step();
  void hurry();

  dataplane::Dataplane& dataplane_;
  Host& host_;
  boost::asio::steady_timer hurry_timer_;
  std::size_t hurried_steps_ = 0;  // still to do
  Clock::time_point last_look_{};
  Clock::time_point ask_until_{};
  Ticker ticker_;
};

}  // namespace xlvs::agent
