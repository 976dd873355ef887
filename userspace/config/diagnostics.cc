// SPDX-License-Identifier: Apache-2.0
#include "config/diagnostics.h"

#include <algorithm>
#include <limits>
#include <tuple>

namespace xlvs::config {
namespace {

constexpr std::size_t kMaxShown = 80;

// How many letters must be added, removed, replaced or swapped with their neighbour (optimal string alignment).
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before;  // the row of i - 2
  std::vector<std::size_t> above(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    before = std::exchange(above, row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row[b.size()];
}

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

}  // namespace

std::string Diagnostic::to_string() const {
  if (line == 0) return fmt::format("{}: {}", file, message);
  return fmt::format("{}:{}:{}: {}", file, line, column, message);
}

void Diagnostics::add(const Position& where, std::string message) {
  std::replace_if(message.begin(), message.end(), is_control, '?');  // whatever way the text found came into it
  found_.emplace_back(where, std::move(message));
  if (found_.size() == kMaxReported) {
    found_.emplace_back(Position{where.source, std::numeric_limits<int>::max(), 0},
                        fmt::format("stopped after {} errors", kMaxReported));
    throw TooManyErrors();
  }
}

std::string Diagnostics::place(const Position& where) const {
  return fmt::format("{}:{}:{}", sources_[where.source].name, where.line, where.column);
}

std::vector<Diagnostic> Diagnostics::take() {
  std::stable_sort(found_.begin(), found_.end(), [](const auto& a, const auto& b) {
    return std::tie(a.first.source, a.first.line, a.first.column) <
           std::tie(b.first.source, b.first.line, b.first.column);
  });
  std::vector<Diagnostic> result;
  for (auto& [where, message] : found_) {
    const std::string file = sources_.empty() ? std::string{} : sources_[where.source].name;
    const bool whole_file = where.line == std::numeric_limits<int>::max();
    result.push_back({file, whole_file ? 0 : where.line, where.column, std::move(message)});
  }
  found_.clear();
  return result;
}

std::string quote(std::string_view text) {
  std::string result = "'";
  for (const char c : text.substr(0, kMaxShown)) result += is_control(c) ? '?' : c;
  if (text.size() > kMaxShown) {
    while ((static_cast<unsigned char>(result.back()) & 0x80) != 0) result.pop_back();  // no half of a UTF-8 sequence
    result += "...";
  }
  return result + "'";
}

std::string suggestion(std::string_view text, std::span<const std::string_view> valid) {
  std::string_view nearest;
  std::size_t best = 3;
  for (const std::string_view candidate : valid) {
    const std::size_t tolerated = std::clamp<std::size_t>(candidate.size() / 3, 1, 2);
    if (text.size() > candidate.size() + tolerated || candidate.size() > text.size() + tolerated) continue;
    const std::size_t steps = distance(text, candidate);
    if (steps < best && steps <= tolerated) {
      best = steps;
      nearest = candidate;
    }
  }
  return nearest.empty() ? std::string{} : fmt::format(" (did you mean '{}'?)", nearest);
}

}  // namespace xlvs::config
