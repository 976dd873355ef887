// SPDX-License-Identifier: Apache-2.0
// Which sequence numbers have been seen, of the last kWidth at least (the ring of RFC 6479). Pure.
#pragma once

#include <array>
#include <cstdint>

namespace xlvs::ha {

class ReplayWindow {
 public:
  static constexpr std::uint64_t kWidth = 1024;

  // True once for each number from 1 on; false for a repeated one, for one that is kWidth or more behind the greatest,
  // and for 0. `number`: below 2^63.
  [[nodiscard]] bool take(std::uint64_t number) {
    if (number == 0 || number + kWidth <= greatest_) return false;
    const std::uint64_t word = number / kBits;
    if (number > greatest_) {
      // Words between the old and the new greatest begin empty; more than a whole ring of them is the whole ring.
      const std::uint64_t steps = word - greatest_ / kBits;
      for (std::uint64_t i = 1; i <= steps && i <= kWords; ++i) seen_[(greatest_ / kBits + i) % kWords] = 0;
      greatest_ = number;
    }
    const std::uint64_t bit = std::uint64_t{1} << number % kBits;
    if ((seen_[word % kWords] & bit) != 0) return false;
    seen_[word % kWords] |= bit;
    return true;
  }
  [[nodiscard]] std::uint64_t greatest() const { return greatest_; }

 private:
  static constexpr std::uint64_t kBits = 64;
  static constexpr std::uint64_t kWords = kWidth / kBits + 1;  // the newest word is only partly in use

  std::uint64_t greatest_ = 0;
  std::array<std::uint64_t, kWords> seen_{};
};

}  // namespace xlvs::ha
