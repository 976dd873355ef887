// SPDX-License-Identifier: Apache-2.0
#include "cli/command.h"
#include "cli/table.h"
#include "cli/text.h"

namespace xlvs::cli {
namespace {

using control::HaInstanceReport;
using control::HaReport;

std::string rejected(const HaInstanceReport& instance) {
  std::string text;
  for (const auto& [reason, count] : instance.rejected)
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", reason, count);
  return text.empty() ? "0" : text;
}

std::string peer(const HaInstanceReport& instance) {
  if (instance.peer.empty()) return "nobody heard";
  return fmt::format("{} priority {}, {} ago", instance.peer, instance.peer_priority,
                     humanise(instance.peer_heard_ago));
}

std::string released(const HaReport& ha) {
  if (!ha.released) return "";
  return ha.mode == "anycast" ? ": announces nothing until `lvsctl ha resume`"
                              : ", released: does not preempt until `lvsctl ha resume`";
}

std::string vips(const HaReport& ha, bool colour) {
  const std::string where = ha.table == 0 ? "yes" : fmt::format("in table {}", ha.table);
  Table table({left("VIP"), left("Announced"), left("Why not")});
  for (const control::HaVipReport& vip : ha.vips)
    table.row({vip.address, Cell(vip.announced ? where : std::string("no"), vip.announced ? Colour::good : Colour::bad),
               vip.reason});
  return table.to_string(colour);
}

std::string show(const HaReport& ha, double now, bool colour) {
  auto text = fmt::format("Role        {} for {} ({}){}\n", paint(ha.role, state_colour(ha.role), colour),
                          humanise(now - ha.since), ha.reason.empty() ? "start" : ha.reason, released(ha));
  text += fmt::format("Transitions {}\n\n", ha.transitions);
  if (ha.mode == "anycast") return text + vips(ha, colour);
  Table table({left("Instance"), left("Interface"), right("VRID"), right("Priority"), right("Sent"), right("Received"),
               left("Rejected"), left("Peer")});
  for (const HaInstanceReport& instance : ha.instances)
    table.row(
        {instance.name,
         Cell(instance.interface + (instance.link_up ? "" : " (down)"), instance.link_up ? Colour::none : Colour::bad),
         instance.vrid, instance.priority, instance.sent, instance.received, rejected(instance), peer(instance)});
  return text + table.to_string(colour);
}

int answer(const Context& context, const control::Answer& answer) {
  return context.show<HaReport>(answer, [&](const HaReport& ha) { return show(ha, context.now(), context.colour); });
}

void add_post(CLI::App& command, Action& action, const char* name, const char* summary, const char* path) {
  command.add_subcommand(name, summary)->callback([&action, path] {
    action = [path](const Context& context) {
      return answer(context, context.client.post(path, control::Json::object()));
    };
  });
}

}  // namespace

void add_ha(CLI::App& command, Action& action) {
  command.require_subcommand(1);
  command.add_subcommand("status", "This router's role, and whom it hears (anycast: what it announces)")
      ->callback(
          [&action] { action = [](const Context& context) { return answer(context, context.client.get("/v1/ha")); }; });
  add_post(command, action, "release", "Hand over to a backup router (anycast: withdraw all addresses), until resume",
           "/v1/ha/release");
  add_post(command, action, "resume", "Take over again when this router's priority says so (anycast: announce again)",
           "/v1/ha/resume");
  command.footer("A released router still takes over when no other is heard; with anycast it stays away.");
}

}  // namespace xlvs::cli
