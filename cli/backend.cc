// SPDX-License-Identifier: Apache-2.0
#include "cli/backend_show.h"
#include "cli/command.h"
#include "cli/lookup.h"
#include "cli/report.h"
#include "cli/table.h"
#include "cli/text.h"

namespace xlvs::cli {
namespace {

using control::BackendChange;
using control::BackendChangeResult;
using control::BackendReport;
using control::Json;

// ---- list -----------------------------------------------------------------------------------------------------------

std::string list_table(const std::vector<BackendReport>& backends, double now, bool colour) {
  Table table({left("Service"), left("Backend"), left("Forward"), right("Weight"), right("Configured"), right("Active"),
               right("Inactive"), left("State"), right("Since"), left("NextHop"), left("Check")});
  for (const BackendReport& backend : backends) {
    table.row({backend.service, backend.address, backend.forward, backend.weight, backend.configured_weight,
               backend.active, backend.inactive, Cell(backend.state, state_colour(backend.state)),
               since(backend.health, now), backend.next_hop, last_check(backend.health)});
  }
  return table.to_string(colour);
}

int list(const Context& context, const std::string& service) {
  const std::string target = service.empty() ? "/v1/services" : "/v1/services/" + control::percent_encode(service);
  auto answer = context.client.get(target);
  if (!answer) {
    if (answer.error().answered && answer.error().kind == ErrorKind::not_found) {
      answer.error().message += did_you_mean(service, service_names(context.client));
    }
    return context.report(answer.error());
  }
  Json backends = Json::array();
  for (const Json& owner : answer->is_array() ? *answer : Json::array({*answer})) {
    for (const Json& backend : owner.value("backends", Json::array())) backends.push_back(backend);
  }
  return context.show<std::vector<BackendReport>>(backends, [&](const std::vector<BackendReport>& reports) {
    return list_table(reports, context.now(), context.colour);
  });
}

// ---- changes --------------------------------------------------------------------------------------------------------

std::string drained(const BackendReport& backend) {
  return fmt::format("drained: no new flows; {} active and {} inactive go on", backend.active, backend.inactive);
}

std::string disabled(const BackendReport& backend) {
  return fmt::format("disabled: as if it had failed; {} active and {} inactive flows", backend.active,
                     backend.inactive);
}

std::string forced(const BackendReport& backend) {
  return backend.forced ? fmt::format("forced {}: whatever its checks find", *backend.forced)
                        : fmt::format("left to its checks: state {}", backend.state);
}

std::string enabled(const BackendReport& backend) {
  return fmt::format("enabled: weight {}, state {}", backend.weight, backend.state);
}

std::string weighted(const BackendReport& backend) {
  const auto origin = backend.weight_override ? fmt::format("set by override, configured {}", backend.configured_weight)
                                              : std::string("as configured");
  const std::uint32_t weight = backend.weight_override.value_or(backend.configured_weight);
  return fmt::format("weight {} ({}){}", weight, origin, backend.drained ? ", but drained" : "");
}

using Describe = std::string (*)(const BackendReport&);

control::Answer post(const Context& context, const std::string& verb, const BackendChange& change) {
  auto answer = context.client.post("/v1/backends/" + verb, change);
  if (!answer && answer.error().answered && answer.error().kind == ErrorKind::not_found) {
    const auto known = backend_addresses(context.client, change.service.value_or(""), change.address);
    answer.error().message += known.empty() ? did_you_mean(change.service.value_or(""), service_names(context.client))
                                            : did_you_mean(change.address, known);
  }
  return answer;
}

int show_change(const Context& context, const control::Answer& answer, Describe describe) {
  return context.show<BackendChangeResult>(answer, [&](const BackendChangeResult& result) {
    std::string text = result.changed ? "" : "Nothing changed; it was so already.\n";
    for (const BackendReport& backend : result.backends) {
      text += fmt::format("{} {}: {}\n", backend.service, backend.address, describe(backend));
    }
    return text;
  });
}

int change(const Context& context, const std::string& verb, const BackendChange& wanted, Describe describe) {
  return show_change(context, post(context, verb, wanted), describe);
}

// The arguments that every change has.
std::shared_ptr<BackendChange> add_arguments(CLI::App& command) {
  const auto change = std::make_shared<BackendChange>();
  command.add_option("ADDRESS", change->address, "10.0.0.11:8080, or 10.0.0.11 for every port of it")
      ->required()
      ->type_name("");
  command
      .add_option_function<std::string>(
          "--service", [change](const std::string& name) { change->service = name; },
          "Only in this service; otherwise in every service that has the backend")
      ->type_name("NAME");
  return change;
}

void add_change(CLI::App& command, Action& action, const char* verb, const char* summary, Describe describe) {
  CLI::App* sub = command.add_subcommand(verb, summary);
  const auto wanted = add_arguments(*sub);
  sub->callback([&action, wanted, verb, describe] {
    action = [wanted, verb, describe](const Context& context) { return change(context, verb, *wanted, describe); };
  });
}

void add_reason(CLI::App& command, const std::shared_ptr<BackendChange>& change) {
  command.add_option("--reason", change->reason, "Shown with the state, and logged")->type_name("TEXT");
}

// ---- drain ----------------------------------------------------------------------------------------------------------

constexpr std::chrono::milliseconds kPoll{500};

// Established flows of the drained backends, or nothing if lvsd does not answer.
Result<std::uint64_t> active_flows(const Context& context, const BackendChangeResult& drained) {
  const auto answer = context.client.get("/v1/services");
  if (!answer) return tl::make_unexpected(Error{answer.error()});
  const auto services = control::decode<std::vector<control::ServiceReport>>(*answer);
  if (!services) return tl::make_unexpected(services.error());
  std::uint64_t active = 0;
  for (const BackendReport& backend : drained.backends) {
    for (const auto& service : *services) {
      for (const BackendReport& now : service.backends)
        if (now.service == backend.service && now.address == backend.address) active += now.active;
    }
  }
  return active;
}

int wait_for_end(const Context& context, const BackendChangeResult& drained, std::optional<double> seconds) {
  const double end = context.now() + seconds.value_or(0);
  for (;;) {
    const auto active = active_flows(context, drained);
    if (!active) return context.complain(active.error().message), kFailed;
    if (*active == 0) return kOk;
    if (seconds && context.now() >= end) {
      context.complain(fmt::format("{} still established", plural(*active, "flow")));
      return kFailed;
    }
    context.sleep(kPoll);
  }
}

void add_drain(CLI::App& command, Action& action) {
  CLI::App* sub = command.add_subcommand("drain", "No new flows; established ones go on (survives reload and restart)");
  const auto wanted = add_arguments(*sub);
  add_reason(*sub, wanted);
  const auto timeout = std::make_shared<std::string>();
  CLI::Option* wait = sub->add_flag("--wait")->description("Until no established TCP flow is left");
  sub->add_option("--timeout", *timeout, "Wait no longer: 30s, 10m; exit code 1 if flows are left")
      ->type_name("DURATION")
      ->needs(wait);
  sub->callback([&action, wanted, timeout, wait] {
    std::optional<double> seconds;
    if (!timeout->empty()) {
      const auto duration = parse_duration(*timeout);
      if (!duration) throw CLI::ValidationError("--timeout: " + duration.error().message);
      seconds = std::chrono::duration<double>(*duration).count();
    }
    action = [wanted, seconds, waits = wait->count() > 0](const Context& context) {
      const auto answer = post(context, "drain", *wanted);
      const int code = show_change(context, answer, drained);
      if (!waits || code != kOk) return code;
      const auto result = control::decode<BackendChangeResult>(*answer);
      return result ? wait_for_end(context, *result, seconds) : context.misunderstood(result.error());
    };
  });
}

void add_force(CLI::App& command, Action& action) {
  CLI::App* sub = command.add_subcommand("force", "up or down whatever the checks find; clear: as they find");
  const auto state = std::make_shared<std::string>();
  sub->add_option("STATE", *state, "up, down or clear")
      ->required()
      ->check(CLI::IsMember({"up", "down", "clear"}).description(""))
      ->type_name("");
  const auto wanted = add_arguments(*sub);
  add_reason(*sub, wanted);
  sub->callback([&action, wanted, state] {
    if (*state != "clear") wanted->forced = *state;
    action = [wanted](const Context& context) { return change(context, "force", *wanted, forced); };
  });
}

void add_disable(CLI::App& command, Action& action) {
  CLI::App* sub = command.add_subcommand("disable", "Out of service, as if its checks failed, until enable");
  const auto wanted = add_arguments(*sub);
  add_reason(*sub, wanted);
  sub->callback([&action, wanted] {
    action = [wanted](const Context& context) { return change(context, "disable", *wanted, disabled); };
  });
}

void add_weight(CLI::App& command, Action& action) {
  CLI::App* sub = command.add_subcommand("weight", "Override the configured weight, or --clear the override");
  const auto wanted = add_arguments(*sub);
  CLI::Option* weight = sub->add_option_function<std::uint32_t>(
      "WEIGHT", [wanted](std::uint32_t value) { wanted->weight = value; }, "0 to 65535; 0 takes no new flows");
  weight->check(CLI::Range(0, 65535).description(""))->type_name("");
  CLI::Option* clear = sub->add_flag("--clear")->description("Back to the configured weight");
  weight->excludes(clear);
  sub->callback([&action, wanted, clear] {
    if (!wanted->weight && clear->count() == 0) throw CLI::ValidationError("give a WEIGHT, or --clear");
    action = [wanted](const Context& context) { return change(context, "weight", *wanted, weighted); };
  });
}

}  // namespace

void add_backend(CLI::App& command, Action& action) {
  command.require_subcommand(1);
  CLI::App* all = command.add_subcommand("list", "Real servers with weight, flows, health and next hop");
  const auto service = std::make_shared<std::string>();
  all->add_option("--service", *service, "Only those of this service")->type_name("NAME");
  all->callback([&action, service] { action = [service](const Context& context) { return list(context, *service); }; });
  add_backend_show(command, action);
  add_drain(command, action);
  add_disable(command, action);
  add_change(command, action, "enable", "Undo drain and disable", enabled);
  add_force(command, action);
  add_weight(command, action);
  command.footer(
      "Examples:\n"
      "  lvsctl backend show web 10.0.0.11\n"
      "  lvsctl backend drain 10.0.0.11 --service web --wait --timeout 10m\n"
      "  lvsctl backend force down 10.0.0.11:8080 --reason 'disk is failing'\n"
      "  lvsctl backend weight 10.0.0.11:8080 5\n"
      "  lvsctl backend weight 10.0.0.11:8080 --clear");
}

}  // namespace xlvs::cli
