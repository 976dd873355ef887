// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdlib>
#include <random>
#include <set>
#include <utility>

#include <boost/asio/steady_timer.hpp>

#include "health/health.h"

namespace xlvs::health {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kStartSpacing{1};  // new checks start at about a thousand per second

const ProberType& prober_type(const std::string& name) {
  const auto types = prober_types();
  const auto found =
      std::find_if(types.begin(), types.end(), [&](const ProberType& type) { return type.name == name; });
  if (found == types.end()) std::abort();  // config/ accepts rows of check_types() only
  return *found;
}

// One endpoint checked in one way, for all backends that want just that.
class Check : public std::enable_shared_from_this<Check> {
 public:
  using Changed = std::function<void(const std::shared_ptr<Check>&)>;

  Check(boost::asio::io_context& loop, ProbeTarget target, Changed changed);

  // Takes over what is known of the backend from an earlier check, or an earlier lvsd.
  void inherit(const Health& earlier);
  void start_at(Clock::time_point when);
  void stop();

  [[nodiscard]] const ProbeTarget& target() const { return target_; }
  [[nodiscard]] const Health& health() const { return health_; }
  std::set<BackendRef> users;

 private:
  void probe();
  void finish(Clock::time_point begin, ProbeResult result);

  ProbeTarget target_;
  Changed changed_;
  RiseFall rise_fall_;
  Health health_;
  boost::asio::steady_timer timer_;
  std::unique_ptr<Prober> prober_;  // none: always up
  bool stopped_ = false;
};

Check::Check(boost::asio::io_context& loop, ProbeTarget target, Changed changed)
    : target_(std::move(target)),
      changed_(std::move(changed)),
      rise_fall_(target_.spec.rise, target_.spec.fall),
      timer_(loop) {
  if (const auto make = prober_type(target_.spec.type).make) {
    prober_ = make(loop, target_);
  } else {
    health_.state = HealthState::up;
    health_.checked = true;
    health_.since = std::chrono::system_clock::now();
  }
}

void Check::inherit(const Health& earlier) {
  const bool always_up = !prober_;
  if (always_up && earlier.state == HealthState::down) return;
  health_ = earlier;
  health_.passes = 0;
  health_.failures = 0;
  rise_fall_.adopt(earlier.state);
}

void Check::start_at(Clock::time_point when) {
  if (!prober_ || stopped_) return;
  timer_.expires_at(when);
  timer_.async_wait([weak = weak_from_this()](boost::system::error_code error) {
    const auto self = weak.lock();
    if (!error && self && !self->stopped_) self->probe();
  });
}

void Check::stop() {
  stopped_ = true;
  timer_.cancel();
}

void Check::probe() {
  prober_->start(target_.spec.timeout,
                 [this, begin = Clock::now()](ProbeResult result) { finish(begin, std::move(result)); });
}

void Check::finish(Clock::time_point begin, ProbeResult result) {
  if (stopped_) return;
  // The rhythm goes from start to start; a check that was held up is followed at once, by one.
  start_at(std::max(begin + target_.spec.interval, Clock::now()));
  const bool changed = rise_fall_.report(result.passed);
  ++(result.passed ? health_.checks_passed : health_.checks_failed);
  health_.checked = true;
  health_.passes = rise_fall_.passes();
  health_.failures = rise_fall_.failures();
  health_.last = std::move(result);
  if (!changed) return;
  health_.state = rise_fall_.state();
  health_.since = std::chrono::system_clock::now();
  changed_(shared_from_this());  // which may stop this check, and let go of it
}

}  // namespace

struct Monitor::Impl {
  using Checks = std::multimap<Endpoint, std::shared_ptr<Check>>;
  using Backends = std::map<BackendRef, std::shared_ptr<Check>>;

  Impl(boost::asio::io_context& io, Changed callback) : loop(io), changed(std::move(callback)) {}
  ~Impl() {
    for (const auto& [endpoint, check] : checks) check->stop();
  }

  // The check that does what `target` says: of this set(), else of the one before, else a new one.
  std::shared_ptr<Check> obtain(Checks& next, const ProbeTarget& target) {
    for (Checks* known : {&next, &checks}) {
      const auto [first, last] = known->equal_range(target.endpoint);
      for (auto it = first; it != last; ++it) {
        if (!(it->second->target().spec == target.spec)) continue;
        const auto check = it->second;
        if (known == &checks) next.insert(checks.extract(it));
        return check;
      }
    }
    auto check = std::make_shared<Check>(loop, target, [this](const std::shared_ptr<Check>& it) { report(it); });
    next.emplace(target.endpoint, check);
    created.push_back(check);
    return check;
  }

  void report(const std::shared_ptr<Check>& check) {
    const std::set<BackendRef> users = check->users;  // the callback may change them
    const Health health = check->health();
    for (const BackendRef& user : users) {
      if (check->users.contains(user)) changed(user, health);
    }
  }

  // Spread, so that a thousand checks do not beat in step ever after.
  void start_created() {
    const auto now = Clock::now();
    for (const auto& check : created) {
      const auto spread =
          std::min<std::chrono::microseconds>(check->target().spec.interval, kStartSpacing * (created.size() - 1));
      std::uniform_int_distribution<std::chrono::microseconds::rep> delay(0, spread.count());
      check->start_at(now + std::chrono::microseconds(delay(random)));
    }
    created.clear();
  }

  boost::asio::io_context& loop;
  Changed changed;
  Checks checks;
  Backends backends;
  std::vector<std::shared_ptr<Check>> created;  // by the set() under way
  std::minstd_rand random{std::random_device{}()};
};

Monitor::Monitor(boost::asio::io_context& loop, Changed changed)
    : impl_(std::make_unique<Impl>(loop, std::move(changed))) {}

Monitor::~Monitor() = default;

void Monitor::set(const Config& config, const std::map<BackendRef, AdoptedHealth>& adopted) {
  Impl::Checks next;
  Impl::Backends backends;
  for (const auto& [endpoint, check] : impl_->checks) check->users.clear();
  for (const ServiceConfig& service : config.services) {
    for (const BackendConfig& backend : service.backends) {
      const BackendRef ref{service.name, backend.endpoint()};
      const ProbeTarget target{service.check.target(ref.endpoint), service.check};
      const auto check = impl_->obtain(next, target);
      check->users.insert(ref);
      if (const Health* earlier = find(ref); earlier != nullptr && earlier->checked && !check->health().checked) {
        check->inherit(*earlier);
      } else if (const auto found = adopted.find(ref); found != adopted.end() && !check->health().checked) {
        Health health;
        health.state = found->second.state;
        health.since = found->second.since;
        health.checked = true;
        check->inherit(health);
      }
      backends.emplace(ref, check);
    }
  }
  for (const auto& [endpoint, check] : impl_->checks) check->stop();  // what nobody wants any more
  impl_->checks = std::move(next);
  impl_->backends = std::move(backends);
  impl_->start_created();
}

bool Monitor::is_up(const BackendRef& backend) const {
  const Health* health = find(backend);
  return health != nullptr && health->state == HealthState::up;
}

const Health* Monitor::find(const BackendRef& backend) const {
  const auto found = impl_->backends.find(backend);
  return found == impl_->backends.end() ? nullptr : &found->second->health();
}

}  // namespace xlvs::health
