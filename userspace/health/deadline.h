// SPDX-License-Identifier: Apache-2.0
// The time that a probe gives a server, without the time that this event loop was too busy (or not run at all) to take
// notice: a deadline moves by what the loop was late. Private to health/. Thread rule: the event loop's thread.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

namespace xlvs::health {

// How late the loop is, measured while somebody holds a Watching: a timer, and then an event that has to wait its turn
// among all the sockets that are ready, again and again. What both came late is what an answer may have waited.
class LoopDelay : public boost::asio::execution_context::service {
 public:
  using key_type = LoopDelay;
  using Clock = std::chrono::steady_clock;
  static boost::asio::execution_context::id id;
  static constexpr std::chrono::milliseconds kPeriod{20};
  static constexpr std::chrono::milliseconds kUsual{5};  // late by less is not late

  // The one of this io_context, made at the first call.
  static LoopDelay& of(boost::asio::io_context& loop);
  explicit LoopDelay(boost::asio::execution_context& context);
  ~LoopDelay() override;

  class Watching {
   public:
    explicit Watching(LoopDelay& delay) : delay_(&delay), begin_(delay.begin_watch()) {}
    Watching(const Watching&) = delete;
    Watching& operator=(const Watching&) = delete;
    ~Watching() { delay_->end_watch(); }
    // Since this object was made, all in all.
    [[nodiscard]] Clock::duration delay() const { return delay_->total() - begin_; }

   private:
    LoopDelay* delay_;
    Clock::duration begin_;
  };

 private:
  void shutdown() override;
  Clock::duration begin_watch();
  void end_watch();
  [[nodiscard]] Clock::duration total() const;
  void begin_round();
  void ask();
  void end_round();

  boost::asio::io_context& loop_;
  std::unique_ptr<boost::asio::steady_timer> timer_;
  std::unique_ptr<boost::asio::posix::stream_descriptor> event_;  // closed: there was none to be had
  std::size_t watching_ = 0;
  bool in_round_ = false;
  Clock::time_point expected_;  // when this round should have ended
  Clock::duration sum_{0};      // of the rounds before
};

// Expires once, unless cancelled. It moves by what the loop was late, up to kMost times the timeout and a second.
class Deadline {
 public:
  using Clock = LoopDelay::Clock;
  static constexpr int kMost = 3;

  explicit Deadline(boost::asio::io_context& loop) : delay_(LoopDelay::of(loop)), timer_(loop) {}

  // `expired` is called from the event loop. `late`: the loop was late for so long that nothing can be said.
  void start(std::chrono::milliseconds timeout, std::function<void(bool late)> expired);
  void cancel();

 private:
  void wait();
  void look();

  LoopDelay& delay_;
  boost::asio::steady_timer timer_;
  std::unique_ptr<LoopDelay::Watching> watching_;
  std::chrono::milliseconds timeout_{0};
  Clock::time_point at_;
  Clock::duration moved_{0};
  std::function<void(bool)> expired_;
  std::shared_ptr<char> waiting_;  // a handler of an earlier wait must not run
};

}  // namespace xlvs::health
