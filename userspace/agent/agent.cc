// SPDX-License-Identifier: Apache-2.0
#include "agent/agent.h"

#include <algorithm>
#include <utility>

#include <spdlog/spdlog.h>

#include "agent/configuration.h"
#include "agent/logging.h"
#include "agent/maintenance_dir.h"
#include "agent/programs.h"
#include "agent/pushed_config.h"
#include "agent/reports.h"

namespace xlvs::agent {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kKeepKernel{5000};
constexpr milliseconds kDrained{5000};
constexpr milliseconds kStatusLine{10000};
constexpr milliseconds kMaintenance{1000};
constexpr milliseconds kTellPeer{1000};

void report_flush(const std::string& shortfall) {
  if (!shortfall.empty())
    spdlog::warn("ha: hands over, but the other router may not know all flows: {}", shortfall);
  else
    spdlog::info("ha: hands over: the other router knows all flows");
}

Balancer::Start remembered(const State& state) {
  Balancer::Start start{state.overrides, {}};
  for (const auto& [service, quorum] : state.quorum) start.pools[service].quorum = quorum;
  return start;
}

}  // namespace

Agent::Agent(boost::asio::io_context& loop, Options options, Host& host)
    : loop_(loop),
      options_(std::move(options)),
      host_(host),
      started_at_(std::chrono::system_clock::now()),
      notifier_(loop, [this] { return !pair_ || pair_->alive(); }),
      operations_(*this) {
  config_report_.path = options_.config_path;
}

Agent::~Agent() = default;

dataplane::OpenOptions Agent::open_options(const Config& config) const {
  return {options_.instance, options_.bpffs, config.limits};
}

std::set<std::string> Agent::known_interfaces() const {
  std::set<std::string> known = interfaces_->known();
  known.insert(vips_->placed().interface);
  return known;
}

std::vector<std::string> Agent::check_next(const Config& next) {
  std::vector<std::string> errors;
  const auto add = [&](const Result<void>& result) {
    if (!result) errors.push_back(result.error().message);
  };
  add(check_reloadable(balancer_->config(), next));
  add(check_programs(next));
  add(Hooks::check(next.hooks));
  const auto links = host_.links();
  add(links ? check_interfaces(next, *links, known_interfaces()) : Result<void>(tl::make_unexpected(links.error())));
  return errors;
}

// The files are half the peer's and half what they were, and nobody has checked them together.
void Agent::undo_interrupted_push() const {
  ConfigStore store(push_folder(options_.instance_state_dir()));
  if (!store.unfinished()) return;
  if (auto undone = store.roll_back(); !undone)
    spdlog::error("a configuration that the peer pushed was not taken whole: {}", undone.error().message);
  else
    spdlog::warn("a configuration that the peer pushed was not taken whole; the files are as they were before");
}

Result<void> Agent::start() {
  auto lock = InstanceLock::acquire(options_.instance_run_dir());
  if (!lock) return tl::make_unexpected(lock.error());
  lock_.emplace(std::move(*lock));
  undo_interrupted_push();
  auto loaded = load_configuration(options_.config_path);
  if (!loaded) return tl::make_unexpected(loaded.error());
  set_log_level(options_.log_level.value_or(loaded->config.log_level));
  if (auto result = check_programs(loaded->config); !result) return result;
  const auto links = host_.links();
  if (!links) return tl::make_unexpected(links.error());

  // The sockets first: they fail most cheaply. Nobody is served before the loop runs.
  auto control = control::serve_unix(loop_, options_.socket_path(), operations_);
  if (!control) return tl::make_unexpected(control.error());
  auto metrics = serve_metrics(loaded->config);
  if (!metrics) return tl::make_unexpected(metrics.error());

  Undo undo;
  if (auto result = start_modules(*loaded, *links, undo); !result) return result;
  undo.release();
  control_ = std::move(*control);
  metrics_ = std::move(*metrics);
  accept(*loaded);
  state_keeper_->save_now();
  start_tickers();
  spdlog::info("lvsd {} ready, instance {}: {}", options_.version, options_.instance, summary());
  notifier_.ready(summary());
  return {};
}

