// SPDX-License-Identifier: Apache-2.0
// Flows that another router told us of, into the flow table: batches for the import program (bpf/import.h).
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "core/flow_exchange.h"
#include "dataplane/maps.h"
#include "dataplane/registry.h"

namespace xlvs::dataplane {

class FlowImporter final : public FlowSink {
 public:
  // Both must outlive it. Without a program (an earlier build's is attached) every import fails.
  FlowImporter(const Maps& maps, const Registry& registry, Fd program)
      : maps_(maps), registry_(registry), program_(std::move(program)) {}

  [[nodiscard]] int program() const { return program_.get(); }  // -1: none

  // Ids may mean something else than before.
  void ids_changed();

  void forget_targets() override { targets_.clear(); }
  void set_target(std::uint32_t number, const FlowTarget& target) override { targets_[number] = {target, false, {}}; }
  FlowImports import(std::span<const FlowRecord> flows, bool replace) override;

 private:
  struct Ids {
    std::uint64_t FlowImports::* refused = nullptr;  // why it has none
    std::uint32_t backend = 0;
    std::uint16_t listener = 0;
  };
  struct Target {
    FlowTarget target;
    bool resolved = false;
    Ids ids;
  };

  [[nodiscard]] Ids resolve(const FlowTarget& target) const;
  void run(std::vector<lvs_import>& batch, FlowImports& out) const;

  const Maps& maps_;
  const Registry& registry_;
  Fd program_;
  std::unordered_map<std::uint32_t, Target> targets_;  // by the other router's number
};

}  // namespace xlvs::dataplane
