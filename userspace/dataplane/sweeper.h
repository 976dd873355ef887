// SPDX-License-Identifier: Apache-2.0
// Walks the flow table in small steps: ends flows that are idle or whose backend or listener is gone, recounts the
// rest, and remembers which ids it saw. Every slot is changed by compare-and-swap, as the XDP program does.
#pragma once

#include <array>
#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

#include "dataplane/dataplane.h"
#include "dataplane/flow_table.h"
#include "dataplane/maps.h"

namespace xlvs::dataplane {

class Sweeper {
 public:
  explicit Sweeper(Maps& maps);

  // Looks at no more than `buckets` buckets; true: this completed a sweep, the results below are of it.
  bool step(std::size_t buckets);

  [[nodiscard]] std::uint64_t completed() const { return completed_; }
  // The number that completed() will have when a sweep is done that began after now.
  [[nodiscard]] std::uint64_t next_full_sweep() const { return completed_ + (position_ == 0 ? 1 : 2); }

  // ---- of the last step: flows that are to be reset, at most kMaxLost. When there are more, each sweep has others.
  static constexpr std::size_t kMaxLost = 2048;
  [[nodiscard]] const std::vector<LostFlow>& lost() const { return lost_; }

  // ---- since the last call: established flows that were ended without being closed, at most kMaxEnded
  static constexpr std::size_t kMaxEnded = 2048;
  [[nodiscard]] std::vector<LostFlow> take_ended() { return std::exchange(ended_, {}); }

  // Ends one flow if it is still what `flow` says; false: it is not.
  bool end(const Bucket& bucket, unsigned slot, const SlotCopy& flow);

  // ---- of the sweep just completed
  [[nodiscard]] bool saw_backend(std::uint32_t id) const { return backend_seen_[id]; }
  [[nodiscard]] bool saw_listener(std::uint32_t id) const { return listener_seen_[id]; }
  [[nodiscard]] std::uint64_t used4() const { return used4_; }  // without overflow
  [[nodiscard]] std::uint64_t used6() const { return used6_; }

  // ---- since the start
  [[nodiscard]] std::uint64_t expired() const { return expired_; }
  // Sum over backends of what the kept counts differed from the recount, when last nothing moved for three sweeps.
  [[nodiscard]] std::uint64_t drift() const;

 private:
  struct Load {
    std::uint32_t active = 0, inactive = 0;
    friend bool operator==(const Load&, const Load&) = default;
  };
  // A scan is no snapshot: flows come and go behind its back. A difference counts only when it and everything it is
  // made of stood still for kSteadySweeps.
  struct Difference {
    Load kept, counted;
    std::uint64_t flows_created = 0;
    unsigned steady = 0;
    std::uint64_t reported = 0;
  };
  static constexpr unsigned kSteadySweeps = 3;

  void begin();
  void visit(const Bucket& bucket, std::size_t number);
  void visit_claimed(const Bucket& bucket, std::size_t number, unsigned slot, std::uint64_t word);
  [[nodiscard]] bool must_end(std::uint64_t word) const;
  [[nodiscard]] bool has_drained(std::uint64_t word) const;
  void end_flow(const Bucket& bucket, std::uint64_t word);
  void count(const Bucket& bucket, std::uint64_t word);
  void note_lost(const Bucket& bucket, unsigned slot, std::uint64_t word);
  void note_ended(const SlotCopy& flow);
  void finish();
  void compare_counts();
  void free_gateways();

  Maps* maps_;
  FlowTable table_;
  std::size_t position_ = 0;
  std::uint32_t now_ = 0;
  std::uint64_t completed_ = 0, expired_ = 0;
  std::uint64_t used4_ = 0, used6_ = 0, counting4_ = 0, counting6_ = 0;
  std::vector<LostFlow> lost_, ended_;
  std::size_t lost_seen_ = 0;    // in this step, whether or not they went into lost_
  std::size_t most_lost_ = 0;    // of any step of this sweep
  std::size_t lost_stride_ = 1;  // every how many-th of them goes into lost_
  std::vector<Load> recount_;
  std::vector<bool> backend_seen_, listener_seen_;
  std::unordered_map<std::uint32_t, Difference> differences_;

  // CLAIMED lasts for some instructions of one CPU. (slot -> word), and for how many sweeps it has been so.
  struct Claim {
    std::uint64_t word = 0;
    unsigned sweeps = 0;
  };
  std::unordered_map<std::uint64_t, Claim> claims_, claims_now_;

  struct Gateway {
    std::uint64_t hop = 0;  // without the mark of use
    unsigned unused_sweeps = 0;
  };
  std::array<Gateway, LVS_MAX_GATEWAYS> gateways_{};
  std::array<bool, LVS_MAX_GATEWAYS> gateway_seen_{};
};

}  // namespace xlvs::dataplane