Result<void> Agent::start_modules(const config::Loaded& loaded, const std::vector<net::Link>& links, Undo& undo) {
  const Config& config = loaded.config;
  if (auto result = Hooks::check(config.hooks); !result) return result;
  auto boot_id = host_.boot_id();
  if (!boot_id) return tl::make_unexpected(boot_id.error());
  boot_id_ = *boot_id;
  StateFile file(options_.state_path());
  auto state = file.load(boot_id_);
  if (!state) return tl::make_unexpected(state.error());
  if (!state->warning.empty()) spdlog::warn("{}", state->warning);

  auto dataplane = host_.open_dataplane(open_options(config));
  if (!dataplane) return tl::make_unexpected(dataplane.error());
  dataplane_ = std::move(*dataplane);
  const bool adopted = !dataplane_->installed().empty() || !dataplane_->ports().empty();
  undo.push([this, adopted, options = open_options(config)] {
    dataplane_.reset();
    if (!adopted) (void)host_.remove_pins(options);
  });

  std::set<std::string> known = state->state.interfaces;
  known.insert(state->state.vip_interface);
  for (const dataplane::PortStatus& port : dataplane_->ports()) known.insert(port.name);
  if (auto result = check_interfaces(config, links, known); !result) return result;

  state_keeper_ = std::make_unique<StateKeeper>(loop_, file, [this] { return snapshot(); });
  interfaces_ = std::make_unique<Interfaces>(*dataplane_, state->state.interfaces);
  vips_ = std::make_unique<Vips>(host_, Vips::Placed{state->state.vip_interface, state->state.vips,
                                                     state->state.vip_table, state->state.vip_routes});
  hooks_ = std::make_unique<Hooks>(loop_, options_.instance);
  hooks_->set(config.hooks);
  names_ = std::make_unique<NameFollower>(loop_, host_.make_resolver(loop_), [this] { apply_names(); });
  undo.push([this] { names_.reset(); });
  const auto changed = [this] {
    update_vips();
    health_changed();
  };
  balancer_ = std::make_unique<Balancer>(loop_, *dataplane_, remembered(state->state), changed,
                                         [this](const HookEvent& event) { hooks_->announce(event); });
  const auto role_changed = [this] {
    update_vips();
    flow_syncing_->set_active(pair_->active());
  };
  pair_ =
      std::make_unique<Pair>(loop_, host_, *dataplane_, role_changed, [this](ha::Role role, const std::string& why) {
        hooks_->announce({"role", "", "", std::string(ha::to_string(role)), why});
      });
  flow_syncing_ = std::make_unique<FlowSyncing>(loop_, *dataplane_, [this](bool held) { pair_->hold(held); });
  undo.push([this] { flow_syncing_.reset(); });
  config_pushing_ = std::make_unique<ConfigPushing>(
      loop_,
      [this](const std::vector<ha::ConfigFile>& files, bool dry_run) { return take_pushed(*this, files, dry_run); });
  undo.push([this] { config_pushing_.reset(); });
  anycast_ = std::make_unique<Anycast>(state->state.released);
  NextHops::Events events;
  events.link_changed = [this](const net::Link& link) {
    const std::set<std::string> before = interfaces_->known();
    interfaces_->link_changed(link);
    pair_->link_changed(link.name, link.up);
    if (interfaces_->known() != before) state_keeper_->save_soon();
  };
  events.tables_changed = [this] { keep_vips(); };
  auto hops = NextHops::open(loop_, host_, *dataplane_, links, std::move(events));
  if (!hops) return tl::make_unexpected(hops.error());
  next_hops_ = std::move(*hops);
  undo.push([this] {
    next_hops_.reset();
    balancer_.reset();
  });

  if (auto result = interfaces_->attach(config.interfaces, links, undo); !result) return result;
  undo.push([this, before = vips_->placed()] { vips_->restore(before); });
  auto pair = pair_->prepare(vrrp_of(config.ha));
  if (!pair) return tl::make_unexpected(pair.error());
  auto flows = flow_syncing_->prepare(vrrp_of(config.ha));
  if (!flows) return tl::make_unexpected(flows.error());
  auto pushing = config_pushing_->prepare(vrrp_of(config.ha));
  if (!pushing) return tl::make_unexpected(pushing.error());
  pair_->use(std::move(*pair));
  undo.push([this] { pair_->stop(); });
  flow_syncing_->use(std::move(*flows), pair_->active());
  config_pushing_->use(std::move(*pushing));
  anycast_->configure(config.ha);
  if (auto result = vips_->set(config, {}, pair_->active() && anycast_->active_with(config.ha)); !result) return result;
  auto applied = balancer_->load(with_names(config, state->state.names), adopt_health(*state));
  if (!applied) return tl::make_unexpected(applied.error());
  names_->follow(config, state->state.names);
  update_vips();
  read_maintenance();
  next_hops_->follow(balancer_->config());
  interfaces_->keep_only(config.interfaces);
  tell_services();
  return {};
}

