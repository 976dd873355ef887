// SPDX-License-Identifier: Apache-2.0
// Ids of services, listeners and backends: small numbers, array indexes in the maps. Flows refer to listeners and
// backends by id, so an id that is no longer wanted rests in quarantine until a sweep of the flow table that began
// after its removal has not seen it. Pure values, copyable. Id 0 means none.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

namespace xlvs::dataplane {

class IdPool {
 public:
  IdPool() = default;
  explicit IdPool(std::uint32_t capacity);  // ids 1 .. capacity

  [[nodiscard]] std::uint32_t free_count() const { return free_; }
  [[nodiscard]] std::size_t quarantined() const { return resting_.size(); }
  [[nodiscard]] bool is_used(std::uint32_t id) const { return id < state_.size() && state_[id] == State::used; }

  std::uint32_t allocate();      // the lowest free id; there must be one
  void adopt(std::uint32_t id);  // a free id that is found in use
  // Used or free to resting. `sweep`: the first one that will look at the whole table from now on.
  void quarantine(std::uint32_t id, std::uint64_t sweep);
  void release(std::uint32_t id);  // used or resting to free

  // The resting ids that `sweep`, now complete, was long enough and did not see.
  [[nodiscard]] std::vector<std::uint32_t> rested(std::uint64_t sweep,
                                                  const std::function<bool(std::uint32_t)>& seen) const;

 private:
  enum class State : std::uint8_t { free, used, resting };

  std::vector<State> state_{State::used};  // [0] is never given out
  std::map<std::uint32_t, std::uint64_t> resting_;
  std::uint32_t free_ = 0;
  std::uint32_t lowest_ = 1;  // no id below it is free
};

}  // namespace xlvs::dataplane
