// SPDX-License-Identifier: Apache-2.0
// lvsd: starts the modules in order, undoes them in reverse, and lets them know of each other. Thread rule: the thread
// that runs the event loop.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "agent/anycast.h"
#include "agent/balancer.h"
#include "agent/config_pushing.h"
#include "agent/flow_syncing.h"
#include "agent/hooks.h"
#include "agent/host.h"
#include "agent/instance_lock.h"
#include "agent/interfaces.h"
#include "agent/name_follower.h"
#include "agent/next_hops.h"
#include "agent/notify.h"
#include "agent/operations.h"
#include "agent/options.h"
#include "agent/pair.h"
#include "agent/state_keeper.h"
#include "agent/sweeping.h"
#include "agent/ticker.h"
#include "agent/vips.h"
#include "config/config.h"
#include "control/api.h"
#include "control/server.h"

namespace xlvs::agent {

class Agent {
 public:
  Agent(boost::asio::io_context& loop, Options options, Host& host);
  ~Agent();
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  // Everything up to READY=1. An error has been undone: what was pinned before still runs as it did, and nothing else
  // is left. Adopts what an earlier lvsd of this instance left, without a packet being lost.
  Result<void> start();
  // Reads the configuration from disk and applies the difference. An error has changed nothing but the config report.
  Result<control::ConfigApplied> reload();
  // The same of what has been read already.
  Result<control::ConfigApplied> reload(const Result<config::Loaded>& loaded);
  // Saves the state. Programs, pins and VIPs stay (the traffic goes on) unless --detach-on-exit. With `ha` an active
  // router hands over, and its VIPs go, unless another lvsd is about to be started.
  enum class Stop : std::uint8_t { for_good, for_restart };
  void stop(Stop why = Stop::for_good);

  // For the operations; valid after start().
  [[nodiscard]] const Options& options() const { return options_; }
  [[nodiscard]] control::Operations& operations() { return operations_; }
  [[nodiscard]] Balancer& balancer() { return *balancer_; }
  [[nodiscard]] dataplane::Dataplane& dataplane() { return *dataplane_; }
  [[nodiscard]] Interfaces& interfaces() { return *interfaces_; }
  [[nodiscard]] NextHops& next_hops() { return *next_hops_; }
  [[nodiscard]] Pair& pair() { return *pair_; }
  [[nodiscard]] const Anycast& anycast() const { return *anycast_; }
  // The operator takes this router out of anycast, or back in.
  void set_released(bool released);
  // Hands the role over once the other router knows every flow, and after FlowSyncing::kFlushLimit in any case.
  void release_role();
  [[nodiscard]] FlowSyncing& flow_syncing() { return *flow_syncing_; }
  [[nodiscard]] ConfigPushing& config_pushing() { return *config_pushing_; }
  [[nodiscard]] Vips& vips() { return *vips_; }
  [[nodiscard]] NameFollower& names() { return *names_; }
  // Why what names mean now is not in force (it is tried again); empty: it is.
  [[nodiscard]] const std::string& names_error() const { return names_error_; }
  // What others took out of the kernel and lvsd cannot put back.
  [[nodiscard]] const std::vector<std::string>& upkeep_problems() const { return upkeep_problems_; }
  // How often something was put back, by kind.
  [[nodiscard]] std::map<std::string, std::uint64_t> repairs() const;
  [[nodiscard]] StateKeeper& state_keeper() { return *state_keeper_; }
  [[nodiscard]] std::chrono::system_clock::time_point started_at() const { return started_at_; }
  [[nodiscard]] control::ConfigReport config_report() const { return config_report_; }
  // What keeps `next` from being loaded now, beside what it says itself: this host, and what can not change.
  [[nodiscard]] std::vector<std::string> check_next(const Config& next);

 private:
  Result<void> start_modules(const config::Loaded& loaded, const std::vector<net::Link>& links, Undo& undo);
  Result<control::ConfigApplied> try_reload(const Result<config::Loaded>& loaded);
  void undo_interrupted_push() const;
  Result<std::unique_ptr<control::Server>> serve_metrics(const Config& config);
  AdoptedHealths adopt_health(const LoadedState& state);
  void start_tickers();
  void update_vips();
  void keep_vips();
  void look_after_kernel();
  [[nodiscard]] std::set<std::string> known_interfaces() const;
  [[nodiscard]] bool hands_over_flows() const;
  void read_maintenance();
  void tell_peer();
  void apply_names();
  void look_for_drained();
  void health_changed();
  void tell_services();
  void accept(const config::Loaded& loaded);
  [[nodiscard]] State snapshot() const;
  [[nodiscard]] std::string summary() const;
  [[nodiscard]] dataplane::OpenOptions open_options(const Config& config) const;

  boost::asio::io_context& loop_;
  Options options_;
  Host& host_;
  std::chrono::system_clock::time_point started_at_;
  control::ConfigReport config_report_;
  std::string shared_hash_;  // of the configuration in force
  std::string boot_id_;
  Notifier notifier_;
  AgentOperations operations_;
  std::vector<std::string> upkeep_problems_;
  std::map<std::string, std::uint64_t> repairs_;

  // In the order of their start; destroyed in reverse.
  std::optional<InstanceLock> lock_;
  std::unique_ptr<dataplane::Dataplane> dataplane_;
  std::unique_ptr<StateKeeper> state_keeper_;
  std::unique_ptr<Interfaces> interfaces_;
  std::unique_ptr<NextHops> next_hops_;
  std::unique_ptr<Vips> vips_;
  std::string vips_error_;  // of the last attempt to make them what they are to be
  std::unique_ptr<Hooks> hooks_;
  std::unique_ptr<Balancer> balancer_;
  std::unique_ptr<NameFollower> names_;
  std::string names_error_;
  std::unique_ptr<Pair> pair_;
  std::unique_ptr<Anycast> anycast_;
  std::unique_ptr<FlowSyncing> flow_syncing_;
  std::unique_ptr<ConfigPushing> config_pushing_;
  std::unique_ptr<control::Server> control_;
  std::unique_ptr<control::Server> metrics_;
  std::unique_ptr<Sweeping> sweeping_;
  std::vector<std::unique_ptr<Ticker>> tickers_;
};

}  // namespace xlvs::agent
