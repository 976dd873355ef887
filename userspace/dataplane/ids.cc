// SPDX-License-Identifier: Apache-2.0
#include "dataplane/ids.h"

#include <algorithm>
#include <cstdlib>

namespace xlvs::dataplane {

IdPool::IdPool(std::uint32_t capacity) : state_(capacity + 1, State::free), free_(capacity) {
  state_[0] = State::used;
}

std::uint32_t IdPool::allocate() {
  while (lowest_ < state_.size() && state_[lowest_] != State::free) ++lowest_;
  if (lowest_ >= state_.size()) std::abort();
  state_[lowest_] = State::used;
  --free_;
  return lowest_++;
}

void IdPool::adopt(std::uint32_t id) {
  if (state_.at(id) != State::free) std::abort();
  state_[id] = State::used;
  --free_;
}

void IdPool::quarantine(std::uint32_t id, std::uint64_t sweep) {
  if (state_.at(id) == State::free) --free_;
  state_[id] = State::resting;
  resting_[id] = sweep;
}

void IdPool::release(std::uint32_t id) {
  if (state_.at(id) == State::free) std::abort();
  state_[id] = State::free;
  resting_.erase(id);
  ++free_;
  lowest_ = std::min(lowest_, id);
}

std::vector<std::uint32_t> IdPool::rested(std::uint64_t sweep, const std::function<bool(std::uint32_t)>& seen) const {
  std::vector<std::uint32_t> out;
  for (const auto& [id, first_sweep] : resting_)
    if (first_sweep <= sweep && !seen(id)) out.push_back(id);
  return out;
}

}  // namespace xlvs::dataplane
