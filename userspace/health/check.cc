// SPDX-License-Identifier: Apache-2.0
#include "health/check.h"

#include <algorithm>
#include <cstdlib>

#include "health/probers.h"

namespace xlvs::health {
namespace {

const ProberType& prober_type(const std::string& name) {
  const auto types = prober_types();
  const auto found =
      std::find_if(types.begin(), types.end(), [&](const ProberType& type) { return type.name == name; });
  if (found == types.end()) std::abort();  // config/ accepts rows of check_types() only
  return *found;
}

// What a check via a VIP found says where it went, and a silence what to look for.
void name_vip(const ProbeTarget& target, ProbeResult& result) {
  if (result.passed || !target.spec.via) return;
  const std::string vip = Endpoint{*target.spec.via, target.endpoint.port}.to_string();
  const bool silent = result.reason == "timeout" || result.reason == "unreachable";
  result.detail = silent ? fmt::format("no answer at VIP {} on this server: is the VIP configured on its lo? ({})", vip,
                                       result.detail)
                         : fmt::format("at VIP {} on this server: {}", vip, result.detail);
}

// A server that closes on a client as slow as this loop was is not to blame.
bool may_be_our_fault(const ProbeResult& result, Check::Clock::duration delay, std::chrono::milliseconds timeout) {
  constexpr std::chrono::milliseconds kLeast{50};
  if (result.passed || delay < std::max<Check::Clock::duration>(timeout / 4, kLeast)) return false;
  return result.reason == "closed" || result.reason == "tls" || result.reason == "protocol";
}

}  // namespace

Check::Check(boost::asio::io_context& loop, ProbeTarget target, const Events& events)
    : target_(std::move(target)),
      events_(events),
      timer_(loop),
      delay_(LoopDelay::of(loop)),
      prober_(prober_type(target_.spec.type).make(loop, target_)) {}

void Check::start_at(Clock::time_point when) {
  if (stopped_) return;
  timer_.expires_at(when);
  timer_.async_wait([weak = weak_from_this(), when](boost::system::error_code error) {
    const auto self = weak.lock();
    if (!error && self && !self->stopped_) self->probe(when);
  });
}

void Check::stop() {
  stopped_ = true;
  timer_.cancel();
}

void Check::probe(Clock::time_point planned) {
  const auto begin = Clock::now();
  events_.began(begin - planned);
  watching_ = std::make_unique<LoopDelay::Watching>(delay_);
  prober_->start(target_.spec.timeout, [this, begin](ProbeResult result) { finish(begin, std::move(result)); });
}

void Check::finish(Clock::time_point begin, ProbeResult result) {
  if (stopped_) return;
  const auto self = shared_from_this();
  if (!result.no_result && may_be_our_fault(result, watching_->delay(), target_.spec.timeout)) result = too_late();
  watching_.reset();
  Next next = Next::usual;
  if (result.no_result) {
    events_.voided(result);
  } else {
    name_vip(target_, result);
    last_ = std::move(result);
    last_at_ = std::chrono::system_clock::now();
    next = events_.finished(*this);
    asked_again_ = next == Next::again;
  }
  // The rhythm goes from start to start; a check that was held up is followed at once, by one.
  const auto usual = target_.spec.interval;
  const auto interval = next == Next::usual  ? usual
                        : next == Next::soon ? target_.spec.fast_interval.value_or(usual)
                                             : Milliseconds{0};
  start_at(std::max(begin + interval, Clock::now()));
  events_.announce();
}

}  // namespace xlvs::health
