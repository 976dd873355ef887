// SPDX-License-Identifier: Apache-2.0
#include "agent/sweeping.h"

namespace xlvs::agent {
namespace {

using std::chrono::milliseconds;

// 20 steps of 100 ms: a flow that has timed out leaves the table at most two seconds later.
constexpr milliseconds kStep{100};
constexpr std::size_t kSteps = 20;
// An answer may get lost, and one step does not ask all clients of a big server.
constexpr milliseconds kAskFor{10000};
constexpr milliseconds kBetweenLooks{500};

}  // namespace

Sweeping::Sweeping(boost::asio::io_context& loop, dataplane::Dataplane& dataplane, Host& host)
    : dataplane_(dataplane), host_(host), hurry_timer_(loop), ticker_(loop, kStep, [this] { step(); }) {}

void Sweeping::step() {
  dataplane_.sweep_step((dataplane_.bucket_count() + kSteps - 1) / kSteps);
  for (const dataplane::LostFlow& flow : dataplane_.take_ended_flows()) host_.solicit(flow.destination, flow.client);
  if (Clock::now() > ask_until_) return;
  for (const dataplane::LostFlow& flow : dataplane_.lost_flows()) host_.solicit(flow.destination, flow.client);
}

void Sweeping::look_for_lost_flows() {
  const auto now = Clock::now();
  ask_until_ = now + kAskFor;
  if (now - last_look_ < kBetweenLooks) return;
  last_look_ = now;
  const bool idle = hurried_steps_ == 0;
  hurried_steps_ = kSteps + 1;  // the sweep under way may be in the middle of a step's worth of buckets
  if (idle) hurry();
}

void Sweeping::hurry() {
  step();
  if (--hurried_steps_ == 0) return;
  hurry_timer_.expires_after(milliseconds(1));
  hurry_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) hurry();
  });
}

}  // namespace xlvs::agent
