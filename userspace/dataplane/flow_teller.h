// SPDX-License-Identifier: Apache-2.0
// What the flow table has to tell another router (core/flow_exchange.h). What was told of each slot is remembered
// beside the table, in lvsd's own memory: the packet path knows nothing of it.
#pragma once

#include <cstdint>
#include <map>
#include <unordered_map>
#include <vector>

#include "core/flow_exchange.h"
#include "dataplane/flow_table.h"
#include "dataplane/maps.h"
#include "dataplane/registry.h"

namespace xlvs::dataplane {

class FlowTeller final : public FlowSource {
 public:
  // Both must outlive it.
  FlowTeller(const Maps& maps, const Registry& registry) : maps_(maps), registry_(registry), table_(maps) {}

  // Ids may mean something else than before.
  void ids_changed() { numbers_by_ids_.clear(); }

  void tell_all() override;
  bool collect(std::size_t& buckets, std::size_t limit, std::chrono::milliseconds after,
               std::vector<FlowRecord>& out) override;
  [[nodiscard]] std::size_t bucket_count() const override { return table_.bucket_count(); }
  [[nodiscard]] const FlowTarget& target(std::uint32_t number) const override { return *targets_[number]; }
  void rest() override;

 private:
  // Of one slot. `since` counts steps of kStep and wraps: it is looked at only until the flow is told.
  struct Told {
    std::uint32_t flow = 0;   // fingerprint of who is in the slot; 0: nobody worth it
    std::uint16_t since = 0;  // when a walk first met it
    std::uint16_t first = 0;  // its time then, in ticks
    std::uint16_t time = 0;   // its time as it was told, in ticks
    std::uint8_t state = 0;   // as it was told; 0: not told
    std::uint8_t round = 0;   // of tell_all() in which it was told
  };
  static_assert(sizeof(Told) == 12);

  void visit(const Bucket& bucket, unsigned slot, Told& told, std::vector<FlowRecord>& out);
  [[nodiscard]] bool worth_telling(const Told& told, std::uint64_t word) const;
  [[nodiscard]] std::optional<std::uint32_t> number_of(std::uint64_t word);

  const Maps& maps_;
  const Registry& registry_;
  FlowTable table_;
  std::vector<Told> told_;     // by slot, in the order of the walk; empty: at rest
  std::size_t position_ = 0;   // the next bucket,
  std::size_t next_slot_ = 0;  // and the first of its slots in told_
  std::uint8_t round_ = 0;
  bool all_ = false;  // this walk tells of young flows too

  // Of the present step.
  std::uint32_t tick_ = 0;
  std::uint16_t now_ = 0, after_ = 0;

  std::map<FlowTarget, std::uint32_t> numbers_;
  std::vector<const FlowTarget*> targets_;  // by number; keys of the map
  std::unordered_map<std::uint64_t, std::uint32_t> numbers_by_ids_;
};

}  // namespace xlvs::dataplane
