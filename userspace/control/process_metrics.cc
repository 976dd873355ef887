// SPDX-License-Identifier: Apache-2.0
#include "control/process_metrics.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include <prometheus/text_serializer.h>
#include <sys/resource.h>
#include <unistd.h>

namespace xlvs::control {
namespace {

using prometheus::MetricFamily;
using prometheus::MetricType;

MetricFamily family(const char* name, const char* help, MetricType type, double value) {
  prometheus::ClientMetric metric;
  (type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
  return {name, help, type, {metric}};
}

void add_cpu(std::vector<MetricFamily>& out) {
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) != 0) return;
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  out.push_back(family("process_cpu_seconds_total", "User and system CPU time spent.", MetricType::Counter,
                       seconds(usage.ru_utime) + seconds(usage.ru_stime)));
}

void add_memory(std::vector<MetricFamily>& out) {
  std::ifstream statm("/proc/self/statm");
  double pages = 0, resident = 0;
  if (!(statm >> pages >> resident)) return;
  const auto page = static_cast<double>(sysconf(_SC_PAGESIZE));
  out.push_back(family("process_virtual_memory_bytes", "Virtual memory size.", MetricType::Gauge, pages * page));
  out.push_back(family("process_resident_memory_bytes", "Resident memory size, the flow table's shared pages included.",
                       MetricType::Gauge, resident * page));
}

void add_descriptors(std::vector<MetricFamily>& out) {
  std::error_code error;
  const std::filesystem::directory_iterator open("/proc/self/fd", error);
  if (!error) {  // one of them is the iterator's own
    const auto count = std::distance(begin(open), end(open)) - 1;
    out.push_back(family("process_open_fds", "Open file descriptors.", MetricType::Gauge, static_cast<double>(count)));
  }
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    out.push_back(family("process_max_fds", "Limit of open file descriptors.", MetricType::Gauge,
                         static_cast<double>(limit.rlim_cur)));
  }
}

}  // namespace

std::string render_process_metrics() {
  std::vector<MetricFamily> families;
  add_cpu(families);
  add_memory(families);
  add_descriptors(families);
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace xlvs::control
