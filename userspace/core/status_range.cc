// SPDX-License-Identifier: Apache-2.0
#include "core/status_range.h"

#include <fmt/format.h>

namespace xlvs {

std::string to_string(const std::vector<StatusRange>& ranges) {
  std::string text;
  for (const StatusRange& range : ranges) {
    if (!text.empty()) text += ", ";
    text += range.first == range.last ? fmt::to_string(range.first) : fmt::format("{}-{}", range.first, range.last);
  }
  return text;
}

}  // namespace xlvs
