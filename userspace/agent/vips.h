// SPDX-License-Identifier: Apache-2.0
// The VIPs that lvsd keeps on an interface (`manage_vips`). Thread rule: the event loop's thread.
#pragma once

#include <set>
#include <string>

#include "agent/host.h"
#include "core/model.h"

namespace xlvs::agent {

class Vips {
 public:
  // `interface` and `owned`: what an earlier lvsd left, of its state file.
  Vips(Host& host, std::string interface, std::set<IpAddress> owned)
      : host_(host), interface_(std::move(interface)), owned_(std::move(owned)) {}

  // Puts the VIPs of `config` where it wants them and takes away those that lvsd added before. An error has been undone.
  Result<void> set(const Config& config);
  void remove_all();

  [[nodiscard]] const std::string& interface() const { return interface_; }
  [[nodiscard]] const std::set<IpAddress>& owned() const { return owned_; }

 private:
  Host& host_;
  std::string interface_;  // where `owned_` are
  std::set<IpAddress> owned_;
};

}  // namespace xlvs::agent
