// SPDX-License-Identifier: Apache-2.0
// All that an instance has in its maps, into maps of other sizes: ids, names, next hops, counters, flows. Packets go on
// through the old maps meanwhile. In this order: state(), flows(open) until little is left, counters(), then the
// interfaces change to the program of the new maps, then flows(opened_last) for what the last moment brought,
// flows(closing), and arrived(). Until then the program of the new maps drops packets whose flow it misses, which are
// sent again, instead of resetting their connections. Nothing is ever changed in the old maps. What packets count
// between counters() and the change is lost, which is milliseconds' worth.
#pragma once

#include <cstdint>
#include <vector>

#include "core/result.h"
#include "dataplane/flow_table.h"
#include "dataplane/maps.h"

namespace xlvs::dataplane {

class CarryOver {
 public:
  // All must outlive it. `to`: fresh, of a loaded object, its control record initialised; `import_program`: the same
  // object's.
  CarryOver(const Maps& from, Maps& to, int import_program) : from_(from), to_(to), program_(import_program) {}

  // conflict, naming the limit: the new maps have no room for what is installed.
  [[nodiscard]] Result<void> state();
  void counters();

  struct Flows {
    std::size_t carried = 0;  // new or changed since the last call
    std::size_t no_room = 0;
  };
  enum class Walk : std::uint8_t {
    open,         // flows that are new, or have changed since they were carried
    opened_last,  // the same, when packets go through the new maps: what those have found out is newer
    closing,  // that only wait for late segments; last, so that none is taken for a newer one of the same client port
  };
  Result<Flows> flows(Walk walk);
  void arrived();

 private:
  template <typename Record, typename Used>
  [[nodiscard]] Result<void> copy_records(const MappedArray<Record>& from, const MappedArray<Record>& to,
                                          const char* limit, const Used& used);
  template <typename Key, typename Value>
  [[nodiscard]] Result<void> copy_hash(const char* map, const char* limit);
  [[nodiscard]] Result<void> copy_tables();
  void copy_control();
  [[nodiscard]] __u64 hop_of(const SlotCopy& flow, std::size_t slot) const;
  [[nodiscard]] lvs_import encode(const SlotCopy& flow, std::size_t slot, bool ipv6, bool replace) const;
  [[nodiscard]] Result<void> run(std::vector<lvs_import>& batch, Flows& out) const;

  const Maps& from_;
  Maps& to_;
  int program_;
  std::vector<std::uint64_t> carried_;  // the word of each slot as it was carried, in the order of the walk
};

}  // namespace xlvs::dataplane
