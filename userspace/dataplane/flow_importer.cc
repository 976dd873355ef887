// SPDX-License-Identifier: Apache-2.0
#include "dataplane/flow_importer.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>

#include "dataplane/encode.h"
#include "dataplane/import_run.h"

namespace xlvs::dataplane {
namespace {

constexpr std::array<std::uint8_t, kFlowStates> kStates{
    LVS_STATE_FREE,  LVS_STATE_ESTABLISHED, LVS_STATE_FIN_WAIT, LVS_STATE_TIME_WAIT,
    LVS_STATE_CLOSE, LVS_STATE_CLOSE_WAIT,  LVS_STATE_LAST_ACK, LVS_STATE_UDP,
};

constexpr std::array<std::uint64_t FlowImports::*, LVS_IMPORT_RESULT_MAX> kResults{
    &FlowImports::failed, &FlowImports::created,  &FlowImports::updated, &FlowImports::kept,
    &FlowImports::ended,  &FlowImports::conflict, &FlowImports::no_room,
};

// Rounded down: what was rounded down to seconds is not made older twice.
std::uint16_t to_ticks(std::uint16_t seconds) {
  return static_cast<std::uint16_t>(
      std::min<std::uint64_t>((std::uint64_t{seconds} * 1'000'000'000) >> LVS_TICK_SHIFT, 65535));
}

lvs_import encode(const FlowRecord& flow, const Listener& listener, const InstalledListener& installed,
                  std::uint32_t backend, bool replace) {
  lvs_import out{};
  encode_address(flow.client.address, out.client);
  out.client_port = htons(flow.client.port);
  out.port = htons(listener.port);
  out.protocol = static_cast<__u8>(listener.protocol);
  out.flags =
      static_cast<__u8>((flow.client.address.is_v6() ? LVS_IMPORT_IPV6 : 0) | (replace ? LVS_IMPORT_REPLACE : 0));
  out.state = kStates[static_cast<std::uint8_t>(flow.state)];
  out.backend = backend;
  out.listener = static_cast<__u16>(installed.id);
  out.tag = installed.tag;
  out.age = to_ticks(flow.idle.count());
  return out;
}

}  // namespace

void FlowImporter::ids_changed() {
  for (auto& [number, target] : targets_) target.resolved = false;
}

FlowImporter::Ids FlowImporter::resolve(const FlowTarget& target) const {
  const auto service = registry_.service_id(target.service);
  if (!service) return {&FlowImports::no_service};
  const auto listener = registry_.listeners().find(target.listener);
  if (listener == registry_.listeners().end() || listener->second.service != *service)
    return {&FlowImports::no_listener};
  const auto backend = registry_.backend_id(*service, target.backend);
  if (!backend) return {&FlowImports::no_backend};
  return {nullptr, *backend, listener->second};
}

FlowImports FlowImporter::import(std::span<const FlowRecord> flows, bool replace) {
  FlowImports out;
  std::vector<lvs_import> batch;
  batch.reserve(LVS_IMPORT_MAX);
  for (const FlowRecord& flow : flows) {
    const auto found = targets_.find(flow.target);
    if (found == targets_.end()) {
      ++out.no_service;
      continue;
    }
    Target& target = found->second;
    const Listener& listener = target.target.listener;
    if (!target.resolved) target.ids = resolve(target.target);
    target.resolved = true;
    const bool tcp = flow.state != FlowState::udp;
    if (target.ids.refused != nullptr || listener.address.family() != flow.client.address.family() ||
        (listener.protocol == Protocol::tcp) != tcp) {
      ++(out.*(target.ids.refused != nullptr ? target.ids.refused : &FlowImports::no_listener));
      continue;
    }
    batch.push_back(encode(flow, listener, target.ids.listener, target.ids.backend, replace));
    if (batch.size() == LVS_IMPORT_MAX) run(batch, out);
  }
  run(batch, out);
  return out;
}

void FlowImporter::run(std::vector<lvs_import>& batch, FlowImports& out) const {
  if (batch.empty()) return;
  if (!program_.valid() || !run_import(program_.get(), batch)) {
    out.failed += batch.size();
  } else {
    for (const lvs_import& flow : batch)
      ++(out.*(flow.result < kResults.size() ? kResults[flow.result] : &FlowImports::failed));
  }
  batch.clear();
}

}  // namespace xlvs::dataplane
