// SPDX-License-Identifier: Apache-2.0
// Flow synchronisation with the other router of a pair (ha/flow_sync.h) over a socket of its own beside the peer link:
// UDP, the peer link's port + 1, sealed with its key. Thread rule: the event loop's thread.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include <boost/asio/io_context.hpp>

#include "agent/peer_port.h"
#include "agent/ticker.h"
#include "control/api.h"
#include "core/ha_config.h"
#include "dataplane/dataplane.h"
#include "ha/flow_sync.h"

namespace xlvs::agent {

class FlowSyncing {
 public:
  // `hold`: this router should not preempt, or may again.
  FlowSyncing(boost::asio::io_context& loop, dataplane::Dataplane& dataplane, std::function<void(bool held)> hold);
  FlowSyncing(const FlowSyncing&) = delete;
  FlowSyncing& operator=(const FlowSyncing&) = delete;

  // What another configuration needs, not yet in force: an error names the key or the address, and changes nothing.
  struct Next {
    PeerPort::Next port;
    bool keep = false;
  };
  [[nodiscard]] Result<Next> prepare(const std::optional<HaConfig>& config) const;
  // `active`: this router's role. Says anew whether to hold, as the speaker may be another.
  void use(Next next, bool active);
  void set_active(bool active);
  // Services have changed: what was refused may now be taken.
  void services_changed();
  // Before the role is given up: tells the other router of every flow, the youngest too, and then calls `done`, with
  // nothing or with why it may not know all of them; at once, or from the loop within kFlushLimit.
  using Flushed = std::function<void(const std::string& shortfall)>;
  void flush(Flushed done);
  // The same for a loop that does not run any more. Blocks.
  [[nodiscard]] std::string flush_now();
  // The role is not given up after all.
  void cancel_flush();
  [[nodiscard]] bool flushing() const { return flush_.has_value(); }
  static constexpr std::chrono::milliseconds kFlushLimit{200};
  // nullopt: not configured.
  [[nodiscard]] std::optional<control::HaFlowsReport> report() const;

 private:
  void tick();
  void tell_hold();
  void look_at_flush();
  void end_flush(const std::string& shortfall);

  boost::asio::io_context& loop_;
  dataplane::Dataplane& dataplane_;
  std::function<void(bool)> hold_;
  PeerPort port_;
  std::optional<FlowSyncConfig> config_;
  std::optional<ha::FlowSync> sync_;
  std::optional<Ticker> ticker_;
  struct Flush {
    ha::Time until{};
    Flushed done;
  };
  std::optional<Flush> flush_;
  bool held_ = false;
};

}  // namespace xlvs::agent
