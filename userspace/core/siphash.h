// SPDX-License-Identifier: Apache-2.0
// SipHash-2-4 (Aumasson and Bernstein, 2012): a keyed hash with the same result on every machine.
#pragma once

#include <cstdint>
#include <span>

namespace xlvs {

struct SipKey {
  std::uint64_t k0 = 0;
  std::uint64_t k1 = 0;
};

[[nodiscard]] std::uint64_t siphash(const SipKey& key, std::span<const std::uint8_t> data);

}  // namespace xlvs
