// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdlib>
#include <random>
#include <set>
#include <utility>

#include <boost/asio/steady_timer.hpp>

#include "health/check.h"
#include "health/health.h"
#include "health/process.h"
#include "health/suspicion.h"

namespace xlvs::health {

using Clock = std::chrono::steady_clock;
using Wall = std::chrono::system_clock;

// A backend with its checks: what they found, and what that means.
struct Watch {
  BackendRef ref;
  std::vector<std::shared_ptr<Check>> checks;  // none: always up
  Life life{{}, {}};
  Health health;
  std::optional<Clock::time_point> waking;   // as Monitor::Impl::wakes has it
  std::optional<Clock::time_point> failing;  // since when some check has found nothing but failures
};

namespace {

constexpr std::chrono::seconds kOneMoment{2};          // failures within it may have one cause; or `fall` intervals
constexpr std::chrono::minutes kWarned{1};             // how long warnings stay
constexpr std::chrono::milliseconds kStartSpacing{1};  // new checks start at about a thousand per second

struct Now {
  Clock::time_point steady = Clock::now();
  Wall::time_point wall = Wall::now();

  [[nodiscard]] Wall::time_point to_wall(Clock::time_point time) const {
    return wall + std::chrono::duration_cast<Wall::duration>(time - steady);
  }
  [[nodiscard]] Clock::time_point to_steady(Wall::time_point time) const {
    return steady + std::chrono::duration_cast<Clock::duration>(time - wall);
  }
};

// What status and metrics show follows from the machine.
void show_life(Watch& watch, const Now& now) {
  Health& health = watch.health;
  health.state = watch.life.usable() ? HealthState::up : HealthState::down;
  health.life = watch.life.state();
  const auto ends = watch.life.ends();
  health.until = ends ? std::optional(now.to_wall(*ends)) : std::nullopt;
  health.permille = watch.life.permille();
  health.weight = watch.life.weight();
  health.advised = watch.life.advised();
}

void show_check(Watch& watch, std::size_t index) {
  CheckHealth& check = watch.health.checks[index];
  const RiseFall& counts = watch.life.check(index);
  check.decided = counts.decided();
  check.state = counts.state();
  check.passes = counts.passes();
  check.failures = counts.failures();
}

// The check that decides: one that is down, else the one that has just answered.
void show_deciding(Watch& watch, std::size_t newest) {
  std::size_t deciding = newest;
  const auto& checks = watch.health.checks;
  for (std::size_t i = checks.size(); i-- > 0;) {
    if (checks[i].decided && checks[i].state == HealthState::down && checks[i].last) deciding = i;
  }
  Health& health = watch.health;
  health.last = checks[deciding].last;
  health.deciding = checks[deciding].name;
  health.passes = checks[deciding].passes;
  health.failures = checks[deciding].failures;
}

Life::Change take_result(Watch& watch, std::size_t index, const Check& check, const Now& now) {
  const ProbeResult& result = *check.last();
  Health& health = watch.health;
  const Life::Change change = watch.life.report(index, result.passed, result.weight, now.steady);
  ++(result.passed ? health.checks_passed : health.checks_failed);
  CheckHealth& shown = health.checks[index];
  shown.last = result;
  shown.at = check.last_at();
  ++shown.results[result.reason];
  show_check(watch, index);
  show_deciding(watch, index);
  show_life(watch, now);
  health.checked = health.checked || watch.life.decided();
  if (change == Life::Change::state) health.since = now.wall;
  return change;
}

Life::Memory memory_of(const AdoptedHealth& adopted, const Now& now) {
  Life::Memory memory{adopted.state, now.to_steady(adopted.mark), {}};
  for (const Wall::time_point change : adopted.changes) memory.changes.push_back(now.to_steady(change));
  return memory;
}

}  // namespace

struct Monitor::Impl {
  using Checks = std::multimap<Endpoint, std::shared_ptr<Check>>;
  using Backends = std::map<BackendRef, std::unique_ptr<Watch>>;
  using Changes = std::vector<std::pair<BackendRef, Life::Change>>;

  Impl(boost::asio::io_context& io, Changed callback) : loop(io), changed(std::move(callback)), wake_timer(io) {}
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
    auto check = std::make_shared<Check>(loop, target, check_events);
    next.emplace(target.endpoint, check);
    created.push_back(check);
    return check;
  }

  void note(Watch& watch, Life::Change change) {
    if (change != Life::Change::none) pending.emplace_back(watch.ref, change);
    plan_wake(watch);
  }

  Check::Next take(const Check& check) {
    const Now now;
    if (!check.last()->passed) {
      for (const auto& [watch, index] : check.users)
        if (!watch->failing) watch->failing = now.steady;
      if (doubted(check, now.steady)) return Check::Next::again;
    }
    bool hurry = false;
    for (const auto& [watch, index] : check.users) {
      note(*watch, take_result(*watch, index, check, now));
      hurry |= watch->life.undecided(index);
      const auto& shown = watch->health.checks;
      if (check.last()->passed &&
          std::all_of(shown.begin(), shown.end(), [](const CheckHealth& c) { return c.failures == 0; }))
        watch->failing.reset();
    }
    return hurry ? Check::Next::soon : Check::Next::usual;
  }

