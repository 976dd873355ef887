// SPDX-License-Identifier: Apache-2.0
#include "agent/state_keeper.h"

#include <chrono>
#include <utility>

#include <spdlog/spdlog.h>

namespace xlvs::agent {

StateKeeper::StateKeeper(boost::asio::io_context& loop, StateFile file, std::function<State()> snapshot)
    : file_(std::move(file)), snapshot_(std::move(snapshot)), timer_(loop) {}

void StateKeeper::save_now() {
  again_ = false;
  const auto result = file_.save(snapshot_());
  const std::string error = result ? "" : result.error().message;
  if (error != error_) {
    if (result) {
      spdlog::info("state file {} is written again", file_.path());
    } else {
      spdlog::error("{}; runtime overrides would not survive a restart", error);
    }
  }
  error_ = error;
}

void StateKeeper::save_soon() {
  again_ = true;
  if (waiting_) return;
  save_now();
  waiting_ = true;
  timer_.expires_after(std::chrono::seconds(1));
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    waiting_ = false;
    if (again_) save_soon();
  });
}

}  // namespace xlvs::agent
