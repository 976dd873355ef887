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
  using Word = unsigned long long;  // the kernel's __u64

  FenceWord() = default;  // fences nothing: what is stored is forgotten
  // `until` (nanoseconds of CLOCK_MONOTONIC) and `role` must outlive this.
  FenceWord(Word& until, Word& role) : until_(&until), role_(&role) {}

  // `role`: a number that only routers with this role have, so that the next lvsd knows whether it is still its own.
  void answer_until(Time end, std::uint64_t role) const {
    if (until_ == nullptr) return;
    std::atomic_ref(*role_).store(Word{role}, std::memory_order_relaxed);
    const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(end.time_since_epoch()).count();
    std::atomic_ref(*until_).store(static_cast<Word>(ns), std::memory_order_release);
  }
  void answer_no_more() const {
    if (until_ != nullptr) std::atomic_ref(*until_).store(0, std::memory_order_release);
  }
  // Whether somebody with this role still answers now: this lvsd, or one that ended a moment ago.
  [[nodiscard]] bool answers(Time now, std::uint64_t role) const {
    if (until_ == nullptr) return false;
    const auto until = std::chrono::nanoseconds(std::atomic_ref(*until_).load(std::memory_order_acquire));
    return now.time_since_epoch() < until && std::atomic_ref(*role_).load(std::memory_order_relaxed) == role;
  }

 private:
  Word* until_ = nullptr;
  Word* role_ = nullptr;
};

}  // namespace xlvs