  // One failure more would take somebody out, and too many others fail as well.
  bool doubted(const Check& check, Clock::time_point now) {
    if (check.asked_again()) return false;
    const CheckSpec& spec = check.target().spec;
    const bool decisive = std::any_of(check.users.begin(), check.users.end(), [](const auto& user) {
      const RiseFall& counts = user.first->life.check(user.second);
      return user.first->life.usable() && counts.decided() && counts.state() == HealthState::up &&
             counts.failures() + 1 >= counts.fall();
    });
    if (!decisive) return false;
    const auto since = now - std::max<Clock::duration>(spec.fall * spec.interval + spec.timeout, kOneMoment);
    const bool doubt = suspicion.now(now, [&] { return count_failing(since); });
    if (doubt && suspicion.begun()) suspected();
    return doubt;
  }

  std::map<std::string, Suspicion::Count> count_failing(Clock::time_point since) const {
    std::map<std::string, Suspicion::Count> services_found;
    for (const auto& [ref, watch] : backends) {
      const bool recent = watch->failing && *watch->failing >= since;
      if (watch->checks.empty() || (!watch->life.usable() && !recent)) continue;
      Suspicion::Count& count = services_found[ref.service];
      ++count.fit;
      if (recent) ++count.failing;
    }
    return services_found;
  }

  // A callback may call set(): whoever is gone or was decided anew by it is looked up again, not remembered.
  void announce() {
    Changes changes = std::exchange(pending, {});
    for (const auto& [ref, change] : changes) {
      const auto found = backends.find(ref);
      if (found != backends.end()) changed(ref, Health(found->second->health), change);
    }
  }

  void note_void(const ProbeResult& result) {
    const auto now = Clock::now();
    ++voids.counts[result.reason];
    voids.last = result.detail;
    if (voids.at == Clock::time_point{} || now >= told_void + kWarned) {
      told_void = now;
      if (notice) notice(fmt::format("a check gave no result, its backend stays as it is: {}", result.detail));
    }
    voids.at = now;
  }

  void suspected() const {
    if (notice)
      notice(
          "most backends of several services fail within one moment: is it this router? Each is asked once more before "
          "it is taken out");
  }

  void plan_wake(Watch& watch) {
    const auto wanted = watch.life.next_wake();
    if (wanted == watch.waking) return;
    if (watch.waking) wakes.erase({*watch.waking, &watch});
    if (wanted) wakes.insert({*wanted, &watch});
    watch.waking = wanted;
    arm();
  }

  void arm() {
    if (wakes.empty()) return;
    const auto first = wakes.begin()->first;
    if (armed && *armed <= first) return;
    armed = first;
    wake_timer.expires_at(first);
    wake_timer.async_wait([this](boost::system::error_code error) {
      if (error) return;
      armed.reset();
      wake();
    });
  }

