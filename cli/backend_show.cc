// SPDX-License-Identifier: Apache-2.0
#include "cli/backend_show.h"

#include <algorithm>

#include "cli/lookup.h"
#include "cli/report.h"
#include "cli/table.h"
#include "cli/text.h"

namespace xlvs::cli {
namespace {

using control::BackendReport;
using control::CheckReport;
using control::Json;

std::string in_a_row(const CheckReport& check) {
  if (check.passes > 0) return fmt::format("{} passed of {}", check.passes, check.rise);
  if (check.failures > 0) return fmt::format("{} failed of {}", check.failures, check.fall);
  return "";
}

std::string results(const CheckReport& check) {
  std::string text;
  for (const control::ReasonCount& result : check.results) {
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", result.reason, result.count);
  }
  return text;
}

std::string weights(const BackendReport& backend) {
  std::string text = fmt::format("{:.4g}, configured {}", backend.effective_weight, backend.configured_weight);
  if (backend.weight_override) text += fmt::format(", {} by the operator", *backend.weight_override);
  return text;
}

std::string checks_table(const BackendReport& backend, double now, bool colour) {
  Table table(
      {left("Check"), left("State"), left("InARow"), right("Ago"), right("Latency"), left("Last"), left("Results")});
  for (const CheckReport& check : backend.health.checks) {
    const bool known = check.at > 0;
    table.row({check.name, Cell(check.state, state_colour(check.state)), in_a_row(check),
               known ? humanise(now - check.at) : "", known ? humanise_latency(check.latency) : "",
               check.reason == "ok" || check.detail.empty() ? check.reason : check.reason + ": " + check.detail,
               results(check)});
  }
  return table.empty() ? "" : "\n" + table.to_string(colour);
}

std::string show_table(const BackendReport& backend, double now, bool colour) {
  const auto state = paint(backend.state, state_colour(backend.state), colour);
  const auto lasting = since(backend.health, now);
  std::string text = fmt::format("Backend  {} of {}\nState    {}{}\n", backend.address, backend.service, state,
                                 lasting.empty() ? "" : " for " + lasting);
  if (backend.health.until && *backend.health.until > now) {
    text += fmt::format("Until    in {}, if nothing fails\n", humanise(*backend.health.until - now));
  }
  if (!backend.why.empty()) text += fmt::format("Why      {}\n", printable(backend.why, false));
  if (!backend.host.empty()) text += fmt::format("Name     {}\n", printable(backend.host, false));
  text +=
      fmt::format("Weight   {}\nTier     {}\nForward  {}\nNextHop  {}\nFlows    {} active, {} inactive\n",
                  weights(backend), backend.tier, backend.forward, backend.next_hop, backend.active, backend.inactive);
  return text + checks_table(backend, now, colour);
}

// The one backend of `service` that `address` names, with or without its port.
control::Answer find(const Context& context, const std::string& service, const std::string& address) {
  auto answer = context.client.get("/v1/services/" + control::percent_encode(service));
  if (!answer) {
    if (answer.error().answered && answer.error().kind == ErrorKind::not_found) {
      answer.error().message += did_you_mean(service, service_names(context.client));
    }
    return answer;
  }
  std::vector<Json> found;
  for (const Json& backend : answer->value("backends", Json::array())) {
    const auto known = backend.value("address", "");
    if (known == address || without_port(known) == address) found.push_back(backend);
  }
  if (found.size() == 1) return found.front();
  const auto message =
      found.empty() ? fmt::format("service {} has no backend {}{}", service, address,
                                  did_you_mean(address, backend_addresses(context.client, service, address)))
                    : fmt::format("service {} has {} backends {}: name the port, too", service, found.size(), address);
  return tl::make_unexpected(
      control::CallError{found.empty() ? ErrorKind::not_found : ErrorKind::invalid, message, true});
}

}  // namespace

void add_backend_show(CLI::App& command, Action& action) {
  CLI::App* one = command.add_subcommand("show", "A real server: its state and why, and every check of it");
  const auto service = std::make_shared<std::string>();
  const auto address = std::make_shared<std::string>();
  one->add_option("SERVICE", *service, "As in the configuration")->required()->type_name("");
  one->add_option("ADDRESS", *address, "10.0.0.11:8080, or 10.0.0.11 if that is one backend")
      ->required()
      ->type_name("");
  one->callback([&action, service, address] {
    action = [service, address](const Context& context) {
      return context.show<BackendReport>(find(context, *service, *address), [&](const BackendReport& backend) {
        return show_table(backend, context.now(), context.colour);
      });
    };
  });
}

}  // namespace xlvs::cli
