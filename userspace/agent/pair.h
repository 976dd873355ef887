// SPDX-License-Identifier: Apache-2.0
// This router's role among several (`ha`): hands the configuration to the VRRP speaker and its role changes to the
// event loop. Thread rule: the event loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "agent/hooks.h"
#include "agent/host.h"
#include "agent/tracking.h"
#include "core/model.h"
#include "ha/speaker.h"

namespace xlvs::agent {

class Pair {
 public:
  // `changed`: the speaker has made active() another than before. `told`: of every change of role, afterwards.
  using Told = std::function<void(ha::Role role, const std::string& reason)>;
  Pair(boost::asio::io_context& loop, Host& host, dataplane::Dataplane& dataplane, std::function<void()> changed,
       Told told)
      : loop_(loop),
        host_(host),
        dataplane_(dataplane),
        changed_(std::move(changed)),
        told_(std::move(told)),
        tracking_(loop, [this] { tell_tracked(); }) {}

  // A speaker for another configuration, not yet in force: an error changes nothing.
  struct Next {
    std::unique_ptr<ha::Speaker> speaker;
    std::shared_ptr<const char> id;
    std::optional<HaConfig> config;
    bool keep = false;         // the one that runs
    bool active_after = true;  // what active() is going to be when this is used now
  };
  Result<Next> prepare(const std::optional<HaConfig>& config);
  // A speaker for the same virtual routers takes up the role that the one before leaves, be that of this process or of
  // one that ended a moment ago; otherwise the earlier one hands over. active() may change at once.
  void use(Next next);
  // Hands over; this router is not active any more, which is not reported.
  void stop();
  // Leaves the role to the lvsd that is about to be started; active() stays as it was.
  void leave();

  [[nodiscard]] bool active() const { return !config_ || role_ == ha::Role::active; }
  // The speaker's thread does its turns.
  [[nodiscard]] bool alive() const;
  [[nodiscard]] bool configured() const { return config_.has_value(); }
  void link_changed(const std::string& interface, bool up);
  // Those that have no backend which may take new flows.
  void services_changed(const std::vector<std::string>& without_backend);
  void release();
  void resume();
  // While held this router does not preempt.
  void hold(bool held);
  // Logs what is wrong with the election when it begins, and when it has ended. Call every second or so.
  void watch();
  // What the peer is told, if there is one.
  void set_facts(const ha::RouterFacts& facts);
  [[nodiscard]] std::optional<ha::SpeakerReport> report() const;
  [[nodiscard]] std::vector<HookInstance> instances() const;
  [[nodiscard]] std::vector<TrackReport> tracks() const { return tracking_.report(); }

 private:
  void role_changed(ha::Role role, const std::string& reason);
  [[nodiscard]] bool goes_on(const HaConfig& next) const;
  void set_fenced();
  void tell_tracked();

  boost::asio::io_context& loop_;
  Host& host_;
  dataplane::Dataplane& dataplane_;
  std::function<void()> changed_;
  Told told_;
  std::optional<HaConfig> config_;
  ha::Role role_ = ha::Role::init;
  ha::RouterFacts facts_;           // that the speaker was told
  std::shared_ptr<const char> id_;  // of the speaker: events of another that still wait in the loop are void
  std::unique_ptr<ha::Speaker> speaker_;
  Tracking tracking_;
  std::vector<std::string> suspected_;  // warnings of the last watch()
  std::vector<std::string> warned_;     // those that were logged
};

}  // namespace xlvs::agent
