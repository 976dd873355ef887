// SPDX-License-Identifier: Apache-2.0
#include "cli/command.h"
#include "cli/table.h"
#include "cli/text.h"

namespace xlvs::cli {
namespace {

using control::FlowList;

std::string list_table(const FlowList& list, bool colour) {
  Table table({left("Prot"), right("Expire"), left("State"), left("Source"), left("Virtual"), left("Destination"),
               left("Service")});
  for (const control::FlowReport& flow : list.flows) {
    table.row({flow.protocol, humanise(static_cast<double>(flow.expires_in)), flow.state, flow.client, flow.destination,
               flow.backend, flow.service});
  }
  std::string text = table.to_string(colour);
  if (list.flows.size() < list.total) {
    text += fmt::format("{} of {}; --limit shows more\n", list.flows.size(), plural(list.total, "flow"));
  }
  return text;
}

}  // namespace

void add_flow(CLI::App& command, Action& action) {
  command.require_subcommand(1);
  CLI::App* sub = command.add_subcommand("list", "Tracked connections, as `ipvsadm -Lc`");
  const auto query = std::make_shared<control::Query>();
  const auto filter = [&](const char* name, const char* type, const char* help) {
    return sub
        ->add_option_function<std::string>(
            std::string("--") + name, [query, name](const std::string& value) { query->emplace_back(name, value); },
            help)
        ->type_name(type);
  };
  filter("service", "NAME", "Of this service");
  filter("backend", "ADDRESS", "To this backend: 10.0.0.11:8080, or 10.0.0.11");
  filter("client", "ADDRESS", "From this client: 192.0.2.7, or 192.0.2.7:40312");
  filter("state", "STATE", "In this state: SYN_RECV, ESTABLISHED, FIN_WAIT, TIME_WAIT, UDP, ...");
  filter("protocol", "PROTOCOL", "tcp or udp")->check(CLI::IsMember({"tcp", "udp"}).description(""));
  filter("limit", "N", "Show at most so many [1000]")->check(CLI::PositiveNumber.description(""));
  sub->footer(
      "All filters given must match. Expire is when the flow ends unless another packet comes.\n"
      "Example: lvsctl flow list --service web --state ESTABLISHED --limit 20");
  sub->callback([&action, query] {
    action = [query](const Context& context) {
      const auto answer = context.client.get(control::with_query("/v1/flows", *query));
      return context.show<FlowList>(answer, [&](const FlowList& list) { return list_table(list, context.colour); });
    };
  });
}

}  // namespace xlvs::cli
