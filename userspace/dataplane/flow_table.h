// SPDX-License-Identifier: Apache-2.0
// The flow table as lvsd reads it, while the XDP program changes it. Buckets are numbered through: IPv4, IPv6, then the
// overflow entries of each.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "core/ip.h"
#include "dataplane/maps.h"

namespace xlvs::dataplane {

struct Bucket {
  __u64* words = nullptr;
  unsigned slots = 0;
  unsigned stride = 0;  // words in a slot; the state word is the last
  bool ipv6 = false;
  bool overflow = false;

  [[nodiscard]] __u64& state_word(unsigned slot) const { return words[slot * stride + stride - 1]; }
};

// A slot's key and word, that belong together.
struct SlotCopy {
  Endpoint client;
  std::uint16_t destination_port = 0;
  std::uint64_t word = 0;
};

class FlowTable {
 public:
  explicit FlowTable(const Maps& maps) : maps_(&maps) {}
  [[nodiscard]] std::size_t bucket_count() const;
  [[nodiscard]] Bucket bucket(std::size_t number) const;
  // nullopt: free, being written, or changing hands too fast.
  [[nodiscard]] static std::optional<SlotCopy> read(const Bucket& bucket, unsigned slot);

 private:
  const Maps* maps_;
};

}  // namespace xlvs::dataplane
