// SPDX-License-Identifier: Apache-2.0
// Port numbers: the interfaces that carry our program, as control.port, control.port_of_ifindex and the devmap have
// them. A record is complete before anything refers to it, and is cleared after nothing does.
#pragma once

#include <cstdint>
#include <optional>

#include "core/result.h"
#include "dataplane/dataplane.h"
#include "dataplane/maps.h"

namespace xlvs::dataplane {

class PortNumbers {
 public:
  explicit PortNumbers(Maps& maps) : maps_(&maps) {}

  [[nodiscard]] std::optional<std::uint32_t> find(unsigned ifindex) const;
  // Gives the interface a number, or updates the one it has. Unsupported: all numbers are taken, or the low byte of the
  // ifindex is.
  [[nodiscard]] Result<std::uint32_t> add(const PortRequest& port);
  void update(std::uint32_t number, const PortRequest& port);
  // Whoever sends through the port must have stopped: backends' hops first.
  void remove(std::uint32_t number);
  [[nodiscard]] unsigned ifindex(std::uint32_t number) const;  // 0: no such port

 private:
  Maps* maps_;
};

}  // namespace xlvs::dataplane
