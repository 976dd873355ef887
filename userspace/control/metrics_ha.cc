// SPDX-License-Identifier: Apache-2.0
#include "control/metrics_ha.h"

#include "control/metric_family.h"

namespace xlvs::control {
namespace {

using prometheus::MetricFamily;
using prometheus::MetricType;

struct InstanceValue {
  const char* name;
  const char* help;
  MetricType type;
  double (*of)(const HaInstanceReport& instance);
};

constexpr InstanceValue kInstanceValues[] = {
    {"lvs_ha_priority", "VRRP priority in force.", MetricType::Gauge,
     [](const HaInstanceReport& i) { return number(i.priority); }},
    {"lvs_ha_adverts_sent_total", "VRRP advertisements sent.", MetricType::Counter,
     [](const HaInstanceReport& i) { return number(i.sent); }},
    {"lvs_ha_advert_send_errors_total", "VRRP advertisements that could not be sent.", MetricType::Counter,
     [](const HaInstanceReport& i) { return number(i.send_errors); }},
    {"lvs_ha_adverts_received_total", "VRRP advertisements received and taken.", MetricType::Counter,
     [](const HaInstanceReport& i) { return number(i.received); }},
    {"lvs_ha_announcements_total", "Gratuitous ARP and unsolicited neighbour advertisements sent.", MetricType::Counter,
     [](const HaInstanceReport& i) { return number(i.announcements); }},
    {"lvs_ha_address_conflicts_total", "Claims of others to an address while this router was active.",
     MetricType::Counter, [](const HaInstanceReport& i) { return number(i.conflicts); }},
};

struct HaFlowsValue {
  const char* name;
  const char* help;
  MetricType type;
  double (*of)(const HaFlowsReport& flows);
};

constexpr HaFlowsValue kHaFlowsValues[] = {
    {"lvs_flow_sync_in_step", "1 when the router that is not active has the other's whole flow table and its changes.",
     MetricType::Gauge, [](const HaFlowsReport& f) { return number(f.state == "in-step"); }},
    {"lvs_flow_sync_holding", "1 while this router waits for the other's flows before it preempts.", MetricType::Gauge,
     [](const HaFlowsReport& f) { return number(f.holds); }},
    {"lvs_flow_sync_flows_sent_total", "Flows told to the other router.", MetricType::Counter,
     [](const HaFlowsReport& f) { return number(f.sent); }},
    {"lvs_flow_sync_flows_received_total", "Flows that the other router told.", MetricType::Counter,
     [](const HaFlowsReport& f) { return number(f.received); }},
    {"lvs_flow_sync_datagrams_sent_total", "Datagrams with flows sent, without repetitions.", MetricType::Counter,
     [](const HaFlowsReport& f) { return number(f.datagrams_sent); }},
    {"lvs_flow_sync_datagrams_resent_total", "Datagrams with flows sent again.", MetricType::Counter,
     [](const HaFlowsReport& f) { return number(f.datagrams_resent); }},
    {"lvs_flow_sync_datagrams_received_total", "Datagrams with flows received, each once.", MetricType::Counter,
     [](const HaFlowsReport& f) { return number(f.datagrams_received); }},
    {"lvs_flow_sync_send_errors_total", "Datagrams that could not be sent.", MetricType::Counter,
     [](const HaFlowsReport& f) { return number(f.send_errors); }},
    {"lvs_flow_sync_snapshots_sent_total", "Whole tables that the other router has confirmed.", MetricType::Counter,
     [](const HaFlowsReport& f) { return number(f.snapshots_sent); }},
    {"lvs_flow_sync_snapshots_received_total", "Whole tables received.", MetricType::Counter,
     [](const HaFlowsReport& f) { return number(f.snapshots_received); }},
    {"lvs_flow_sync_snapshot_flows", "Flows of the last whole table.", MetricType::Gauge,
     [](const HaFlowsReport& f) { return number(f.snapshot_flows); }},
    {"lvs_flow_sync_snapshot_seconds", "Time that the last whole table took.", MetricType::Gauge,
     [](const HaFlowsReport& f) { return f.snapshot_time; }},
};

void add_flow_sync(std::vector<MetricFamily>& out, const HaFlowsReport& flows) {
  for (const HaFlowsValue& value : kHaFlowsValues)
    Family(out, value.name, value.help, value.type).add({}, value.of(flows));
  Family imported(out, "lvs_flow_sync_flows_imported_total",
                  "Flows that the other router told, by what became of them.", MetricType::Counter);
  for (const auto& [result, count] : flows.imported) imported.add({{"result", result}}, number(count));
  Family refused(out, "lvs_flow_sync_flows_refused_total", "Flows that the other router told and that were not taken.",
                 MetricType::Counter);
  for (const auto& [reason, count] : flows.refused) refused.add({{"reason", reason}}, number(count));
  Family rejected(out, "lvs_flow_sync_datagrams_rejected_total", "Datagrams that were not taken, by reason.",
                  MetricType::Counter);
  for (const auto& [reason, count] : flows.rejected) rejected.add({{"reason", reason}}, number(count));
}

struct PeerValue {
  const char* name;
  const char* help;
  MetricType type;
  double (*of)(const HaPeerReport& peer);
};

constexpr PeerValue kPeerValues[] = {
    {"lvs_peer_up", "1 when the peer is heard on the peer link.", MetricType::Gauge,
     [](const HaPeerReport& p) { return number(p.state == "up"); }},
    {"lvs_peer_active", "1 when it is heard and says that it is active.", MetricType::Gauge,
     [](const HaPeerReport& p) { return number(p.state == "up" && p.role == "active"); }},
    {"lvs_peer_config_drift", "1 when the peer's configuration differs.", MetricType::Gauge,
     [](const HaPeerReport& p) { return number(p.config == "differs"); }},
    {"lvs_peer_sent_total", "Datagrams sent on the peer link.", MetricType::Counter,
     [](const HaPeerReport& p) { return number(p.sent); }},
    {"lvs_peer_send_errors_total", "Datagrams that could not be sent on the peer link.", MetricType::Counter,
     [](const HaPeerReport& p) { return number(p.send_errors); }},
    {"lvs_peer_received_total", "Datagrams received on the peer link and taken.", MetricType::Counter,
     [](const HaPeerReport& p) { return number(p.received); }},
};

void add_peer(std::vector<MetricFamily>& out, const HaPeerReport& peer) {
  for (const PeerValue& value : kPeerValues) Family(out, value.name, value.help, value.type).add({}, value.of(peer));
  Family rejected(out, "lvs_peer_rejected_total", "Datagrams received on the peer link and not taken, by reason.",
                  MetricType::Counter);
  for (const auto& [reason, count] : peer.rejected) rejected.add({{"reason", reason}}, number(count));
  Family pushes(out, "lvs_peer_config_pushes_total", "Configurations pushed to the peer and by it, by result.",
                MetricType::Counter);
  for (const auto& [result, count] : peer.pushes_sent)
    pushes.add({{"direction", "sent"}, {"result", result}}, number(count));
  for (const auto& [result, count] : peer.pushes_received)
    pushes.add({{"direction", "received"}, {"result", result}}, number(count));
}

}  // namespace

void add_ha(std::vector<MetricFamily>& out, const Status& status) {
  if (!status.ha) return;
  const HaReport& ha = *status.ha;
  if (ha.flows) add_flow_sync(out, *ha.flows);
  Family(out, "lvs_ha_active", "1 when this router is the active one.", MetricType::Gauge)
      .add({}, number(ha.role == "active"));
  Family(out, "lvs_ha_transitions_total", "Changes of role.", MetricType::Counter).add({}, number(ha.transitions));
  Family(out, "lvs_ha_advert_delay_worst_seconds", "The latest that an advertisement was sent after it was due.",
         MetricType::Gauge)
      .add({}, ha.worst_delay);
  for (const InstanceValue& value : kInstanceValues) {
    Family family(out, value.name, value.help, value.type);
    for (const HaInstanceReport& instance : ha.instances) family.add({{"vrrp", instance.name}}, value.of(instance));
  }
  Family announced(out, "lvs_ha_vip_announced", "1 while this router announces the address (anycast).",
                   MetricType::Gauge);
  for (const HaVipReport& vip : ha.vips) announced.add({{"vip", vip.address}}, number(vip.announced));
  Family tracks(out, "lvs_ha_track_good", "1 while what is tracked is well.", MetricType::Gauge);
  for (const HaTrackReport& track : ha.tracks) tracks.add({{"track", track.name}}, number(track.good));
  Family rejected(out, "lvs_ha_adverts_rejected_total", "VRRP advertisements received and not taken, by reason.",
                  MetricType::Counter);
  for (const HaInstanceReport& instance : ha.instances)
    for (const auto& [reason, count] : instance.rejected)
      rejected.add({{"vrrp", instance.name}, {"reason", reason}}, number(count));
  if (ha.peer) add_peer(out, *ha.peer);
}

}  // namespace xlvs::control
