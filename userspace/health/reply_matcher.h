// SPDX-License-Identifier: Apache-2.0
// Compares a reply with what is expected of it, as its bytes arrive. Private to health/.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/regex.h"
#include "health/health.h"

namespace xlvs::health {

inline constexpr std::size_t kMaxReply = 4096;           // of which a regular expression must match a part
inline constexpr std::uint64_t kRegexSteps = 1'000'000;  // some 50 ms of one core, for all searches of one probe

// Exactly one of the two: the reply begins with `prefix` (empty: any byte will do), or `regex` matches it somewhere.
struct Expectation {
  std::string prefix;
  std::optional<Regex> regex;
};

class ReplyMatcher {
 public:
  explicit ReplyMatcher(const Expectation& expected) : expected_(expected) {}
  // More of the reply has come: the result, or nullopt while it depends on what else comes.
  [[nodiscard]] std::optional<ProbeResult> feed(std::string_view bytes);
  // It ended before that.
  [[nodiscard]] ProbeResult ended() const;
  [[nodiscard]] bool empty() const { return reply_.empty(); }

 private:
  [[nodiscard]] std::optional<ProbeResult> compare() const;
  [[nodiscard]] std::optional<ProbeResult> search();

  const Expectation& expected_;
  std::string reply_;  // at most kMaxReply bytes
  std::uint64_t steps_ = kRegexSteps;
};

}  // namespace xlvs::health
