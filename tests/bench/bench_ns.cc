// SPDX-License-Identifier: Apache-2.0
// bench_ns: net nanoseconds per packet of the XDP program, beside a floor and a limit measured in the same rounds.
// docs/benchmarks.md says what the figures mean and what they can not tell.
#include <bpf/libbpf.h>
#include <sched.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <bit>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>

#include "report.h"

namespace xlvs::bench {
namespace {

struct Settings {
  Conditions conditions{.cpu = 0, .rounds = 7, .packets = 1U << 20U, .options = {}};
  std::vector<std::uint32_t> flows{1, 1U << 10U, 1U << 16U, 1U << 20U};
  std::vector<std::string> families{"4", "6"};
  std::vector<Program> programs{Program::limit, Program::dr, Program::nat_request, Program::nat_reply,
                                Program::syn_flood};
  std::string json;
  bool quick = false;
};

int warnings_only(libbpf_print_level level, const char* format, va_list arguments) {
  return level == LIBBPF_WARN ? std::vfprintf(stderr, format, arguments) : 0;
}

Result<void> pin_to(unsigned cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  if (sched_setaffinity(0, sizeof set, &set) != 0)
    return fail(ErrorKind::invalid, "pin to CPU {}: {}", cpu, std::strerror(errno));
  return {};
}

std::vector<VariantKey> keys_of(const Settings& settings) {
  std::vector<VariantKey> keys;
  for (const std::string& family : settings.families) {
    const bool ipv6 = family == "6";
    for (const Program program : {Program::floor, Program::reply_floor, Program::swap})
      keys.push_back({program, ipv6, 1, false});
    for (const Program program : settings.programs) {
      if (program == Program::syn_flood && settings.conditions.options.udp) continue;
      for (const std::uint32_t flows : program == Program::syn_flood ? std::vector<std::uint32_t>{0} : settings.flows) {
        keys.push_back({program, ipv6, flows, false});
        if (program >= Program::dr && !settings.conditions.options.compare.empty())
          keys.push_back({program, ipv6, flows, true});
      }
    }
  }
  return keys;
}

Result<Samples> measure(const Settings& settings) {
  VariantFactory factory(settings.conditions.options);
  std::vector<std::unique_ptr<Variant>> variants;
  for (const VariantKey& key : keys_of(settings)) {
    auto variant = factory.make(key);
    if (!variant) return tl::make_unexpected(variant.error());
    variants.push_back(std::move(*variant));
  }
  Samples samples;
  for (unsigned round = 0; round < settings.conditions.rounds; ++round) {
    for (const auto& variant : variants) {
      const auto sample = variant->measure(settings.conditions.packets);
      if (!sample) return tl::make_unexpected(sample.error());
      samples[variant->key()].push_back(*sample);
    }
    fmt::print(stderr, "\rround {} of {}", round + 1, settings.conditions.rounds);
  }
  fmt::print(stderr, "\r{:20}\r", "");
  return samples;
}

void add_options(CLI::App& app, Settings& settings) {
  Conditions& conditions = settings.conditions;
  const CLI::Validator power_of_two(
      [](const std::string& text) { return std::has_single_bit(std::stoul(text)) ? "" : "must be a power of two"; },
      "POWER_OF_2");
  conditions.cpu = static_cast<unsigned>(sysconf(_SC_NPROCESSORS_ONLN)) - 1;
  app.add_option("--cpu", conditions.cpu, "run on this CPU only")->capture_default_str();
  app.add_option("--rounds", conditions.rounds, "each takes one sample of every variant")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--packets", conditions.packets, "packets per sample")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--slots", conditions.options.slots, "size of the flow table")
      ->check(CLI::PositiveNumber & power_of_two)
      ->capture_default_str();
  app.add_option("--flows", settings.flows, "numbers of established flows")
      ->check(CLI::PositiveNumber & power_of_two)
      ->delimiter(',');
  app.add_option("--family", settings.families, "4, 6 or both")->check(CLI::IsMember({"4", "6"}))->delimiter(',');
  static const std::map<std::string, Program> names{{"limit", Program::limit},
                                                    {"dr", Program::dr},
                                                    {"nat-request", Program::nat_request},
                                                    {"nat-reply", Program::nat_reply},
                                                    {"syn-flood", Program::syn_flood}};
  app.add_option("--programs", settings.programs, "what to measure, besides the floor")
      ->transform(CLI::Transformer(names))
      ->delimiter(',');
  app.add_flag("--udp", conditions.options.udp, "UDP instead of TCP (no SYN flood)");
  app.add_option("--compare", conditions.options.compare,
                 "measure the program in this object file too (another build's generated/lvs.bpf.o)")
      ->check(CLI::ExistingFile);
  app.add_option("--json", settings.json, "write the figures to this file too");
  app.add_flag("--quick", settings.quick, "three short rounds, 1 and 64k flows: shows that it works, measures little");
}

int run(int argc, char** argv) {
  CLI::App app{"Net nanoseconds per packet of the XDP program, by BPF_PROG_TEST_RUN"};
  Settings settings;
  add_options(app, settings);
  CLI11_PARSE(app, argc, argv);
  if (settings.quick) {
    settings.conditions.rounds = 3;
    settings.conditions.packets = 1U << 16U;
    settings.conditions.options.slots = 1U << 18U;
    settings.flows = {1, 1U << 16U};
  }
  libbpf_set_print(warnings_only);
  const auto pinned = pin_to(settings.conditions.cpu);
  const auto samples = pinned ? measure(settings) : tl::make_unexpected(pinned.error());
  if (!samples) {
    fmt::print(stderr, "bench_ns: {}\n", samples.error().message);
    return 1;
  }
  const std::vector<Row> rows = summarize(*samples);
  fmt::print("{}", as_table(rows, settings.conditions));
  if (settings.json.empty()) return 0;
  std::ofstream file(settings.json);
  file << as_json(rows, settings.conditions) << '\n';
  if (!file.flush()) {
    fmt::print(stderr, "bench_ns: {}: can not be written\n", settings.json);
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace xlvs::bench

int main(int argc, char** argv) {
  return xlvs::bench::run(argc, argv);
}
