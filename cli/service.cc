// SPDX-License-Identifier: Apache-2.0
#include <fmt/ranges.h>

#include "cli/command.h"
#include "cli/lookup.h"
#include "cli/report.h"
#include "cli/table.h"
#include "cli/text.h"

namespace xlvs::cli {
namespace {

using control::ServiceReport;
using Services = std::vector<ServiceReport>;

std::string list_table(const Services& services, bool colour) {
  Table table({left("Service"), left("Listeners"), left("Scheduler"), left("Forward"), left("Check"), right("Backends"),
               right("Up"), right("Active"), right("Inactive"), right("Conns")});
  for (const ServiceReport& service : services) {
    const FlowSums sums = sum(service);
    const Colour health = sums.up == service.backends.size() ? Colour::none : sums.up > 0 ? Colour::odd : Colour::bad;
    table.row({service.name, fmt::format("{}", fmt::join(service.listeners, ",")), service.scheduler, service.forward,
               service.check, std::uint64_t{service.backends.size()}, Cell(std::to_string(sums.up), health),
               sums.active, sums.inactive, service.traffic.flows});
  }
  return table.to_string(colour);
}

std::string pool_line(const control::PoolReport& pool, bool colour) {
  if (pool.state.empty()) return "";
  std::string text = paint(pool.state, state_colour(pool.state), colour);
  if (pool.tier && *pool.tier > 0 && pool.state != "sorry") text += fmt::format(", tier {}", *pool.tier);
  text += fmt::format(", weight {} of {} is fit", pool.fit_weight, pool.weight);
  if (!pool.quorum && pool.state != "no-quorum") text += ", no quorum";
  if (pool.withdrawn) text += ", VIPs withdrawn";
  return "Pool       " + text + "\n";
}

std::string show_table(const ServiceReport& service, double now, bool colour) {
  std::string text = fmt::format("Service    {}\nListeners  {}\nScheduler  {}\nForward    {}\nCheck      {}\n{}\n",
                                 service.name, fmt::join(service.listeners, ", "), service.scheduler, service.forward,
                                 service.check, pool_line(service.pool, colour));
  Table table({left("Backend"), left("Forward"), right("Weight"), right("Active"), right("Inactive"), left("State"),
               right("Since"), right("Conns"), right("InPkts"), right("OutPkts"), right("InBytes"), right("OutBytes"),
               left("NextHop"), left("Check")});
  for (const control::BackendReport& backend : service.backends) {
    const control::Traffic& traffic = backend.traffic;
    table.row({backend.address, backend.forward, backend.weight, backend.active, backend.inactive,
               Cell(backend.state, state_colour(backend.state)), since(backend.health, now), traffic.flows,
               traffic.in_packets, traffic.out_packets, traffic.in_bytes, traffic.out_bytes, backend.next_hop,
               last_check(backend.health)});
  }
  return text + table.to_string(colour);
}

int show(const Context& context, const std::string& name) {
  auto answer = context.client.get("/v1/services/" + control::percent_encode(name));
  if (!answer && answer.error().answered && answer.error().kind == ErrorKind::not_found) {
    answer.error().message += did_you_mean(name, service_names(context.client));
  }
  return context.show<ServiceReport>(
      answer, [&](const ServiceReport& service) { return show_table(service, context.now(), context.colour); });
}

}  // namespace

void add_service(CLI::App& command, Action& action) {
  command.require_subcommand(1);
  command.add_subcommand("list", "One line for each virtual service")->callback([&action] {
    action = [](const Context& context) {
      return context.show<Services>(context.client.get("/v1/services"),
                                    [&](const Services& services) { return list_table(services, context.colour); });
    };
  });
  CLI::App* one = command.add_subcommand("show", "A service with its backends, traffic and next hops");
  const auto name = std::make_shared<std::string>();
  one->add_option("NAME", *name, "As in the configuration")->required()->type_name("");
  one->callback([&action, name] { action = [name](const Context& context) { return show(context, *name); }; });
}

}  // namespace xlvs::cli
