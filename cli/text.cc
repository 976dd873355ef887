// SPDX-License-Identifier: Apache-2.0
#include "cli/text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <numeric>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace xlvs::cli {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t seconds;
};
constexpr std::array<Unit, 4> kUnits{{{"d", 86400}, {"h", 3600}, {"m", 60}, {"s", 1}}};
constexpr std::size_t kFew = 8;

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string humanise(double seconds) {
  auto rest = seconds > 0 ? static_cast<std::uint64_t>(seconds) : 0;
  for (std::size_t i = 0; i < kUnits.size(); ++i) {
    const std::uint64_t count = rest / kUnits[i].seconds;
    if (count == 0) continue;
    rest -= count * kUnits[i].seconds;
    std::string text = fmt::format("{}{}", count, kUnits[i].name);
    if (i + 1 < kUnits.size() && rest / kUnits[i + 1].seconds > 0) {
      text += fmt::format("{}{}", rest / kUnits[i + 1].seconds, kUnits[i + 1].name);
    }
    return text;
  }
  return "0s";
}

std::string humanise_latency(double seconds) {
  if (seconds < 0.001) return fmt::format("{:.0f}us", seconds * 1e6);
  return seconds < 1 ? fmt::format("{:.1f}ms", seconds * 1e3) : fmt::format("{:.2f}s", seconds);
}

Result<std::chrono::milliseconds> parse_duration(const std::string& text) {
  static constexpr std::array<std::pair<std::string_view, double>, 4> kFactors{
      {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}}};
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  for (const auto& [name, factor] : kFactors) {
    if (error != std::errc() || unit != name) continue;
    const double milliseconds = std::round(number * factor);
    if (milliseconds < 10 || milliseconds > 86'400'000) break;
    return std::chrono::milliseconds(static_cast<std::int64_t>(milliseconds));
  }
  return fail(ErrorKind::invalid, "'{}' is not a duration of 10ms to 24h, like 1s or 500ms", text);
}

std::string printable(std::string_view text, bool keep_lines) {
  std::string shown;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte >= 0x20 && byte != 0x7f) || (keep_lines && c == '\n')) {
      shown += c;
    } else {
      shown += fmt::format("\\x{:02x}", byte);
    }
  }
  return shown;
}

std::vector<std::string> closest(std::string_view wanted, std::vector<std::string> candidates) {
  std::vector<std::pair<std::size_t, std::string>> ranked;
  for (std::string& candidate : candidates) {
    const bool part = !wanted.empty() && candidate.find(wanted) != std::string::npos;
    const std::size_t distance = part ? 0 : edit_distance(wanted, candidate);
    if (distance <= std::max<std::size_t>(2, wanted.size() / 3)) ranked.emplace_back(distance, std::move(candidate));
  }
  std::sort(ranked.begin(), ranked.end());
  ranked.erase(std::unique(ranked.begin(), ranked.end()), ranked.end());
  if (ranked.size() > kFew) ranked.resize(kFew);
  std::vector<std::string> names;
  for (auto& [distance, name] : ranked) names.push_back(std::move(name));
  return names;
}

std::string did_you_mean(std::string_view wanted, const std::vector<std::string>& candidates) {
  const auto close = closest(wanted, candidates);
  return close.empty() ? "" : fmt::format("; did you mean {}?", fmt::join(close, ", "));
}

std::string plural(std::size_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

}  // namespace xlvs::cli
