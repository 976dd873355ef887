// SPDX-License-Identifier: Apache-2.0
// bench_checks: lvsd's health checks at scale. The monitor of lvsd runs on one CPU, the servers that it checks on
// another, in a network namespace of their own, each backend with its own address of loopback.
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <nlohmann/json.hpp>

#include "check_server.h"
#include "core/check_type.h"
#include "health/files.h"
#include "health/health.h"

namespace xlvs::bench {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr std::uint16_t kTcpPort = 7001;
constexpr std::uint16_t kHttpPort = 7002;

struct Settings {
  std::vector<std::string> runs{"tcp=10000", "http=5000"};
  unsigned interval_ms = 2000;
  unsigned seconds = 30;
  unsigned cpu = 0;
  unsigned server_cpu = 1;
  std::string json;
};

struct Figures {
  std::string type;
  unsigned backends = 0;
  std::uint64_t checks = 0, failed = 0;
  double per_second = 0, expected_per_second = 0;
  std::vector<std::pair<double, std::string>> lateness = {};  // quantile, at most so much
  double mean_ms = 0;
  double cpu = 0;  // of one core
  double memory_mib = 0, memory_before_mib = 0;
};

// 127.1.0.1, 127.1.0.2, ...
IpAddress loopback(unsigned n) {
  const unsigned host = n + 1;
  return IpAddress::v4({127, static_cast<std::uint8_t>(1 + (host >> 16)), static_cast<std::uint8_t>(host >> 8),
                        static_cast<std::uint8_t>(host)});
}

Config configuration(const std::string& type, unsigned backends, const Settings& settings) {
  Config config;
  ServiceConfig& service = config.services.emplace_back();
  service.name = type;
  CheckSpec& check = service.checks.emplace_back();
  check.type = type;
  check.interval = Milliseconds(settings.interval_ms);
  check.timeout = std::min(check.timeout, check.interval);
  for (const CheckParam& param : find_check_type(type)->params)
    if (param.default_value) check.params.emplace(param.name, *param.default_value);
  for (unsigned i = 0; i < backends; ++i) {
    BackendConfig backend;
    backend.address = loopback(i);
    backend.port = type == "tcp" ? kTcpPort : kHttpPort;
    service.backends.push_back(backend);
  }
  return config;
}

double memory_mib() {
  std::ifstream file("/proc/self/statm");
  std::uint64_t total = 0;
  std::uint64_t resident = 0;
  file >> total >> resident;
  return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1 << 20);
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

using Counts = decltype(health::Lateness::counts);

std::string quantile(const Counts& counts, double share) {
  std::uint64_t total = 0;
  for (const std::uint64_t count : counts) total += count;
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < health::Lateness::kBounds.size(); ++i) {
    seen += counts[i];
    if (static_cast<double>(seen) >= share * static_cast<double>(total))
      return fmt::format("<{} ms", health::Lateness::kBounds[i].count());
  }
  return "more";
}

struct Totals {
  std::uint64_t passed = 0, failed = 0;
};

Totals totals(const health::Monitor& monitor, const Config& config) {
  Totals sum;
  for (const BackendConfig& backend : config.services[0].backends) {
    const health::Health* health = monitor.find({config.services[0].name, backend.endpoint()});
    sum.passed += health->checks_passed;
    sum.failed += health->checks_failed;
  }
  return sum;
}

void run_for(boost::asio::io_context& loop, std::chrono::milliseconds time) {
  boost::asio::steady_timer timer(loop, time);
  timer.async_wait([&](boost::system::error_code) { loop.stop(); });
  loop.restart();
  loop.run();
}

// All backends have been checked once, and their starts are spread, when the measurement begins.
Figures measure(const std::string& type, unsigned backends, const Settings& settings) {
  const Config config = configuration(type, backends, settings);
  boost::asio::io_context loop(1);
  Figures figures{.type = type, .backends = backends, .memory_before_mib = memory_mib()};
  health::Monitor monitor(loop, [](const BackendRef&, const health::Health&, health::Life::Change) {});
  monitor.set(config);
  run_for(loop, std::chrono::milliseconds(std::max(2 * settings.interval_ms, backends + settings.interval_ms)));

  const Totals before = totals(monitor, config);
  const health::Lateness late_before = monitor.lateness();
  const double cpu_before = cpu_seconds();
  const auto begin = Clock::now();
  run_for(loop, std::chrono::seconds(settings.seconds));
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  figures.cpu = (cpu_seconds() - cpu_before) / seconds;
  const Totals after = totals(monitor, config);
  Counts counts = monitor.lateness().counts;
  for (std::size_t i = 0; i < counts.size(); ++i) counts[i] -= late_before.counts[i];

  figures.checks = after.passed - before.passed;
  figures.failed = after.failed - before.failed;
  figures.per_second = static_cast<double>(figures.checks) / seconds;
  figures.expected_per_second = backends * 1000.0 / settings.interval_ms;
  for (const double share : {0.5, 0.99, 0.999}) figures.lateness.emplace_back(share, quantile(counts, share));
  const std::chrono::duration<double, std::milli> late = monitor.lateness().sum - late_before.sum;
  figures.mean_ms = late.count() / static_cast<double>(std::max<std::uint64_t>(figures.checks + figures.failed, 1));
  figures.memory_mib = memory_mib();
  return figures;
}

