// SPDX-License-Identifier: Apache-2.0
// The interfaces that carry the XDP program: attaching what the configuration names, following what happens to them.
// Thread rule: the event loop's thread.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "agent/undo.h"
#include "core/model.h"
#include "core/result.h"
#include "dataplane/dataplane.h"
#include "net/net.h"

namespace xlvs::agent {

// All interfaces that `config` names, or not_found naming the missing ones and those that exist.
Result<void> check_interfaces(const Config& config, const std::vector<net::Link>& links);

class Interfaces {
 public:
  explicit Interfaces(dataplane::Dataplane& dataplane) : dataplane_(dataplane) {}

  // Attaches what `wanted` has and is not attached yet, or is in another mode. What it changed goes to `undo`; an error
  // leaves the rest to the caller, who drops `undo` unreleased.
  Result<void> attach(const std::vector<InterfaceConfig>& wanted, const std::vector<net::Link>& links, Undo& undo);
  // Detaches everything else, also what an earlier lvsd had attached.
  void keep_only(const std::vector<InterfaceConfig>& wanted);

  // An interface that comes back is attached again, one that changed its MAC or MTU is told to the data plane.
  void link_changed(const net::Link& link);
  // Tries again where attaching a returned interface failed.
  void retry();

  [[nodiscard]] bool is_up(const std::string& name) const;
  [[nodiscard]] bool carries(unsigned ifindex) const;
  // What an operator should know: missing, down, generic mode.
  [[nodiscard]] std::vector<std::string> warnings() const;

 private:
  struct Interface {
    InterfaceConfig config;
    net::Link link;  // as last seen; ifindex 0: gone
    bool attached = false;
    std::string error;  // of the last try to attach again
  };
  Result<void> attach_one(Interface& interface);
  void reattach(Interface& interface);

  dataplane::Dataplane& dataplane_;
  std::map<std::string, Interface> interfaces_;
};

}  // namespace xlvs::agent
