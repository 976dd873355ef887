// SPDX-License-Identifier: Apache-2.0
#include "cli/command.h"
#include "cli/table.h"
#include "cli/text.h"

namespace xlvs::cli {
namespace {

using control::HaInstanceReport;
using control::HaPeerReport;
using control::HaReport;

std::string rejected(const std::map<std::string, std::uint64_t>& reasons) {
  std::string text;
  for (const auto& [reason, count] : reasons) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", reason, count);
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

std::string nonzero(const std::map<std::string, std::uint64_t>& counts) {
  std::string text;
  for (const auto& [what, count] : counts)
    if (count > 0) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", what, count);
  return text.empty() ? "0" : text;
}

std::string show_flows(const control::HaFlowsReport& flows, bool colour) {
  const bool good = flows.state == "in-step";
  auto text = fmt::format("Flow sync   {}, {}{}\n", flows.sends ? "sends" : "receives",
                          paint(flows.state, good ? Colour::good : Colour::odd, colour),
                          flows.holds ? ", does not preempt before the table is here" : "");
  if (flows.sends)
    text += fmt::format("            {} flows in {} datagrams, {} resent\n", flows.sent, flows.datagrams_sent,
                        flows.datagrams_resent);
  else
    text += fmt::format("            {} flows: {}; refused: {}\n", flows.received, nonzero(flows.imported),
                        nonzero(flows.refused));
  if ((flows.sends ? flows.snapshots_sent : flows.snapshots_received) > 0)
    text +=
        fmt::format("            last whole table: {} flows in {:.1f}s\n", flows.snapshot_flows, flows.snapshot_time);
  return text;
}

std::string tracks(const HaReport& ha, double now, bool colour) {
  if (ha.tracks.empty()) return "";
  Table table({left("Track"), left("State"), right("Weight"), left("Since"), left("Detail")});
  for (const control::HaTrackReport& track : ha.tracks)
    table.row({track.name, Cell(std::string(track.good ? "good" : "bad"), track.good ? Colour::none : Colour::bad),
               track.weight == 0 ? "leave" : std::to_string(track.weight), humanise(now - track.since), track.reason});
  return "\n" + table.to_string(colour);
}

std::string conflicts(const HaReport& ha) {
  std::string text;
  for (const HaInstanceReport& instance : ha.instances)
    if (instance.conflicts > 0)
      text += fmt::format("\nConflict    {}: {}, {} ago ({} in all)", instance.name, instance.conflict,
                          humanise(instance.conflict_ago), instance.conflicts);
  return text.empty() ? "" : text + "\n";
}

std::string warnings(const HaReport& ha, bool colour) {
  std::string text;
  for (const std::string& warning : ha.warnings)
    text += fmt::format("{}     {}\n", paint("Warning", Colour::odd, colour), warning);
  return text;
}

std::string peer_link(const HaPeerReport& peer, bool colour) {
  auto text = fmt::format("Peer        {} {}", peer.address, paint(peer.state, state_colour(peer.state), colour));
  if (peer.heard_ago) text += fmt::format(", heard {} ago", humanise(*peer.heard_ago));
  if (!peer.role.empty()) {
    text += fmt::format(": {} priority {}{}, {} of {} services up, {} of {} backends up\n", peer.role, peer.priority,
                        peer.released ? " (released)" : "", peer.services_up, peer.services, peer.backends_up,
                        peer.backends);
    text += fmt::format("Config      {} (the peer's generation is {})",
                        peer.config == "differs" ? paint("differs from the peer's", Colour::odd, colour)
                        : peer.config == "same"  ? "same as the peer's"
                                                 : "not compared with the peer's",
                        peer.generation);
  }
  if (!peer.pushes_sent.empty() || !peer.pushes_received.empty())
    text += fmt::format("\nPushes      sent {}; received {}", nonzero(peer.pushes_sent), nonzero(peer.pushes_received));
  return text + fmt::format("\nPeer link   sent {}{}, received {}, rejected {}, takeover {}\n", peer.sent,
                            peer.send_errors > 0 ? fmt::format(" ({} errors)", peer.send_errors) : "", peer.received,
                            rejected(peer.rejected), peer.takeover);
}

std::string show(const HaReport& ha, double now, bool colour) {
  auto text = fmt::format("Role        {} for {} ({}){}\n", paint(ha.role, state_colour(ha.role), colour),
                          humanise(now - ha.since), ha.reason.empty() ? "start" : ha.reason, released(ha));
  text += fmt::format("Transitions {}\n", ha.transitions);
  if (ha.mode == "anycast") return text + '\n' + vips(ha, colour);
  if (ha.peer) text += peer_link(*ha.peer, colour);
  if (ha.flows) text += show_flows(*ha.flows, colour);
  text += warnings(ha, colour);
  text += '\n';
  Table table({left("Instance"), left("Interface"), right("VRID"), right("Priority"), right("Sent"), right("Received"),
               left("Rejected"), left("Peer")});
  for (const HaInstanceReport& instance : ha.instances)
    table.row(
        {instance.name,
         Cell(instance.interface + (instance.link_up ? "" : " (down)"), instance.link_up ? Colour::none : Colour::bad),
         instance.vrid, instance.priority, instance.sent, instance.received, rejected(instance.rejected),
         peer(instance)});
  return text + table.to_string(colour) + tracks(ha, now, colour) + conflicts(ha);
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
