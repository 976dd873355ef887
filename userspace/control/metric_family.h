// SPDX-License-Identifier: Apache-2.0
// A metric with its samples, as the parts of render_metrics() write it.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <prometheus/metric_family.h>

namespace xlvs::control {

using Labels = std::vector<prometheus::ClientMetric::Label>;

// Collects samples, and joins `out` when it is complete.
class Family {
 public:
  Family(std::vector<prometheus::MetricFamily>& out, std::string name, std::string help, prometheus::MetricType type)
      : out_(out), family_{std::move(name), std::move(help), type, {}} {}
  ~Family() {  // a family without a sample is not shown
    if (!family_.metric.empty()) out_.push_back(std::move(family_));
  }
  Family(const Family&) = delete;
  Family& operator=(const Family&) = delete;

  void add(const Labels& labels, double value) {
    prometheus::ClientMetric metric;
    metric.label = labels;
    (family_.type == prometheus::MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
    family_.metric.push_back(std::move(metric));
  }

 private:
  std::vector<prometheus::MetricFamily>& out_;
  prometheus::MetricFamily family_;
};

[[nodiscard]] inline double number(std::uint64_t value) {
  return static_cast<double>(value);
}
[[nodiscard]] inline double number(bool value) {
  return value ? 1 : 0;
}

}  // namespace xlvs::control
