// SPDX-License-Identifier: Apache-2.0
// `lvsctl config push`: sends this router's configuration to the other one of a pair, and takes what that one sends
// (ha/config_transfer.h), over UDP, the peer link's port + 2, sealed with its key. Thread rule: the event loop's
// thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "agent/peer_port.h"
#include "agent/ticker.h"
#include "control/api.h"
#include "core/ha_config.h"
#include "ha/config_transfer.h"

namespace xlvs::agent {

class ConfigPushing {
 public:
  // What becomes of files that the peer has pushed. May load another configuration, and so call use().
  using Take = std::function<ha::ConfigVerdict(const std::vector<ha::ConfigFile>& files, bool dry_run)>;

  ConfigPushing(boost::asio::io_context& loop, Take take);

  using Next = PeerPort::Next;
  [[nodiscard]] Result<Next> prepare(const std::optional<HaConfig>& config) const;
  void use(Next next);

  // Begins; report() tells how it went. `names`: of the files, for the report. not_found: no peer is configured;
  // conflict: a push is under way; invalid: too much for one.
  [[nodiscard]] Result<void> push(const std::vector<ha::ConfigFile>& files, std::vector<std::string> names,
                                  bool dry_run);
  // The last one.
  [[nodiscard]] control::ConfigPush report() const;
  void report_counts(control::HaPeerReport& report) const;
  [[nodiscard]] bool accepts() const { return config_ && config_->accept_config; }

 private:
  bool received(std::uint8_t type, std::span<const std::uint8_t> body);
  bool take(std::span<const std::uint8_t> body);
  void tick();
  void send(const std::vector<ha::ConfigOutgoing>& messages);
  void look_for_end();

  boost::asio::io_context& loop_;
  Take take_;
  PeerPort port_;
  std::optional<PeerConfig> config_;
  std::optional<Ticker> ticker_;
  std::optional<ha::ConfigSender> sender_;
  ha::ConfigReceiver receiver_;
  control::ConfigPush push_;  // the last; what changes while it is under way is the sender's
  std::map<std::string, std::uint64_t> sent_, received_;
};

}  // namespace xlvs::agent
