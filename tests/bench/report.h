// SPDX-License-Identifier: Apache-2.0
// From raw samples to what is printed: net of the floor, as a ratio to the limit, and against the aims.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "variant.h"

namespace xlvs::bench {

// One sample per round; the same index in two rows means the same round.
using Samples = std::map<VariantKey, std::vector<double>>;

struct Row {
  VariantKey key;
  double minimum = 0, median = 0, maximum = 0;  // net ns per packet
  std::optional<double> ratio;                  // to the limit: the median over the rounds of the ratio in each
  std::optional<double> difference;             // of the other build's program to ours, in ns, likewise
};

// The net of a round is its sample less the same round's floor of the same direction and address family.
[[nodiscard]] std::vector<Row> summarize(const Samples& samples);

struct Conditions {
  unsigned cpu = 0;
  unsigned rounds = 0;
  std::uint32_t packets = 0;
  VariantOptions options;
};

[[nodiscard]] std::string as_table(const std::vector<Row>& rows, const Conditions& conditions);
[[nodiscard]] std::string as_json(const std::vector<Row>& rows, const Conditions& conditions);

}  // namespace xlvs::bench