  void wake() {
    const Now now;
    while (!wakes.empty() && wakes.begin()->first <= now.steady) {
      Watch& watch = *wakes.begin()->second;
      wakes.erase(wakes.begin());
      watch.waking.reset();
      const Life::Change change = watch.life.wake(now.steady);
      show_life(watch, now);
      if (change == Life::Change::state) watch.health.since = now.wall;
      note(watch, change);
    }
    arm();
    announce();
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

  // A new life, which goes on from what is known: of the same backend before, of an earlier lvsd, or of others that
  // share its checks.
  void begin_life(Watch& watch, const ServiceConfig& service, const CheckList& specs, const AdoptedHealth* adopted,
                  const Now& now) {
    const auto earlier = watch.health.checked ? std::optional(watch.life.memory()) : std::nullopt;
    std::vector<Life::Counts> counts;
    watch.health.checks.clear();
    for (std::size_t i = 0; i < watch.checks.size(); ++i) {
      const CheckSpec& spec = watch.checks[i]->target().spec;
      counts.push_back({spec.rise, spec.fall});
      CheckHealth& shown = watch.health.checks.emplace_back();
      shown.name = to_string(specs[i]);
      shown.rise = spec.rise;
      shown.fall = spec.fall;
    }
    const LifeState before = watch.life.state();
    watch.failing.reset();
    watch.life = Life(service.life, counts);
    if (earlier) {
      watch.life.adopt(*earlier, now.steady);
    } else if (adopted != nullptr) {
      watch.life.adopt(memory_of(*adopted, now), now.steady);
      watch.health.since = adopted->since;
    } else if (services.contains(service.name)) {
      watch.life.join_running_pool();
    }
    if (watch.health.since == Wall::time_point{} || (earlier && watch.life.state() != before))
      watch.health.since = now.wall;
    watch.health.checked = watch.checks.empty() || earlier || adopted != nullptr;
    for (std::size_t i = 0; i < watch.checks.size(); ++i) {
      if (!watch.health.checked && watch.checks[i]->last()) take_result(watch, i, *watch.checks[i], now);
      show_check(watch, i);
    }
    show_life(watch, now);
  }

  boost::asio::io_context& loop;
  Changed changed;
  Check::Events check_events{[this](Clock::duration late) { lateness.add(late); },
                             [this](const Check& check) { return take(check); },
                             [this](const ProbeResult& result) { note_void(result); }, [this] { announce(); }};
  Checks checks;
  Backends backends;
  std::set<std::string> services;               // of the set() before
  std::vector<std::shared_ptr<Check>> created;  // by the set() under way
  std::minstd_rand random{std::random_device{}()};
  Changes pending;  // to be announced
  std::set<std::pair<Clock::time_point, Watch*>> wakes;
  boost::asio::steady_timer wake_timer;
  std::optional<Clock::time_point> armed;
  Lateness lateness;
  Voids voids;
  Clock::time_point told_void;
  std::function<void(const std::string&)> notice;
  Suspicion suspicion;
};

Monitor::Monitor(boost::asio::io_context& loop, Changed changed)
    : impl_(std::make_unique<Impl>(loop, std::move(changed))) {}

Monitor::~Monitor() = default;

void Monitor::set(const Config& config, const std::map<BackendRef, AdoptedHealth>& adopted) {
  const Now now;
  Programs::of(impl_->loop).set_limit(config.max_programs);
  Impl::Checks next;
  Impl::Backends before = std::exchange(impl_->backends, {});
  impl_->pending.clear();
  impl_->wakes.clear();
  for (const auto& [endpoint, check] : impl_->checks) check->users.clear();
  for (const ServiceConfig& service : config.services) {
    for (const BackendConfig& backend : service.backends) {
      const BackendRef ref{service.name, backend.endpoint()};
      std::vector<std::shared_ptr<Check>> checks;
      const CheckList& specs = service.checks_of(backend);
      for (const CheckSpec& spec : specs) {
        if (spec.type == "none") continue;
        checks.push_back(impl_->obtain(next, {spec.target(ref.endpoint), spec}));
      }
      const auto known = before.find(ref);
      auto watch = known == before.end() ? std::make_unique<Watch>() : std::move(known->second);
      watch->ref = ref;
      watch->waking.reset();
      for (std::size_t i = 0; i < checks.size(); ++i) checks[i]->users.emplace_back(watch.get(), i);
      if (known != before.end() && checks == watch->checks) {
        watch->life.set_rules(service.life, now.steady);
        show_life(*watch, now);
      } else {
        watch->checks = std::move(checks);
        const auto found = adopted.find(ref);
        impl_->begin_life(*watch, service, specs, found == adopted.end() ? nullptr : &found->second, now);
      }
      impl_->plan_wake(*watch);
      impl_->backends.emplace(ref, std::move(watch));
    }
  }
  for (const auto& [endpoint, check] : impl_->checks) check->stop();  // what nobody wants any more
  impl_->checks = std::move(next);
  impl_->services.clear();
  for (const ServiceConfig& service : config.services) impl_->services.insert(service.name);
  impl_->start_created();
}

bool Monitor::is_up(const BackendRef& backend) const {
  const Health* health = find(backend);
  return health != nullptr && health->state == HealthState::up;
}

const Health* Monitor::find(const BackendRef& backend) const {
  const auto found = impl_->backends.find(backend);
  return found == impl_->backends.end() ? nullptr : &found->second->health;
}

std::optional<AdoptedHealth> Monitor::memory(const BackendRef& backend) const {
  const auto found = impl_->backends.find(backend);
  if (found == impl_->backends.end()) return std::nullopt;
  const Watch& watch = *found->second;
  if (watch.checks.empty() || !watch.health.checked) return std::nullopt;
  const Now now;
  const Life::Memory memory = watch.life.memory();
  AdoptedHealth adopted{memory.state, watch.health.since, now.to_wall(memory.mark), {}};
  if (memory.mark == Life::Time{}) adopted.mark = {};
  for (const Clock::time_point change : memory.changes) adopted.changes.push_back(now.to_wall(change));
  return adopted;
}

void Monitor::on_notice(std::function<void(const std::string&)> notice) {
  impl_->notice = std::move(notice);
}

const Voids& Monitor::voids() const {
  return impl_->voids;
}

std::vector<std::string> Monitor::warnings() const {
  std::vector<std::string> warnings;
  const auto now = Clock::now();
  const Voids& voids = impl_->voids;
  if (voids.at != Clock::time_point{} && now < voids.at + kWarned)
    warnings.push_back(
        fmt::format("checks give no result, backends stay as they are: {} (lvs_checks_void_total)", voids.last));
  const auto suspected = impl_->suspicion.at();
  if (suspected != Clock::time_point{} && now < suspected + kWarned)
    warnings.push_back(
        "most backends of several services failed within one moment: is it this router (link, firewall, load)?");
  return warnings;
}

const Lateness& Monitor::lateness() const {
  return impl_->lateness;
}

void Lateness::add(Clock::duration late) {
  sum += late;
  const auto* bound = std::find_if(kBounds.begin(), kBounds.end(), [&](auto limit) { return late <= limit; });
  ++counts[static_cast<std::size_t>(bound - kBounds.begin())];
}

}  // namespace xlvs::health
