// SPDX-License-Identifier: Apache-2.0
// bench_mpps: packets per second over the paths that tests/bench/mpps has built, one after the other, round by round.
#include <bpf/libbpf.h>
#include <sched.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "path.h"

namespace xlvs::bench {
namespace {

struct Settings {
  std::vector<std::string> paths;  // NAME=PREFIX[:redirect|:translated]
  unsigned rounds = 7;
  std::uint32_t packets = 2000000;
  std::uint32_t flows = 1024;
  int cpu = 0;
  std::string json;
};

struct Summary {
  std::string name;
  double minimum, median, maximum;  // Mpps
  double lost;                      // share, median
  double ratio;                     // to the first path: median over the rounds
};

int warnings_only(libbpf_print_level level, const char* format, va_list arguments) {
  return level == LIBBPF_WARN ? std::vfprintf(stderr, format, arguments) : 0;
}

Result<PathOptions> parse_path(const std::string& text, std::uint32_t flows) {
  const auto equals = text.find('=');
  if (equals == std::string::npos) return fail(ErrorKind::invalid, "--path {}: expected NAME=PREFIX[:KIND]", text);
  const auto colon = text.find(':', equals);
  const std::string kind = colon == std::string::npos ? "" : text.substr(colon + 1);
  if (!kind.empty() && kind != "redirect" && kind != "translated")
    return fail(ErrorKind::invalid, "--path {}: '{}' is neither redirect nor translated", text, kind);
  return PathOptions{.name = text.substr(0, equals),
                     .prefix = text.substr(equals + 1, colon == std::string::npos ? colon : colon - equals - 1),
                     .bare_redirect = kind == "redirect",
                     .translated = kind == "translated",
                     .flows = flows};
}

using Rounds = std::vector<std::vector<PathSample>>;  // [path][round]

Result<Rounds> measure(const Settings& settings, const std::vector<std::unique_ptr<Path>>& paths) {
  Rounds samples(paths.size());
  for (const auto& path : paths)
    if (auto done = path->warm_up(); !done) return tl::make_unexpected(done.error());
  for (unsigned round = 0; round < settings.rounds; ++round) {
    for (std::size_t i = 0; i < paths.size(); ++i) {
      const auto sample = paths[i]->measure(settings.packets);
      if (!sample) return tl::make_unexpected(sample.error());
      samples[i].push_back(*sample);
    }
    fmt::print(stderr, "\rround {} of {}", round + 1, settings.rounds);
  }
  fmt::print(stderr, "\r{:20}\r", "");
  return samples;
}

double median_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

Summary summarize(const std::string& name, const std::vector<PathSample>& samples,
                  const std::vector<PathSample>& reference) {
  std::vector<double> mpps, lost, ratios;
  for (std::size_t round = 0; round < samples.size(); ++round) {
    mpps.push_back(samples[round].mpps);
    lost.push_back(samples[round].lost);
    ratios.push_back(samples[round].mpps / reference[round].mpps);
  }
  return {name,
          *std::min_element(mpps.begin(), mpps.end()),
          median_of(mpps),
          *std::max_element(mpps.begin(), mpps.end()),
          median_of(lost),
          median_of(ratios)};
}

void print(const std::vector<Summary>& rows, const Settings& settings) {
  fmt::print("{} packets per sample, {} rounds, {} UDP flows, all on CPU {}, source and sink included\n\n",
             settings.packets, settings.rounds, settings.flows, settings.cpu);
  fmt::print("{:<20} {:>8} {:>8} {:>8} {:>8} {:>14}\n", "Mpps", "min", "median", "max", "lost", "of the first");
  for (const Summary& row : rows)
    fmt::print("{:<20} {:>8.2f} {:>8.2f} {:>8.2f} {:>7.1f}% {:>14.2f}\n", row.name, row.minimum, row.median,
               row.maximum, row.lost * 100, row.ratio);
}

Result<void> write_json(const std::vector<Summary>& rows, const Settings& settings) {
  nlohmann::json document{{"packets", settings.packets}, {"rounds", settings.rounds}, {"flows", settings.flows}};
  for (const Summary& row : rows)
    document["paths"].push_back({{"name", row.name},
                                 {"mpps_min", row.minimum},
                                 {"mpps_median", row.median},
                                 {"mpps_max", row.maximum},
                                 {"lost", row.lost},
                                 {"ratio_to_first", row.ratio}});
  std::ofstream file(settings.json);
  file << document.dump(2) << '\n';
  if (!file.flush()) return fail(ErrorKind::unavailable, "{}: can not be written", settings.json);
  return {};
}

Result<void> run(const Settings& settings) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<unsigned>(settings.cpu), &set);
  if (sched_setaffinity(0, sizeof set, &set) != 0)
    return fail(ErrorKind::invalid, "pin to CPU {}: {}", settings.cpu, std::strerror(errno));
  std::vector<std::unique_ptr<Path>> paths;
  for (const std::string& text : settings.paths) {
    const auto options = parse_path(text, settings.flows);
    if (!options) return tl::make_unexpected(options.error());
    auto path = Path::open(*options);
    if (!path) return tl::make_unexpected(path.error());
    paths.push_back(std::move(*path));
  }
  const auto samples = measure(settings, paths);
  if (!samples) return tl::make_unexpected(samples.error());
  std::vector<Summary> rows;
  for (std::size_t i = 0; i < paths.size(); ++i)
    rows.push_back(summarize(paths[i]->name(), (*samples)[i], samples->front()));
  print(rows, settings);
  return settings.json.empty() ? Result<void>{} : write_json(rows, settings);
}

}  // namespace
}  // namespace xlvs::bench

int main(int argc, char** argv) {
  using namespace xlvs::bench;
  CLI::App app{"Packets per second over prepared paths of veth pairs"};
  Settings settings;
  app.add_option("--path", settings.paths, "NAME=PREFIX[:redirect|:translated]; the first is what others compare with")
      ->required();
  app.add_option("--rounds", settings.rounds)->check(CLI::Range(1, 1000))->capture_default_str();
  app.add_option("--packets", settings.packets, "per sample")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--flows", settings.flows, "a power of two")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--cpu", settings.cpu)->check(CLI::NonNegativeNumber)->capture_default_str();
  app.add_option("--json", settings.json, "write the figures to this file too");
  CLI11_PARSE(app, argc, argv);
  libbpf_set_print(warnings_only);
  if (const auto done = run(settings); !done) {
    fmt::print(stderr, "bench_mpps: {}\n", done.error().message);
    return 1;
  }
  return 0;
}
