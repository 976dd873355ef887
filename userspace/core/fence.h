// SPDX-License-Identifier: Apache-2.0
// The word that fences this router off: the moment until which it answers for the addresses of its role. Shared with
// the XDP program (bpf/abi.h, struct lvs_fence), which drops ARP requests and neighbour solicitations for them once the
// moment has passed. Whoever is active pushes it ahead; if lvsd dies, hangs or starves, nobody does. Any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace xlvs {

class FenceWord {
 public:
  using Time = std::chrono::steady_clock::time_point;

  FenceWord() = default;  // fences nothing: what is stored is forgotten
  // `word` (nanoseconds of CLOCK_MONOTONIC) must outlive this.
  explicit FenceWord(std::uint64_t& word) : word_(&word) {}

  void answer_until(Time end) const {
    if (word_ == nullptr) return;
    const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(end.time_since_epoch()).count();
    std::atomic_ref(*word_).store(ns < 1 ? 1 : static_cast<std::uint64_t>(ns), std::memory_order_release);
  }
  void answer_no_more() const { answer_until(Time{}); }
  // The clock's epoch when nobody has ever answered.
  [[nodiscard]] Time end() const {
    if (word_ == nullptr) return {};
    const std::chrono::nanoseconds ns(std::atomic_ref(*word_).load(std::memory_order_acquire));
    return Time(std::chrono::duration_cast<Time::duration>(ns));
  }

 private:
  std::uint64_t* word_ = nullptr;
};

}  // namespace xlvs
