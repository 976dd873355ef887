// SPDX-License-Identifier: Apache-2.0
#include "health/deadline.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <utility>

namespace xlvs::health {

using boost::asio::posix::stream_descriptor;

boost::asio::execution_context::id LoopDelay::id;

LoopDelay& LoopDelay::of(boost::asio::io_context& loop) {
  return boost::asio::use_service<LoopDelay>(loop);
}

LoopDelay::LoopDelay(boost::asio::execution_context& context)
    : service(context),
      loop_(static_cast<boost::asio::io_context&>(context)),
      timer_(std::make_unique<boost::asio::steady_timer>(loop_)),
      event_(std::make_unique<stream_descriptor>(loop_)) {
  const int fd = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (fd >= 0) event_->assign(fd);
}

LoopDelay::~LoopDelay() = default;

void LoopDelay::shutdown() {
  timer_.reset();
  event_.reset();
}

LoopDelay::Clock::duration LoopDelay::begin_watch() {
  ++watching_;
  if (!in_round_ && timer_) begin_round();
  return total();
}

void LoopDelay::end_watch() {
  --watching_;
}

// With the round that is under way.
LoopDelay::Clock::duration LoopDelay::total() const {
  const auto now = Clock::now();
  return in_round_ && now > expected_ + kUsual ? sum_ + (now - expected_) : sum_;
}

void LoopDelay::begin_round() {
  in_round_ = true;
  expected_ = Clock::now() + kPeriod;
  timer_->expires_at(expected_);
  timer_->async_wait([this](boost::system::error_code error) {
    if (!error && timer_) ask();
  });
}

void LoopDelay::ask() {
  if (!event_->is_open()) return end_round();
  const std::uint64_t one = 1;
  (void)!::write(event_->native_handle(), &one, sizeof one);
  event_->async_wait(stream_descriptor::wait_read, [this](boost::system::error_code error) {
    if (error || !event_) return;
    std::uint64_t count = 0;
    (void)!::read(event_->native_handle(), &count, sizeof count);
    end_round();
  });
}

void LoopDelay::end_round() {
  sum_ = total();
  in_round_ = false;
  if (watching_ > 0) begin_round();
}

void Deadline::start(std::chrono::milliseconds timeout, std::function<void(bool late)> expired) {
  timeout_ = timeout;
  expired_ = std::move(expired);
  moved_ = {};
  at_ = Clock::now() + timeout;
  watching_ = std::make_unique<LoopDelay::Watching>(delay_);
  wait();
}

void Deadline::cancel() {
  expired_ = nullptr;
  watching_.reset();
  waiting_.reset();
  timer_.cancel();
}

void Deadline::wait() {
  waiting_ = std::make_shared<char>();
  timer_.expires_at(at_);
  timer_.async_wait([this, waiting = std::weak_ptr<char>(waiting_)](boost::system::error_code error) {
    if (!error && !waiting.expired()) look();
  });
}

// A delay is noticed up to a period after it has begun: hence that much more.
void Deadline::look() {
  const auto most = kMost * timeout_ + std::chrono::seconds(1);
  const auto delay = watching_->delay();
  const bool late = moved_ >= most;
  if (delay > moved_ && !late) {
    const auto by = std::min<Clock::duration>(delay - moved_, most - moved_);
    at_ = Clock::now() + LoopDelay::kPeriod + (by - std::min(by, Clock::now() - at_));
    moved_ += by;
    return wait();
  }
  watching_.reset();
  std::exchange(expired_, nullptr)(late);
}

}  // namespace xlvs::health
