// SPDX-License-Identifier: Apache-2.0
#include "health/agent_reply.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "core/bytes.h"

namespace xlvs::health {
namespace {

enum class Meaning { up, drained, down, nothing };

struct Word {
  std::string_view text;
  Meaning meaning;
};

constexpr Word kWords[] = {
    {"up", Meaning::up},     {"ready", Meaning::up},  {"drain", Meaning::drained}, {"maint", Meaning::drained},
    {"down", Meaning::down}, {"fail", Meaning::down}, {"failed", Meaning::down},   {"stopped", Meaning::down},
};
constexpr std::string_view kSeparators = " \t,";
constexpr std::uint32_t kMaxPercent = 10'000;

std::optional<std::uint32_t> number(std::string_view digits) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

std::optional<std::uint32_t> percentage(std::string_view word) {
  if (!word.ends_with('%')) return std::nullopt;
  const auto value = number(word.substr(0, word.size() - 1));
  return value && *value <= kMaxPercent ? value : std::nullopt;
}

std::optional<Meaning> meaning_of(std::string_view word) {
  for (const Word& known : kWords) {
    const auto same = [](char a, char b) { return a == (b >= 'A' && b <= 'Z' ? b | 0x20 : b); };
    if (std::equal(known.text.begin(), known.text.end(), word.begin(), word.end(), same)) return known.meaning;
  }
  constexpr std::string_view kMaxconn = "maxconn:";
  if (word.starts_with(kMaxconn) && number(word.substr(kMaxconn.size()))) return Meaning::nothing;
  return std::nullopt;
}

}  // namespace

ProbeResult read_agent_reply(std::string_view line) {
  const std::string said = fmt::format("the agent says {}", quote_bytes(line));
  line = line.substr(0, line.find('#'));
  bool understood = false;
  bool down = false;
  bool drained = false;
  std::optional<WeightAdvice> weight;
  for (;;) {
    line.remove_prefix(std::min(line.find_first_not_of(kSeparators), line.size()));
    if (line.empty()) break;
    const std::string_view word = line.substr(0, line.find_first_of(kSeparators));
    line.remove_prefix(word.size());
    if (const auto percent = percentage(word)) {
      weight = {WeightAdvice::Unit::percent, *percent};
      understood = true;
    } else if (const auto meaning = meaning_of(word)) {
      down = down || *meaning == Meaning::down;
      drained = drained || *meaning == Meaning::drained;
      understood = understood || *meaning != Meaning::nothing;
    } else {
      return {false, "protocol", fmt::format("{}: {} is no word of agents", said, quote_bytes(word)), {}};
    }
  }
  if (!understood) return {false, "protocol", said, {}};
  if (down) return {false, "down", said, {}};
  if (drained) weight = {WeightAdvice::Unit::percent, 0};
  return {true, "ok", said, {}, weight};
}

}  // namespace xlvs::health
