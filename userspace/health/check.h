// SPDX-License-Identifier: Apache-2.0
// One endpoint asked in one way, in its rhythm, for all backends that want just that. Private to health/.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "health/deadline.h"
#include "health/health.h"

namespace xlvs::health {

struct Watch;  // of the monitor: one backend

class Check : public std::enable_shared_from_this<Check> {
 public:
  using Clock = std::chrono::steady_clock;
  // again: at once, as this result is not believed yet, and was not told; the next is.
  enum class Next : std::uint8_t { usual, soon, again };
  struct Events {
    // The check began so long after its time.
    std::function<void(Clock::duration)> began;
    // To be told to the users; says when the next result is wanted.
    std::function<Next(const Check&)> finished;
    // There was no result.
    std::function<void(const ProbeResult&)> voided;
    // All is told and the next check is planned; may stop this check, and let go of it.
    std::function<void()> announce;
  };

  Check(boost::asio::io_context& loop, ProbeTarget target, const Events& events);

  void start_at(Clock::time_point when);
  void stop();

  [[nodiscard]] const ProbeTarget& target() const { return target_; }
  [[nodiscard]] const std::optional<ProbeResult>& last() const { return last_; }
  [[nodiscard]] std::chrono::system_clock::time_point last_at() const { return last_at_; }
  // The last result is the second of its kind, asked for because the first was not believed.
  [[nodiscard]] bool asked_again() const { return asked_again_; }

  std::vector<std::pair<Watch*, std::size_t>> users;  // each with the number that this check has there

 private:
  void probe(Clock::time_point planned);
  void finish(Clock::time_point begin, ProbeResult result);

  ProbeTarget target_;
  const Events& events_;
  boost::asio::steady_timer timer_;
  LoopDelay& delay_;
  std::unique_ptr<Prober> prober_;
  std::optional<ProbeResult> last_;
  std::chrono::system_clock::time_point last_at_;
  bool stopped_ = false;
  bool asked_again_ = false;
  std::unique_ptr<LoopDelay::Watching> watching_;  // during a probe
};

}  // namespace xlvs::health
