// SPDX-License-Identifier: Apache-2.0
#include "cli/command.h"
#include "cli/rates.h"
#include "cli/report.h"
#include "cli/table.h"
#include "cli/text.h"

namespace xlvs::cli {
namespace {

using control::StatsReport;
using control::Traffic;

struct Options {
  bool rate = false;
  std::string interval = "1s";
  std::uint64_t count = 1;  // 0: until interrupted
};

// ---- totals ---------------------------------------------------------------------------------------------------------

void add_traffic(Table& table, const std::string& name, const Traffic& traffic) {
  table.row({name, traffic.flows, traffic.in_packets, traffic.out_packets, traffic.in_bytes, traffic.out_bytes});
}

std::string totals_table(const StatsReport& stats, bool colour) {
  Table table({left("Service / RemoteAddress:Port"), right("Conns"), right("InPkts"), right("OutPkts"),
               right("InBytes"), right("OutBytes")});
  for (const auto& service : stats.services) {
    add_traffic(table, service.name, service.traffic);
    for (const auto& backend : service.backends) add_traffic(table, "  -> " + backend.address, backend.traffic);
  }
  return table.to_string(colour) + reasons_table(stats.reasons, colour);
}

// ---- rates ----------------------------------------------------------------------------------------------------------

std::string rate_cell(const std::optional<double>& value) {
  return value ? fmt::format("{:.1f}", *value) : "-";
}

void add_rate(Table& table, const std::string& name, const TrafficRate& rate) {
  table.row({name, rate_cell(rate.flows), rate_cell(rate.in_packets), rate_cell(rate.out_packets),
             rate_cell(rate.in_bytes), rate_cell(rate.out_bytes)});
}

std::string rates_table(const Rates& rates, bool colour) {
  Table table({left("Service / RemoteAddress:Port"), right("CPS"), right("InPPS"), right("OutPPS"), right("InBPS"),
               right("OutBPS")});
  for (const ServiceRate& service : rates.services) {
    add_rate(table, service.name, service.rate);
    for (const BackendRate& backend : service.backends) add_rate(table, "  -> " + backend.address, backend.rate);
  }
  Table reasons({left("Reason"), left("Verdict"), right("PPS"), left("Meaning")});
  for (const ReasonRate& reason : rates.reasons) {
    if (reason.packets.value_or(0) > 0)
      reasons.row({reason.name, reason.verdict, rate_cell(reason.packets), reason.text});
  }
  return table.to_string(colour) +
         (reasons.empty() ? "" : "\nPackets not plainly forwarded\n" + reasons.to_string(colour));
}

// ---- the loop -------------------------------------------------------------------------------------------------------

// Both print one report; they return an exit code and whether to go on.
struct Step {
  int code = kOk;
  bool more = true;
};

Step show_totals(const Context& context) {
  const auto answer = context.client.get("/v1/stats");
  if (!answer) return {context.report(answer.error()), false};
  if (context.format != Format::table) return {kOk, context.print_data(*answer)};
  const auto stats = control::decode<StatsReport>(*answer);
  if (!stats) return {context.misunderstood(stats.error()), false};
  return {kOk, context.print(totals_table(*stats, context.colour))};
}

Result<StatsReport> sample(const Context& context, int& code) {
  const auto answer = context.client.get("/v1/stats");
  if (!answer) {
    code = context.report(answer.error());
    return tl::make_unexpected(Error(answer.error()));
  }
  auto stats = control::decode<StatsReport>(*answer);
  if (!stats) code = context.misunderstood(stats.error());
  return stats;
}

Step show_rates(const Context& context, std::chrono::milliseconds interval, std::optional<StatsReport>& previous) {
  Step step;
  if (!previous) {
    auto first = sample(context, step.code);
    if (!first) return {step.code, false};
    previous = std::move(*first);
    context.sleep(interval);
  }
  auto now = sample(context, step.code);
  if (!now) return {step.code, false};
  const auto rates = rates_between(*previous, *now);
  previous = std::move(*now);
  if (!rates) {
    context.complain(rates.error().message);
    return {kFailed, false};
  }
  step.more = context.format == Format::table ? context.print(rates_table(*rates, context.colour))
                                              : context.print_data(to_json(*rates));
  return step;
}

int repeat(const Context& context, const Options& options, std::chrono::milliseconds interval) {
  std::optional<StatsReport> previous;
  for (std::uint64_t i = 0; options.count == 0 || i < options.count; ++i) {
    if (i > 0) {
      if (context.format == Format::table && !context.print("\n")) return kOk;
      context.sleep(interval);
    }
    const Step step = options.rate ? show_rates(context, interval, previous) : show_totals(context);
    if (!step.more) return step.code;
  }
  return kOk;
}

}  // namespace

void add_stats(CLI::App& command, Action& action) {
  const auto options = std::make_shared<Options>();
  command.add_flag("--rate", options->rate, "Per second, from two samples one interval apart");
  command.add_option("--interval", options->interval, "Between samples: 1s, 500ms, 1m")
      ->type_name("DURATION")
      ->capture_default_str();
  command.add_option("--count", options->count, "Print so many times; 0: until interrupted")
      ->type_name("N")
      ->capture_default_str();
  command.footer(
      "Columns as in ipvsadm --stats and --rate: Conns are flows created, bytes are those of IP packets, BPS is bytes\n"
      "per second. Counters only grow, also over restarts of lvsd. A rate is exact: the counters' difference over the\n"
      "time between the samples by lvsd's clock; \"-\" where there is none (just added, or reset).");
  command.callback([&action, options] {
    const auto interval = parse_duration(options->interval);
    if (!interval) throw CLI::ValidationError("--interval", interval.error().message);
    action = [options, interval = *interval](const Context& context) { return repeat(context, *options, interval); };
  });
}

}  // namespace xlvs::cli
