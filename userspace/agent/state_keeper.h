// SPDX-License-Identifier: Apache-2.0
// Decides when the state file is written: at once for what an operator asked for, and for health at once but at most
// once a second, so that many flapping backends can not keep lvsd waiting for the disk.
#pragma once

#include <functional>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "agent/state_file.h"

namespace xlvs::agent {

class StateKeeper {
 public:
  StateKeeper(boost::asio::io_context& loop, StateFile file, std::function<State()> snapshot);

  void save_now();
  void save_soon();
  // Why the newest state is not on disk; empty: it is.
  [[nodiscard]] const std::string& error() const { return error_; }

 private:
  StateFile file_;
  std::function<State()> snapshot_;
  boost::asio::steady_timer timer_;
  bool waiting_ = false;  // the second since the last write of save_soon() has not passed
  bool again_ = false;    // something changed meanwhile
  std::string error_;
};

}  // namespace xlvs::agent