// What the pools ask for, or the role, may have changed.
void Agent::update_vips() {
  const Config& config = balancer_->config();
  const auto withdraws = [](const ServiceConfig& service) { return service.pool.withdraw_vip; };
  if (config.ha || std::any_of(config.services.begin(), config.services.end(), withdraws)) keep_vips();
}

// VIPs and routes are made what they are to be: after a change, after every event of the kernel's, and with the tick.
void Agent::keep_vips() {
  const Config& config = balancer_->config();
  const bool active = pair_->active() && anycast_->active_with(config.ha);
  anycast_->observe(balancer_->pools(), std::chrono::system_clock::now());
  const auto waiting = anycast_->waiting(config, anycast_->unsettled(*balancer_, names_->memories()));
  const Vips::Placed before = vips_->placed();
  const auto result = vips_->set(config, balancer_->pools(), active, waiting, Vips::OnError::keep);
  const std::string error = result ? "" : result.error().message;
  if (!error.empty() && error != vips_error_) spdlog::warn("{}", error);
  vips_error_ = error;
  // Which VIPs are lvsd's own: whoever comes after a crash must know.
  if (vips_->placed() != before) state_keeper_->save_now();
}

// What others took out of the kernel comes back.
void Agent::look_after_kernel() {
  const dataplane::Upkeep found = dataplane_->upkeep();
  for (const dataplane::Upkeep::Repair& repair : found.repairs) {
    ++repairs_[repair.kind];
    spdlog::warn("{}", repair.text);
  }
  for (const std::string& problem : found.problems)
    if (std::find(upkeep_problems_.begin(), upkeep_problems_.end(), problem) == upkeep_problems_.end())
      spdlog::error("{}", problem);
  upkeep_problems_ = found.problems;
  interfaces_->retry();
  keep_vips();
}

std::map<std::string, std::uint64_t> Agent::repairs() const {
  std::map<std::string, std::uint64_t> all{{"classifier", 0}, {"fence", 0}, {"link", 0}, {"pin", 0}};
  for (const auto& [kind, count] : repairs_) all[kind] = count;
  all["vip"] = vips_->repairs();
  return all;
}

void Agent::set_released(bool released) {
  if (!(released ? anycast_->release() : anycast_->resume())) return;
  spdlog::info("anycast: {} by the operator", released ? "released" : "resumed");
  update_vips();
  hooks_->announce({"role", "", "", released ? "released" : "active", "by the operator"});
  state_keeper_->save_now();
}

void Agent::release_role() {
  if (!hands_over_flows()) return pair_->release();
  flow_syncing_->flush([this](const std::string& shortfall) {
    report_flush(shortfall);
    pair_->release();
  });
}

bool Agent::hands_over_flows() const {
  return pair_->configured() && pair_->active() && flow_syncing_->report();
}

void Agent::read_maintenance() {
  balancer_->set_maintenance(read_maintenance_dir(balancer_->config().maintenance_dir));
}

void Agent::tell_peer() {
  ha::RouterFacts facts{config_report_.generation, shared_hash_, {}};
  ha::HealthSummary& health = facts.health;
  for (const ServiceConfig& service : balancer_->config().services) {
    bool is_up = false;
    for (const BackendConfig& backend : service.backends) {
      const BackendRef ref{service.name, backend.endpoint()};
      const health::Health* found = balancer_->health(ref);
      health.backends++;
      if (found != nullptr && found->state == health::HealthState::up) health.backends_up++;
      is_up = is_up || balancer_->is_used(ref);
    }
    health.services++;
    if (is_up) health.services_up++;
  }
  pair_->set_facts(facts);
}

// As a reload would that changed nothing but backends.
void Agent::apply_names() {
  const auto applied = balancer_->load(with_names(without_names(balancer_->config()), names_->memories()));
  if (!applied && names_error_ != applied.error().message)
    spdlog::error("cannot apply the addresses of names: {}", applied.error().message);
  names_error_ = applied ? "" : applied.error().message;
  next_hops_->follow(balancer_->config());
  update_vips();
  state_keeper_->save_soon();
}

void Agent::look_for_drained() {
  if (!names_error_.empty()) apply_names();
  if (!names_->has_leaving()) return;
  std::set<IpAddress> busy;
  for (const dataplane::ServiceStats& service : dataplane_->stats().services)
    for (const dataplane::BackendStats& backend : service.backends)
      if (backend.active + backend.inactive > 0) busy.insert(backend.endpoint.address);
  names_->forget_drained([&](const Name&, const IpAddress& address) { return !busy.contains(address); });
}

