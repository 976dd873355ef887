// SPDX-License-Identifier: Apache-2.0
// The JSON fields of the structs of control/api.h, but for those of a router among several (json_fields_ha.h).
// A field is named once for reading and writing: `field` is json.cc's Reader or Writer.
#pragma once

#include <concepts>
#include <type_traits>

#include "control/api.h"

namespace xlvs::control {

// Const when written.
template <typename T, typename Struct>
concept Is = std::same_as<std::remove_const_t<T>, Struct>;

void visit(auto& field, Is<Traffic> auto& v) {
  field("flows", v.flows);
  field("in_packets", v.in_packets);
  field("in_bytes", v.in_bytes);
  field("out_packets", v.out_packets);
  field("out_bytes", v.out_bytes);
}

void visit(auto& field, Is<ReasonCount> auto& v) {
  field("reason", v.reason);
  field("count", v.count);
}

void visit(auto& field, Is<CheckReport> auto& v) {
  field("name", v.name);
  field("state", v.state);
  field("reason", v.reason);
  field("detail", v.detail);
  field("latency", v.latency);
  field("at", v.at);
  field("passes", v.passes);
  field("failures", v.failures);
  field("rise", v.rise);
  field("fall", v.fall);
  field("results", v.results);
  field("certificate_end", v.certificate_end);
}

void visit(auto& field, Is<HealthReport> auto& v) {
  field("state", v.state);
  field("life", v.life);
  field("until", v.until);
  field("since", v.since);
  field("reason", v.reason);
  field("detail", v.detail);
  field("latency", v.latency);
  field("checks_passed", v.checks_passed);
  field("checks_failed", v.checks_failed);
  field("checks", v.checks);
}

void visit(auto& field, Is<BackendReport> auto& v) {
  field("service", v.service);
  field("address", v.address);
  field("forward", v.forward);
  field("weight", v.weight);
  field("effective_weight", v.effective_weight);
  field("configured_weight", v.configured_weight);
  field("drained", v.drained);
  field("disabled", v.disabled);
  field("weight_override", v.weight_override);
  field("forced", v.forced);
  field("reason", v.reason);
  field("maintenance", v.maintenance);
  field("state", v.state);
  field("why", v.why);
  field("tier", v.tier);
  field("host", v.host);
  field("leaving", v.leaving);
  field("health", v.health);
  field("active", v.active);
  field("inactive", v.inactive);
  field("traffic", v.traffic);
  field("next_hop", v.next_hop);
}

void visit(auto& field, Is<PoolReport> auto& v) {
  field("state", v.state);
  field("tier", v.tier);
  field("panic", v.panic);
  field("quorum", v.quorum);
  field("withdrawn", v.withdrawn);
  field("weight", v.weight);
  field("fit_weight", v.fit_weight);
}

void visit(auto& field, Is<LatenessReport> auto& v) {
  field("bounds", v.bounds);
  field("counts", v.counts);
  field("sum", v.sum);
}

void visit(auto& field, Is<ServiceReport> auto& v) {
  field("name", v.name);
  field("listeners", v.listeners);
  field("forward", v.forward);
  field("scheduler", v.scheduler);
  field("check", v.check);
  field("traffic", v.traffic);
  field("pool", v.pool);
  field("backends", v.backends);
}

void visit(auto& field, Is<InterfaceReport> auto& v) {
  field("name", v.name);
  field("ifindex", v.ifindex);
  field("mode", v.mode);
  field("mode_reason", v.mode_reason);
  field("program_id", v.program_id);
  field("up", v.up);
}

void visit(auto& field, Is<FlowTableReport> auto& v) {
  field("family", v.family);
  field("capacity", v.capacity);
  field("used", v.used);
  field("overflow_capacity", v.overflow_capacity);
  field("overflow_used", v.overflow_used);
}

void visit(auto& field, Is<ReasonReport> auto& v) {
  field("name", v.name);
  field("verdict", v.verdict);
  field("text", v.text);
  field("packets", v.packets);
}

void visit(auto& field, Is<ConfigReport> auto& v) {
  field("path", v.path);
  field("hash", v.hash);
  field("generation", v.generation);
  field("loaded_at", v.loaded_at);
  field("stale", v.stale);
  field("stale_reason", v.stale_reason);
}

void visit(auto& field, Is<Version> auto& v) {
  field("version", v.version);
  field("instance", v.instance);
  field("pid", v.pid);
}

void visit(auto& field, Is<NameReport> auto& v) {
  field("name", v.name);
  field("family", v.family);
  field("addresses", v.addresses);
  field("leaving", v.leaving);
  field("error", v.error);
  field("resolved", v.resolved);
  field("failed", v.failed);
  field("surplus", v.surplus);
  field("unusable", v.unusable);
}

void visit(auto& field, Is<Status> auto& v) {
  field("version", v.version);
  field("started_at", v.started_at);
  field("config", v.config);
  field("warnings", v.warnings);
  field("interfaces", v.interfaces);
  field("vips", v.vips);
  field("vips_missing", v.vips_missing);
  field("ha", v.ha);
  field("flow_tables", v.flow_tables);
  field("services", v.services);
  field("names", v.names);
  field("reasons", v.reasons);
}

void visit(auto& field, Is<FlowReport> auto& v) {
  field("protocol", v.protocol);
  field("client", v.client);
  field("destination", v.destination);
  field("service", v.service);
  field("backend", v.backend);
  field("state", v.state);
  field("expires_in", v.expires_in);
}

void visit(auto& field, Is<FlowList> auto& v) {
  field("total", v.total);
  field("flows", v.flows);
}

void visit(auto& field, Is<StatsReport> auto& v) {
  field("at", v.at);
  field("services", v.services);
  field("reasons", v.reasons);
  field("flows_expired", v.flows_expired);
  field("count_drift", v.count_drift);
  field("check_lateness", v.check_lateness);
  field("checks_void", v.checks_void);
  field("repairs", v.repairs);
}

void visit(auto& field, Is<BackendChange> auto& v) {
  field("service", v.service);
  field("address", v.address);
  field("weight", v.weight);
  field("forced", v.forced);
  field("reason", v.reason);
}

void visit(auto& field, Is<BackendChangeResult> auto& v) {
  field("changed", v.changed);
  field("unsaved", v.unsaved);
  field("backends", v.backends);
}

void visit(auto& field, Is<ConfigText> auto& v) {
  field("name", v.name);
  field("text", v.text);
}

void visit(auto& field, Is<ConfigCheck> auto& v) {
  field("valid", v.valid);
  field("errors", v.errors);
  field("changes", v.changes);
}

void visit(auto& field, Is<ConfigDiff> auto& v) {
  field("valid", v.valid);
  field("errors", v.errors);
  field("changes", v.changes);
}

void visit(auto& field, Is<ConfigApplied> auto& v) {
  field("generation", v.generation);
  field("changes", v.changes);
}

void visit(auto& field, Is<ConfigPushRequest> auto& v) {
  field("dry_run", v.dry_run);
}

void visit(auto& field, Is<ConfigPush> auto& v) {
  field("state", v.state);
  field("peer", v.peer);
  field("dry_run", v.dry_run);
  field("files", v.files);
  field("bytes", v.bytes);
  field("acknowledged", v.acknowledged);
  field("generation", v.generation);
  field("changes", v.changes);
  field("error_kind", v.error_kind);
  field("errors", v.errors);
}

}  // namespace xlvs::control
