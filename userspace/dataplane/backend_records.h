// SPDX-License-Identifier: Apache-2.0
// The one writer of `backends`: what a record says is computed here from all that is known of a backend (the registry
// has its endpoint, method and whether it has failed; this object where packets to it go), never from what a single
// event knows. So no event takes back what another one has said. Thread rule: the data plane's.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <unordered_map>

#include "dataplane/dataplane.h"
#include "dataplane/maps.h"
#include "dataplane/registry.h"

namespace xlvs::dataplane {

class BackendRecords {
 public:
  // The number of the port with this ifindex; 0: it is no port.
  using PortNumber = std::function<std::uint32_t(unsigned ifindex)>;
  // Maps and registry must outlive it.
  BackendRecords(Maps& maps, const Registry& registry, PortNumber port_number)
      : maps_(maps), registry_(registry), port_number_(std::move(port_number)) {}

  // What the records of installed backends say about their next hops: after a restart, until somebody knows better.
  void adopt_hops();
  void set_hop(const IpAddress& address, const std::optional<NextHop>& hop);
  [[nodiscard]] const NextHop* hop(const IpAddress& address) const;
  // The hop leads through an interface that is no port: packets to the address are dropped.
  [[nodiscard]] bool is_unreachable(const IpAddress& address) const;

  // Before anything refers to the id: an id's earlier use leaves nothing.
  void install(std::uint32_t id);
  // Makes the record say what the registry and the hops say now; returns whether port, method or flags changed.
  bool update(std::uint32_t id);
  void update_all();
  // Its flows end with their next packet. The record stays until retire().
  void invalidate(std::uint32_t id);
  void disown(std::uint32_t id) { maps_.store_word(maps_.backends[id].service, 0); }
  void retire(std::uint32_t id) { maps_.store_record(maps_.backends[id], lvs_backend{}); }

 private:
  [[nodiscard]] bool is_local(const IpAddress& address) const;
  [[nodiscard]] std::uint64_t hop_word(const IpAddress& address) const;
  [[nodiscard]] std::uint32_t word(const InstalledBackend& backend) const;

  Maps& maps_;
  const Registry& registry_;
  PortNumber port_number_;
  std::unordered_map<IpAddress, NextHop> hops_;
};

}  // namespace xlvs::dataplane
