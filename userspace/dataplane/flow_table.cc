// SPDX-License-Identifier: Apache-2.0
#include "dataplane/flow_table.h"

#include <cstdlib>

#include "dataplane/encode.h"

namespace xlvs::dataplane {

std::size_t FlowTable::bucket_count() const {
  return std::size_t{maps_->buckets4.size()} + maps_->buckets6.size() + maps_->overflow4.size() +
         maps_->overflow6.size();
}

Bucket FlowTable::bucket(std::size_t number) const {
  constexpr unsigned kWords4 = sizeof(lvs_slot4) / sizeof(__u64);
  constexpr unsigned kWords6 = sizeof(lvs_slot6) / sizeof(__u64);
  if (number < maps_->buckets4.size()) return {&maps_->buckets4[number].slot[0].key, LVS_SLOTS4, kWords4, false, false};
  number -= maps_->buckets4.size();
  if (number < maps_->buckets6.size())
    return {&maps_->buckets6[number].slot[0].addr[0], LVS_SLOTS6, kWords6, true, false};
  number -= maps_->buckets6.size();
  if (number < maps_->overflow4.size())
    return {&maps_->overflow4[number].slot[0].key, LVS_OVERFLOW_SLOTS4, kWords4, false, true};
  number -= maps_->overflow4.size();
  if (number >= maps_->overflow6.size()) std::abort();
  return {&maps_->overflow6[number].slot[0].addr[0], LVS_OVERFLOW_SLOTS6, kWords6, true, true};
}

namespace {

SlotCopy decode4(std::uint64_t key) {
  return {{decode_address4(static_cast<__be32>(key)), decode_port(static_cast<__be16>(key >> 32))},
          decode_port(static_cast<__be16>(key >> 48)),
          0};
}

SlotCopy decode6(const std::array<std::uint64_t, 3>& key) {
  __be32 words[4];
  std::memcpy(words, key.data(), sizeof(words));
  return {{decode_address(words, Family::ipv6), decode_port(static_cast<__be16>(key[2]))},
          decode_port(static_cast<__be16>(key[2] >> 16)),
          0};
}

}  // namespace

std::optional<SlotCopy> FlowTable::read(const Bucket& bucket, unsigned slot) {
  // A packet may refresh the slot between our two looks at its word; a flow that is refreshed that often, three times
  // in a row, does not exist.
  constexpr int kTries = 4;
  __u64& word = bucket.state_word(slot);
  for (int i = 0; i < kTries; ++i) {
    const __u64 before = load_word(word);
    if (LVS_WORD_STATE(before) <= LVS_STATE_CLAIMED) return std::nullopt;
    std::array<std::uint64_t, 3> key{};
    for (unsigned k = 0; k + 1 < bucket.stride; ++k)
      key[k] = std::atomic_ref<__u64>(bucket.words[slot * bucket.stride + k]).load(std::memory_order_acquire);
    if (load_word(word) != before) continue;
    SlotCopy copy = bucket.ipv6 ? decode6(key) : decode4(key[0]);
    copy.word = before;
    return copy;
  }
  return std::nullopt;
}

}  // namespace xlvs::dataplane
