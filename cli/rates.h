// SPDX-License-Identifier: Apache-2.0
// Rates from two samples of monotonic counters. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "control/json.h"

namespace xlvs::cli {

// Per second; nullopt where there is no rate: not in both samples, or the counter went back (lvsd --reset).
struct TrafficRate {
  std::optional<double> flows, in_packets, in_bytes, out_packets, out_bytes;
};
struct BackendRate {
  std::string address;
  TrafficRate rate;
};
struct ServiceRate {
  std::string name;
  TrafficRate rate;
  std::vector<BackendRate> backends;
};
struct ReasonRate {
  std::string name, verdict, text;
  std::optional<double> packets;
};
struct Rates {
  double from = 0, to = 0;  // when the samples were taken, by lvsd's clock
  std::vector<ServiceRate> services;
  std::vector<ReasonRate> reasons;
};

// What is in `after`, in its order. invalid: no time has passed between the samples.
[[nodiscard]] Result<Rates> rates_between(const control::StatsReport& before, const control::StatsReport& after);
[[nodiscard]] control::Json to_json(const Rates& rates);

}  // namespace xlvs::cli
