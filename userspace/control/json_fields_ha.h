// SPDX-License-Identifier: Apache-2.0
// The JSON fields of what a router among several reports.
// A field is named once for reading and writing: `field` is json.cc's Reader or Writer.
#pragma once

#include "control/json_fields.h"

namespace xlvs::control {

void visit(auto& field, Is<HaPeerReport> auto& v) {
  field("address", v.address);
  field("state", v.state);
  field("takeover", v.takeover);
  field("role", v.role);
  field("priority", v.priority);
  field("released", v.released);
  field("heard_ago", v.heard_ago);
  field("config", v.config);
  field("generation", v.generation);
  field("services", v.services);
  field("services_up", v.services_up);
  field("backends", v.backends);
  field("backends_up", v.backends_up);
  field("sent", v.sent);
  field("send_errors", v.send_errors);
  field("received", v.received);
  field("rejected", v.rejected);
  field("pushes_sent", v.pushes_sent);
  field("pushes_received", v.pushes_received);
}

void visit(auto& field, Is<HaInstanceReport> auto& v) {
  field("name", v.name);
  field("interface", v.interface);
  field("vrid", v.vrid);
  field("priority", v.priority);
  field("link_up", v.link_up);
  field("sent", v.sent);
  field("send_errors", v.send_errors);
  field("received", v.received);
  field("rejected", v.rejected);
  field("announcements", v.announcements);
  field("peer", v.peer);
  field("peer_priority", v.peer_priority);
  field("peer_heard_ago", v.peer_heard_ago);
  field("conflicts", v.conflicts);
  field("conflict", v.conflict);
  field("conflict_ago", v.conflict_ago);
  field("silent", v.silent);
}

void visit(auto& field, Is<HaTrackReport> auto& v) {
  field("name", v.name);
  field("good", v.good);
  field("reason", v.reason);
  field("weight", v.weight);
  field("since", v.since);
}

void visit(auto& field, Is<HaVipReport> auto& v) {
  field("address", v.address);
  field("announced", v.announced);
  field("reason", v.reason);
}

void visit(auto& field, Is<HaFlowsReport> auto& v) {
  field("sends", v.sends);
  field("holds", v.holds);
  field("state", v.state);
  field("sent", v.sent);
  field("received", v.received);
  field("datagrams_sent", v.datagrams_sent);
  field("datagrams_resent", v.datagrams_resent);
  field("datagrams_received", v.datagrams_received);
  field("datagrams_repeated", v.datagrams_repeated);
  field("send_errors", v.send_errors);
  field("imported", v.imported);
  field("refused", v.refused);
  field("rejected", v.rejected);
  field("snapshots_sent", v.snapshots_sent);
  field("snapshots_received", v.snapshots_received);
  field("snapshot_flows", v.snapshot_flows);
  field("snapshot_time", v.snapshot_time);
}

void visit(auto& field, Is<HaReport> auto& v) {
  field("role", v.role);
  field("reason", v.reason);
  field("since", v.since);
  field("transitions", v.transitions);
  field("released", v.released);
  field("realtime", v.realtime);
  field("worst_delay", v.worst_delay);
  field("instances", v.instances);
  field("mode", v.mode);
  field("table", v.table);
  field("vips", v.vips);
  field("flows", v.flows);
  field("tracks", v.tracks);
  field("peer", v.peer);
  field("warnings", v.warnings);
}

}  // namespace xlvs::control
