// SPDX-License-Identifier: Apache-2.0
#include "dataplane/backend_records.h"

#include "dataplane/encode.h"

namespace xlvs::dataplane {

bool BackendRecords::is_local(const IpAddress& address) const {
  const NextHop* known = hop(address);
  return known != nullptr && known->local;
}

const NextHop* BackendRecords::hop(const IpAddress& address) const {
  const auto found = hops_.find(address);
  return found == hops_.end() ? nullptr : &found->second;
}

std::uint64_t BackendRecords::hop_word(const IpAddress& address) const {
  const NextHop* known = hop(address);
  if (known == nullptr || known->local) return 0;
  const std::uint32_t port = port_number_(known->ifindex);
  return port == 0 ? 0 : encode_hop(known->mac, port);
}

bool BackendRecords::is_unreachable(const IpAddress& address) const {
  const NextHop* known = hop(address);
  return known != nullptr && !known->local && hop_word(address) == 0;
}

std::uint32_t BackendRecords::word(const InstalledBackend& backend) const {
  const lvs_method method = is_local(backend.endpoint.address) ? LVS_METHOD_LOCAL : encode_method(backend.forward);
  return backend_word(backend.endpoint.port, method, encode_flags(backend.failed, backend.flows_on_failure));
}

void BackendRecords::adopt_hops() {
  for (const auto& [id, backend] : registry_.backends()) {
    const lvs_backend& record = maps_.backends[id];
    const std::uint64_t hop = load_word(record.hop);
    const std::uint32_t port = LVS_HOP_PORT(hop) & (LVS_MAX_PORTS - 1);
    if (record.method == LVS_METHOD_LOCAL)
      hops_.try_emplace(backend.endpoint.address, NextHop{true, {}, 0});
    else if (hop != 0)
      hops_.try_emplace(backend.endpoint.address, NextHop{false, hop_mac(hop), maps_.control().port[port].ifindex});
  }
}

void BackendRecords::set_hop(const IpAddress& address, const std::optional<NextHop>& hop) {
  if (hop)
    hops_[address] = *hop;
  else
    hops_.erase(address);
  for (const std::uint32_t id : registry_.backends_at(address)) update(id);
}

void BackendRecords::install(std::uint32_t id) {
  const InstalledBackend& backend = registry_.backends().at(id);
  maps_.store_record(maps_.backends[id], encode_backend(backend.endpoint, backend.service));
  update(id);
}

bool BackendRecords::update(std::uint32_t id) {
  const InstalledBackend& backend = registry_.backends().at(id);
  maps_.store_word(maps_.backends[id].hop, hop_word(backend.endpoint.address));
  return maps_.store_backend_word(id, word(backend));
}

void BackendRecords::update_all() {
  for (const auto& [id, backend] : registry_.backends()) update(id);
}

void BackendRecords::invalidate(std::uint32_t id) {
  maps_.store_backend_word(id, backend_word(maps_.backends[id]) & ~(std::uint32_t{LVS_BACKEND_VALID} << 24));
}

}  // namespace xlvs::dataplane