// Health goes on where the earlier lvsd left it, but only for backends that the maps hold: then clients use them now.
// Without a usable state file everything installed counts as up: a check that fails takes a dead backend out within
// seconds, while starting all of them down would stop the service.
AdoptedHealths Agent::adopt_health(const LoadedState& state) {
  AdoptedHealths adopted;
  for (const BackendRef& ref : dataplane_->installed()) {
    if (const auto known = state.state.health.find(ref); known != state.state.health.end()) {
      adopted[ref] = known->second;
    } else if (!state.found) {
      adopted[ref] = {health::LifeState::up, started_at_};
    }
  }
  if (!adopted.empty()) {
    const auto up = std::count_if(adopted.begin(), adopted.end(),
                                  [](const auto& entry) { return entry.second.state == health::LifeState::up; });
    spdlog::info("adopted {} of an earlier lvsd, {} of them up", counted(adopted.size(), "backend"), up);
  }
  return adopted;
}

Result<std::unique_ptr<control::Server>> Agent::serve_metrics(const Config& config) {
  if (!config.metrics) return std::unique_ptr<control::Server>();
  return control::serve_tcp(loop_, *config.metrics, operations_);
}

void Agent::start_tickers() {
  const auto every = [this](milliseconds interval, std::function<void()> tick) {
    tickers_.push_back(std::make_unique<Ticker>(loop_, interval, std::move(tick)));
  };
  sweeping_ = std::make_unique<Sweeping>(loop_, *dataplane_, host_);
  every(kKeepKernel, [this] { look_after_kernel(); });
  every(kMaintenance, [this] { read_maintenance(); });
  every(kTellPeer, [this] { tell_peer(); });
  every(kDrained, [this] { look_for_drained(); });
  every(kStatusLine, [this] { notifier_.status(summary()); });
}

void Agent::tell_services() {
  std::vector<std::string> without;
  for (const auto& [service, pool] : balancer_->pools())
    if (!pool.tier) without.push_back(service);
  pair_->services_changed(without);
}

void Agent::health_changed() {
  tell_services();
  state_keeper_->save_soon();
  const auto& services = balancer_->config().services;
  const bool resets = std::any_of(services.begin(), services.end(), [](const ServiceConfig& service) {
    return service.flows_on_failure == FlowsOnFailure::reset;
  });
  if (resets && sweeping_) sweeping_->look_for_lost_flows();
}

void Agent::accept(const config::Loaded& loaded) {
  config_report_.hash = loaded.hash;
  config_report_.generation++;
  config_report_.loaded_at = seconds_since_epoch(std::chrono::system_clock::now());
  config_report_.stale = false;
  config_report_.stale_reason.clear();
  shared_hash_ = loaded.shared_hash;
  tell_peer();
  for (const std::string& warning : anycast_warnings(loaded.config)) spdlog::warn("{}", warning);
}

Result<control::ConfigApplied> Agent::reload() {
  return reload(load_configuration(options_.config_path));
}

Result<control::ConfigApplied> Agent::reload(const Result<config::Loaded>& loaded) {
  notifier_.reloading();
  auto applied = try_reload(loaded);
  if (applied) {
    spdlog::info("configuration {} loaded, generation {}: {}", options_.config_path, applied->generation,
                 counted(applied->changes.size(), "change"));
    for (const std::string& change : applied->changes) spdlog::info("configuration: {}", change);
  } else {
    config_report_.stale = true;
    config_report_.stale_reason = first_line(applied.error().message);
    log_error("configuration rejected, nothing changed", applied.error().message);
  }
  notifier_.ready(summary());
  return applied;
}

