// SPDX-License-Identifier: Apache-2.0
// The interfaces that carry the XDP program: attaching what the configuration names, following what happens to them.
// Thread rule: the event loop's thread.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agent/undo.h"
#include "core/model.h"
#include "core/result.h"
#include "dataplane/dataplane.h"
#include "net/net.h"

namespace xlvs::agent {

// not_found naming the interfaces of `config` that are missing, and those that exist. Not those that may be: optional
// ones, and those that were there before (`known`).
Result<void> check_interfaces(const Config& config, const std::vector<net::Link>& links,
                              const std::set<std::string>& known);

class Interfaces {
 public:
  // `remembered`: known() of an earlier lvsd.
  Interfaces(dataplane::Dataplane& dataplane, std::set<std::string> remembered)
      : dataplane_(dataplane), remembered_(std::move(remembered)) {}

  // Attaches what `wanted` has and is not attached yet, or is in another mode. One that is missing is attached when it
  // comes. What it changed goes to `undo`; an error leaves the rest to the caller, who drops `undo` unreleased.
  Result<void> attach(const std::vector<InterfaceConfig>& wanted, const std::vector<net::Link>& links, Undo& undo);
  // Detaches everything else, also what an earlier lvsd had attached.
  void keep_only(const std::vector<InterfaceConfig>& wanted);

  // An interface that comes (back) is attached, one that changed its MAC or MTU is told to the data plane; the program
  // stays on one that is renamed.
  void link_changed(const net::Link& link);
  // Tries again where attaching a returned interface failed.
  void retry();

  [[nodiscard]] bool is_up(const std::string& name) const;
  // Those that are there, or were at some time.
  [[nodiscard]] std::set<std::string> known() const;
  [[nodiscard]] bool carries(unsigned ifindex) const;
  // What an operator should know: missing, down, generic mode.
  [[nodiscard]] std::vector<std::string> warnings() const;

 private:
  struct Interface {
    InterfaceConfig config;
    net::Link link;  // as last seen; ifindex 0: gone
    bool attached = false;
    std::string error{};    // of the last try to attach again
    std::string renamed{};  // what the interface is called now; "": as configured
    bool seen = true;       // it was there at some time
  };
  void wait_for(const InterfaceConfig& config, const std::vector<net::Link>& links, Undo& undo);
  Result<void> attach_one(Interface& interface);
  void reattach(Interface& interface);
  bool note_rename(const net::Link& link);

  dataplane::Dataplane& dataplane_;
  std::set<std::string> remembered_;
  std::map<std::string, Interface> interfaces_;
};

}  // namespace xlvs::agent
