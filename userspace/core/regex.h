// SPDX-License-Identifier: Apache-2.0
// Regular expressions that an operator wrote, for bytes that a stranger sent: Perl's syntax, every byte a character.
// What a search may cost is bounded whatever the two of them are: time by steps that are counted, not by a clock
// (so the same input always gives the same answer), memory by 1 MiB.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "core/result.h"

namespace xlvs {

class Regex {
 public:
  static constexpr std::size_t kMaxPattern = 1024;

  // The error says what is wrong, and where in the pattern.
  [[nodiscard]] static Result<Regex> compile(std::string_view pattern);

  enum class Found { yes, no, gave_up };
  // Looks for a match anywhere in `subject`. `steps` is what it may cost and is lowered by what it did cost: about one
  // for each item of the pattern that was tried and for each byte that it moved over. gave_up: none were left.
  [[nodiscard]] Found search(std::string_view subject, std::uint64_t& steps) const;

 private:
  struct Compiled;
  explicit Regex(std::shared_ptr<const Compiled> compiled) : compiled_(std::move(compiled)) {}

  std::shared_ptr<const Compiled> compiled_;
};

}  // namespace xlvs
