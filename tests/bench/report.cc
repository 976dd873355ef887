// SPDX-License-Identifier: Apache-2.0
#include "report.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace xlvs::bench {
namespace {

double median_of(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

VariantKey floor_for(const VariantKey& key) {
  return {key.program == Program::nat_reply ? Program::reply_floor : Program::floor, key.ipv6, 1, false};
}

// The line that a flood touches is any of the whole table, as with the largest number of flows.
const std::vector<double>* limit_for(const Samples& samples, const VariantKey& key) {
  if (key.program < Program::dr || key.flows == 1) return nullptr;
  const std::vector<double>* found = nullptr;
  for (const auto& [other, values] : samples)
    if (other.program == Program::limit && other.ipv6 == key.ipv6 && (key.flows == 0 || other.flows == key.flows))
      found = &values;
  return found;
}

std::string flows_text(std::uint32_t flows) {
  if (flows == 0) return "all new";
  if (flows >= 1U << 20U) return fmt::format("{}M", flows >> 20U);
  if (flows >= 1U << 10U) return fmt::format("{}k", flows >> 10U);
  return fmt::format("{}", flows);
}

const Row* find(const std::vector<Row>& rows, std::uint32_t flows) {
  for (const Row& row : rows)
    if (row.key == VariantKey{Program::dr, false, flows, false}) return &row;
  return nullptr;
}

struct Aim {
  std::uint32_t flows;
  std::optional<double> nanoseconds;
  std::optional<double> ratio;
};
constexpr std::uint32_t kAimSlots = 1U << 21U;
constexpr Aim kAims[] = {{1, 35, {}}, {1U << 16U, {}, 2.0}, {1U << 20U, {}, 2.2}};

std::string aims_text(const std::vector<Row>& rows) {
  std::string text;
  for (const Aim& aim : kAims) {
    const Row* row = find(rows, aim.flows);
    if (row == nullptr || (aim.ratio && !row->ratio)) continue;
    const double reached = aim.ratio ? *row->ratio : row->median;
    const double wanted = aim.ratio ? *aim.ratio : *aim.nanoseconds;
    text += fmt::format("aim: lvs dr, IPv4, {} flow{}: <= {:.1f} {}: {:.2f}, {}\n", flows_text(aim.flows),
                        aim.flows == 1 ? "" : "s", wanted, aim.ratio ? "x the limit" : "ns", reached,
                        reached <= wanted ? "met" : "MISSED");
  }
  return text;
}

Row summarize_one(const Samples& samples, const VariantKey& key, const std::vector<double>& values) {
  const bool is_floor = key.program == Program::floor || key.program == Program::reply_floor;
  const std::vector<double>& floor = samples.at(floor_for(key));
  const std::vector<double>* limit = limit_for(samples, key);
  VariantKey ours = key;
  ours.other = false;
  std::vector<double> net, ratios, differences;
  for (std::size_t round = 0; round < values.size(); ++round) {
    net.push_back(is_floor ? values[round] : values[round] - floor[round]);
    if (limit != nullptr) ratios.push_back(net.back() / ((*limit)[round] - floor[round]));
    if (key.other) differences.push_back(values[round] - samples.at(ours)[round]);
  }
  const auto [minimum, maximum] = std::minmax_element(net.begin(), net.end());
  Row row{key, *minimum, median_of(net), *maximum, {}, {}};
  if (!ratios.empty()) row.ratio = median_of(ratios);
  if (!differences.empty()) row.difference = median_of(differences);
  return row;
}

}  // namespace

std::vector<Row> summarize(const Samples& samples) {
  std::vector<Row> rows;
  for (const auto& [key, values] : samples) rows.push_back(summarize_one(samples, key, values));
  return rows;
}

std::string as_table(const std::vector<Row>& rows, const Conditions& conditions) {
  std::string text =
      fmt::format("{} slots, {}, {} packets per sample, {} rounds, CPU {}\n", conditions.options.slots,
                  conditions.options.udp ? "UDP" : "TCP", conditions.packets, conditions.rounds, conditions.cpu);
  text += "net ns per packet (less the floor of the same round; the floor itself is gross)\n\n";
  for (const bool ipv6 : {false, true}) {
    if (std::none_of(rows.begin(), rows.end(), [&](const Row& row) { return row.key.ipv6 == ipv6; })) continue;
    text += fmt::format("{:<5} {:<16} {:>8} {:>9} {:>9} {:>9} {:>12}\n", ipv6 ? "IPv6" : "IPv4", "program", "flows",
                        "min", "median", "max", "x the limit");
    for (const Row& row : rows) {
      if (row.key.ipv6 != ipv6) continue;
      text += fmt::format("{:<5} {:<16} {:>8} {:>9.1f} {:>9.1f} {:>9.1f} {:>12} {}\n", row.key.other ? "other" : "",
                          name_of(row.key.program), flows_text(row.key.flows), row.minimum, row.median, row.maximum,
                          row.ratio ? fmt::format("{:.2f}", *row.ratio) : "",
                          row.difference ? fmt::format("{:+.1f}", *row.difference) : "");
    }
    text += "\n";
  }
  return conditions.options.slots == kAimSlots ? text + aims_text(rows) : text;
}

std::string as_json(const std::vector<Row>& rows, const Conditions& conditions) {
  nlohmann::json document{{"slots", conditions.options.slots},
                          {"protocol", conditions.options.udp ? "udp" : "tcp"},
                          {"packets_per_sample", conditions.packets},
                          {"rounds", conditions.rounds},
                          {"rows", nlohmann::json::array()}};
  for (const Row& row : rows) {
    nlohmann::json entry{{"program", name_of(row.key.program)},
                         {"family", row.key.ipv6 ? "ipv6" : "ipv4"},
                         {"flows", row.key.flows},
                         {"net_ns_min", row.minimum},
                         {"net_ns_median", row.median},
                         {"net_ns_max", row.maximum}};
    if (row.ratio) entry["ratio_to_limit"] = *row.ratio;
    if (row.difference) entry["other_minus_ours_ns"] = *row.difference;
    document["rows"].push_back(std::move(entry));
  }
  return document.dump(2);
}

}  // namespace xlvs::bench
