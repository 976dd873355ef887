// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cctype>

#include <fmt/ranges.h>

#include "cli/command.h"
#include "cli/report.h"
#include "cli/table.h"
#include "cli/text.h"

namespace xlvs::cli {
namespace {

using control::Status;

std::string headline(const Status& status, double now) {
  return fmt::format("lvsd {}, instance {}, pid {}, up {}\n", status.version.version, status.version.instance,
                     status.version.pid, humanise(now - status.started_at));
}

std::string warnings(const Status& status, bool colour) {
  std::string text;
  for (const std::string& warning : status.warnings) {
    text += paint("WARNING: " + printable(warning, false), Colour::odd, colour) + "\n";
  }
  return text;
}

std::string config(const Status& status, double now, bool colour) {
  const control::ConfigReport& config = status.config;
  auto text = fmt::format("Config      {}, generation {}, loaded {} ago", config.path, config.generation,
                          humanise(now - config.loaded_at));
  if (config.stale) text += ", " + paint("STALE: the last reload was rejected", Colour::bad, colour);
  return text + "\n";
}

std::string interfaces(const Status& status, bool colour) {
  std::vector<std::string> texts;
  for (const control::InterfaceReport& interface : status.interfaces) {
    texts.push_back(fmt::format("{} {}{}", interface.name, paint(interface.mode, state_colour(interface.mode), colour),
                                interface.up ? "" : paint(" (link down)", Colour::bad, colour)));
  }
  return fmt::format("Interfaces  {}\n", texts.empty() ? "none" : fmt::format("{}", fmt::join(texts, ", ")));
}

std::string vips(const Status& status) {
  return status.vips.empty() ? "" : fmt::format("VIPs        {}\n", fmt::join(status.vips, ", "));
}

std::string names(const Status& status) {
  std::string text;
  for (const control::NameReport& name : status.names) {
    text += fmt::format("{}{}: {}{}{}", text.empty() ? "Names       " : "; ", name.name,
                        name.addresses.size() == 1 ? "1 address" : fmt::format("{} addresses", name.addresses.size()),
                        name.leaving.empty() ? "" : fmt::format(", {} leaving", name.leaving.size()),
                        name.error.empty() ? "" : " (not resolved now)");
  }
  return text.empty() ? "" : text + "\n";
}

std::string ha(const Status& status, double now, bool colour) {
  if (!status.ha) return "";
  const control::HaReport& ha = *status.ha;
  return fmt::format("Role        {} for {} ({}){}\n", paint(ha.role, state_colour(ha.role), colour),
                     humanise(now - ha.since), ha.reason.empty() ? "start" : ha.reason,
                     ha.released ? ", released" : "");
}

std::string flow_tables(const Status& status) {
  std::vector<std::string> texts;
  for (const control::FlowTableReport& table : status.flow_tables) {
    auto text = fmt::format("{} {} of {}", table.family, table.used, table.capacity);
    if (table.overflow_used > 0) text += fmt::format(" and {} in overflow", table.overflow_used);
    texts.push_back(std::move(text));
  }
  return fmt::format("Flows       {}\n", fmt::join(texts, ", "));
}

// "198.51.100.10:80/tcp" in ipvsadm's columns.
std::string listener_line(const std::string& listener, const control::ServiceReport& service) {
  const std::size_t slash = listener.rfind('/');
  std::string protocol = slash == std::string::npos ? "" : listener.substr(slash + 1);
  std::transform(protocol.begin(), protocol.end(), protocol.begin(), [](unsigned char c) { return std::toupper(c); });
  return fmt::format("{:<4} {} {} {} {}", protocol, listener.substr(0, slash), service.scheduler, service.forward,
                     service.name);
}

std::string services(const Status& status, double now, bool colour) {
  if (status.services.empty()) return "\nNo virtual services are configured.\n";
  Table table({left("  -> RemoteAddress:Port"), left("Forward"), right("Weight"), right("ActiveConn"),
               right("InActConn"), left("State"), right("Since"), left("Check")});
  for (const control::ServiceReport& service : status.services) {
    for (const std::string& listener : service.listeners) table.line(listener_line(listener, service));
    if (service.backends.empty()) table.line("  (no backends)");
    for (const control::BackendReport& backend : service.backends) {
      table.row({"  -> " + backend.address, backend.forward, backend.weight, backend.active, backend.inactive,
                 Cell(backend.state, state_colour(backend.state)), since(backend.health, now),
                 last_check(backend.health)});
    }
  }
  return "\nProt LocalAddress:Port Scheduler Forward Service\n" + table.to_string(colour);
}

}  // namespace

void add_status(CLI::App& command, Action& action) {
  command.footer(
      "Warnings come first. ActiveConn counts established TCP flows, InActConn all others (opening, closing, UDP),\n"
      "as in ipvsadm. State: up, down (its check failed), drained (weight 0), unchecked (no result yet), no-route\n"
      "(next hop unknown). Since is how long the health state has lasted.");
  command.callback([&action] {
    action = [](const Context& context) {
      return context.show<Status>(context.client.get("/v1/status"), [&](const Status& status) {
        const double now = context.now();
        return headline(status, now) + warnings(status, context.colour) + config(status, now, context.colour) +
               interfaces(status, context.colour) + ha(status, now, context.colour) + vips(status) + names(status) +
               flow_tables(status) + services(status, now, context.colour) +
               reasons_table(status.reasons, context.colour);
      });
    };
  });
}

}  // namespace xlvs::cli