void print(const std::vector<Figures>& rows, const Settings& settings) {
  fmt::print("every {} ms, measured for {} s; checks on CPU {}, servers on CPU {}\n\n", settings.interval_ms,
             settings.seconds, settings.cpu, settings.server_cpu);
  fmt::print("{:<6} {:>9} {:>9} {:>9} {:>7} {:>9} {:>9} {:>9} {:>9} {:>6} {:>10}\n", "type", "backends", "checks/s",
             "due/s", "failed", "late p50", "p99", "p99.9", "mean", "CPU", "memory");
  for (const Figures& row : rows)
    fmt::print("{:<6} {:>9} {:>9.0f} {:>9.0f} {:>7} {:>9} {:>9} {:>9} {:>6.2f} ms {:>5.0f}% {:>6.1f} MiB\n", row.type,
               row.backends, row.per_second, row.expected_per_second, row.failed, row.lateness[0].second,
               row.lateness[1].second, row.lateness[2].second, row.mean_ms, row.cpu * 100,
               row.memory_mib - row.memory_before_mib);
}

Result<void> write_json(const std::vector<Figures>& rows, const Settings& settings) {
  nlohmann::json document{{"interval_ms", settings.interval_ms}, {"seconds", settings.seconds}};
  for (const Figures& row : rows) {
    nlohmann::json entry{{"type", row.type},
                         {"backends", row.backends},
                         {"checks", row.checks},
                         {"failed", row.failed},
                         {"checks_per_second", row.per_second},
                         {"lateness_mean_ms", row.mean_ms},
                         {"cpu", row.cpu},
                         {"memory_mib", row.memory_mib - row.memory_before_mib}};
    for (const auto& [share, bound] : row.lateness) entry["lateness"][fmt::format("{:g}", share)] = bound;
    document["runs"].push_back(std::move(entry));
  }
  std::ofstream file(settings.json);
  file << document.dump(2) << '\n';
  if (!file.flush()) return fail(ErrorKind::unavailable, "{}: can not be written", settings.json);
  return {};
}

Result<std::pair<std::string, unsigned>> parse_run(const std::string& text) {
  const auto equals = text.find('=');
  const std::string type = text.substr(0, equals);
  if (equals == std::string::npos || (type != "tcp" && type != "http"))
    return fail(ErrorKind::invalid, "{}: expected tcp=NUMBER or http=NUMBER", text);
  return std::pair(type, static_cast<unsigned>(std::stoul(text.substr(equals + 1))));
}

// A namespace of its own: loopback only, no firewall, no connection tracking, nothing of the machine's.
Result<void> isolate() {
  if (unshare(CLONE_NEWNET) != 0) return fail(ErrorKind::permission, "unshare: {}: needs root", std::strerror(errno));
  if (std::system("ip link set lo up && sysctl -qw net.core.somaxconn=65535 net.ipv4.tcp_max_syn_backlog=65535") != 0)
    return fail(ErrorKind::unavailable, "the loopback interface can not be set up");
  return {};
}

Result<void> run(const Settings& settings) {
  if (auto done = isolate(); !done) return done;
  if (auto done = health::raise_file_limit(); !done) return tl::make_unexpected(done.error());
  const auto server = CheckServer::start(settings.server_cpu, kTcpPort, kHttpPort);
  if (!server) return tl::make_unexpected(server.error());
  if (auto done = pin_to_cpu(settings.cpu); !done) return done;
  std::vector<Figures> rows;
  for (const std::string& text : settings.runs) {
    const auto wanted = parse_run(text);
    if (!wanted) return tl::make_unexpected(wanted.error());
    rows.push_back(measure(wanted->first, wanted->second, settings));
  }
  print(rows, settings);
  return settings.json.empty() ? Result<void>{} : write_json(rows, settings);
}

}  // namespace
}  // namespace xlvs::bench

int main(int argc, char** argv) {
  using namespace xlvs::bench;
  CLI::App app{"Health checks at scale: lateness, CPU and memory"};
  Settings settings;
  app.add_option("--run", settings.runs, "TYPE=BACKENDS, one after the other")->capture_default_str();
  app.add_option("--interval", settings.interval_ms, "of each check, in ms")->capture_default_str();
  app.add_option("--seconds", settings.seconds, "per run")->check(CLI::Range(1, 3600))->capture_default_str();
  app.add_option("--cpu", settings.cpu, "of the checks")->capture_default_str();
  app.add_option("--server-cpu", settings.server_cpu, "of the servers")->capture_default_str();
  app.add_option("--json", settings.json, "write the figures to this file too");
  CLI11_PARSE(app, argc, argv);
  std::signal(SIGPIPE, SIG_IGN);
  if (const auto done = run(settings); !done) {
    fmt::print(stderr, "bench_checks: {}\n", done.error().message);
    return 1;
  }
  return 0;
}
