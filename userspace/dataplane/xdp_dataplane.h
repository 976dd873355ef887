// SPDX-License-Identifier: Apache-2.0
// The real data plane. Its parts: pins.h (what survives us), object.h (the program), maps.h, registry.h (ids), adopt.h
// (restart), attach.h and ports.h (interfaces), sweeper.h and flow_table.h (flows), flow_teller.h and flow_importer.h
// (another router's); apply.cc and stats.cc.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>

#include "dataplane/adopt.h"
#include "dataplane/attach.h"
#include "dataplane/dataplane.h"
#include "dataplane/flow_importer.h"
#include "dataplane/flow_teller.h"
#include "dataplane/object.h"
#include "dataplane/pins.h"
#include "dataplane/ports.h"
#include "dataplane/sweeper.h"

namespace xlvs::dataplane {

class XdpDataplane final : public Dataplane {
 public:
  [[nodiscard]] static Result<std::unique_ptr<XdpDataplane>> open(const OpenOptions& options);

  Result<ApplySummary> apply(const Desired& desired) override;
  Result<PortStatus> attach(const PortRequest& port) override;
  void detach(const std::string& name) override;
  void update_port(const PortRequest& port) override;
  [[nodiscard]] std::vector<PortStatus> ports() const override;
  void set_next_hop(const IpAddress& address, const std::optional<NextHop>& hop) override;
  Result<void> set_via_checks(const std::set<ViaCheck>& checks) override;
  Result<void> set_fenced(const std::set<IpAddress>& addresses) override;
  [[nodiscard]] FenceWord fence() override;
  Upkeep upkeep() override;
  bool sweep_step(std::size_t buckets) override;
  [[nodiscard]] std::size_t bucket_count() const override { return FlowTable(maps_).bucket_count(); }
  [[nodiscard]] const std::vector<LostFlow>& lost_flows() const override { return sweeper_.lost(); }
  [[nodiscard]] Stats stats() const override;
  [[nodiscard]] std::vector<Flow> flows(const FlowFilter& filter, std::size_t limit,
                                        std::uint64_t* total) const override;
  [[nodiscard]] FlowExchange flow_exchange() override { return {teller_, importer_}; }
  [[nodiscard]] std::vector<BackendRef> installed() const override;

  // For tests that look beneath.
  [[nodiscard]] const Maps& maps() const { return maps_; }
  [[nodiscard]] const Registry& registry() const { return registry_; }
  [[nodiscard]] int program() const { return program_.get(); }

 private:
  struct Port {
    std::uint32_t number = 0;
    Fd link;
    PortStatus status;
    XdpMode mode = XdpMode::automatic;
  };

  XdpDataplane(Pins pins, Maps maps, Fd program, Fd check_program, Fd import_program, const LimitConfig& limits);
  void adopt_maps();
  void adopt_links();
  [[nodiscard]] Result<bool> adopt_link(const PortRequest& request, Port& port);
  void take_over_renamed(const PortRequest& request);
  void drop_port(const std::string& name);

  // ---- via.cc
  void adopt_via_checks();
  [[nodiscard]] Result<void> put_via_check(const ViaCheck& check);
  void erase_via_check(const ViaCheck& check);
  [[nodiscard]] Result<void> attach_check_program(unsigned ifindex, const std::string& interface);

  // ---- upkeep.cc
  void keep_links(Upkeep& found);
  void keep_link(const std::string& name, Port& port, Upkeep& found);
  void keep_egress(Upkeep& found);
  void keep_fence(Upkeep& found);
  void keep_pins(Upkeep& found);

  // ---- apply.cc
  class Applier;
  void apply_globals(const Desired& desired);

  // ---- next hops
  [[nodiscard]] std::uint64_t hop_word(const IpAddress& address) const;
  [[nodiscard]] bool is_local(const IpAddress& address) const;
  void store_hop(std::uint32_t backend);
  void refresh_hops();

  void retire_backend(std::uint32_t id);

  // ---- stats.cc
  [[nodiscard]] ServiceStats service_stats(std::uint32_t id, const InstalledService& service) const;
  [[nodiscard]] BackendStats backend_stats(std::uint32_t id) const;

  Pins pins_;
  Maps maps_;
  Fd program_;
  Fd check_program_;
  LimitConfig limits_;
  Registry registry_;
  Reals reals_;                                // as `reals4` and `reals6` hold them
  std::set<IpAddress> addresses_;              // as the listener maps hold them
  bool reals_unknown_ = true;                  // until an apply() has compared them
  std::set<ViaCheck> via_;                     // as `via` and the flagged entries of the reals hold them
  bool via_on_ = false;                        // ports have the egress program
  std::optional<std::set<IpAddress>> fenced_;  // as set_fenced() was told last
  Sweeper sweeper_;
  FlowTeller teller_;
  FlowImporter importer_;
  PortNumbers port_numbers_;
  std::map<std::string, Port> ports_;
  std::unordered_map<IpAddress, NextHop> hops_;
  std::set<IpAddress> warned_;  // reached through an interface that is no port
};

}  // namespace xlvs::dataplane