Result<control::ConfigApplied> Agent::try_reload(const Result<config::Loaded>& loaded) {
  if (!loaded) return tl::make_unexpected(loaded.error());
  const Config before = without_names(balancer_->config());
  const Config& next = loaded->config;
  if (auto result = check_reloadable(before, next); !result) return tl::make_unexpected(result.error());
  if (auto result = check_programs(next); !result) return tl::make_unexpected(result.error());
  const auto links = host_.links();
  if (!links) return tl::make_unexpected(links.error());
  // Whatever is amiss with what is asked for makes it an invalid configuration.
  if (auto result = check_interfaces(next, *links, known_interfaces()); !result)
    return tl::make_unexpected(Error{ErrorKind::invalid, result.error().message});

  if (auto result = Hooks::check(next.hooks); !result) return tl::make_unexpected(result.error());
  std::unique_ptr<control::Server> metrics;
  if (next.metrics != before.metrics) {
    auto server = serve_metrics(next);
    if (!server) return tl::make_unexpected(server.error());
    metrics = std::move(*server);
  }
  const std::optional<HaConfig> vrrp = vrrp_of(next.ha);
  auto pair = pair_->prepare(vrrp);
  if (!pair) return tl::make_unexpected(pair.error());
  auto flows = flow_syncing_->prepare(vrrp);
  if (!flows) return tl::make_unexpected(flows.error());
  auto pushing = config_pushing_->prepare(vrrp);
  if (!pushing) return tl::make_unexpected(pushing.error());
  Undo undo;
  if (auto result = interfaces_->attach(next.interfaces, *links, undo); !result) {
    return tl::make_unexpected(result.error());
  }
  undo.push([this, vips = vips_->placed()] { vips_->restore(vips); });
  const bool active = pair->active_after && anycast_->active_with(next.ha);
  const auto later = vrrp == next.ha ? std::set<IpAddress>{} : listened_on(next);  // anycast: once backends are known
  if (auto result = vips_->set(next, balancer_->pools(), active, later); !result)
    return tl::make_unexpected(result.error());
  if (auto result = balancer_->load(with_names(next, names_->memories())); !result)
    return tl::make_unexpected(result.error());
  undo.release();
  names_->follow(next);
  hooks_->set(next.hooks);
  pair_->use(std::move(*pair));
  anycast_->configure(next.ha);
  flow_syncing_->use(std::move(*flows), pair_->active());
  flow_syncing_->services_changed();
  config_pushing_->use(std::move(*pushing));
  update_vips();
  tell_services();
  read_maintenance();

  next_hops_->follow(balancer_->config());
  interfaces_->keep_only(next.interfaces);
  if (next.metrics != before.metrics) metrics_ = std::move(metrics);
  set_log_level(options_.log_level.value_or(next.log_level));
  accept(*loaded);
  state_keeper_->save_now();
  return control::ConfigApplied{config_report_.generation, config::describe_changes(before, next)};
}

void Agent::stop(Stop why) {
  notifier_.stopping();
  tickers_.clear();
  if (why == Stop::for_restart && !options_.detach_on_exit) {
    pair_->leave();
  } else if (pair_->configured() || anycast_->configured()) {
    if (hands_over_flows()) report_flush(flow_syncing_->flush_now());
    pair_->stop();  // another router takes over, and answers for the addresses
    vips_->remove_all();
  }
  config_pushing_.reset();
  flow_syncing_.reset();
  sweeping_.reset();
  control_.reset();
  metrics_.reset();
  if (!options_.detach_on_exit) {
    state_keeper_->save_now();
    spdlog::info("stopped; the XDP programs stay attached and traffic goes on (lvsd --reset ends it)");
    return;
  }
  vips_->remove_all();
  state_keeper_->save_now();
  const dataplane::OpenOptions options = open_options(balancer_->config());
  next_hops_.reset();
  interfaces_->keep_only({});
  names_.reset();
  balancer_.reset();
  state_keeper_.reset();
  dataplane_.reset();
  if (auto result = host_.remove_pins(options); !result) spdlog::error("{}", result.error().message);
  spdlog::info("stopped and detached");
}

State Agent::snapshot() const {
  State state{boot_id_,
              balancer_->overrides(),
              balancer_->decided(),
              {},
              vips_->placed().interface,
              vips_->placed().addresses,
              names_->memories(),
              anycast_->released(),
              vips_->placed().table,
              vips_->placed().routes,
              interfaces_->known()};
  for (const ServiceConfig& service : balancer_->config().services) {
    const auto pool = balancer_->pools().find(service.name);
    if (service.pool.quorum && pool != balancer_->pools().end()) state.quorum[service.name] = pool->second.quorum;
  }
  return state;
}

// For `systemctl status`: what an operator asks first.
std::string Agent::summary() const {
  std::size_t total = 0;
  std::size_t up = 0;
  for (const ServiceConfig& service : balancer_->config().services) {
    for (const BackendConfig& backend : service.backends) {
      const health::Health* health = balancer_->health({service.name, backend.endpoint()});
      total++;
      if (health != nullptr && health->state == health::HealthState::up) up++;
    }
  }
  return fmt::format("{}, {} of {} up{}", counted(balancer_->config().services.size(), "service"), up,
                     counted(total, "backend"), config_report_.stale ? ", configuration on disk rejected" : "");
}

}  // namespace xlvs::agent
