// SPDX-License-Identifier: Apache-2.0
#include "dataplane/ports.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace xlvs::dataplane {

std::optional<std::uint32_t> PortNumbers::find(unsigned ifindex) const {
  for (std::uint32_t number = 1; number < LVS_MAX_PORTS; ++number)
    if (ifindex != 0 && maps_->control().port[number].ifindex == ifindex) return number;
  return std::nullopt;
}

unsigned PortNumbers::ifindex(std::uint32_t number) const {
  return number < LVS_MAX_PORTS ? maps_->control().port[number].ifindex : 0;
}

Result<std::uint32_t> PortNumbers::add(const PortRequest& port) {
  lvs_control& control = maps_->control();
  std::uint32_t number = find(port.ifindex).value_or(0);
  const std::uint32_t rival = control.port_of_ifindex[port.ifindex & 255];
  if (rival != 0 && rival != number && ifindex(rival) != 0)
    return fail(
        ErrorKind::unsupported,
        "{}: its interface index {} and that of another port ({}) are equal modulo 256; create the interface anew",
        port.name, port.ifindex, ifindex(rival));
  if (number == 0) {
    for (number = 1; number < LVS_MAX_PORTS && ifindex(number) != 0;) ++number;
    if (number == LVS_MAX_PORTS)
      return fail(ErrorKind::unsupported, "{}: at most {} interfaces can carry the program", port.name,
                  LVS_MAX_PORTS - 1);
  }
  update(number, port);
  const std::uint32_t value = port.ifindex;
  if (auto done = maps_->put("ports", &number, &value); !done) {
    remove(number);
    return tl::make_unexpected(done.error().in(port.name));
  }
  maps_->store_word(control.port_of_ifindex[port.ifindex & 255], static_cast<std::uint8_t>(number));
  return number;
}

void PortNumbers::update(std::uint32_t number, const PortRequest& port) {
  lvs_port record{};
  std::copy(port.mac.bytes.begin(), port.mac.bytes.end(), record.mac);
  record.mtu = static_cast<__u16>(std::min<std::uint32_t>(port.mtu, 0xffff));
  record.ifindex = port.ifindex;
  // Packets are coming in: they must never meet half a MAC.
  std::uint64_t mac_and_mtu = 0;
  static_assert(offsetof(lvs_port, mtu) == sizeof(record.mac) && offsetof(lvs_port, ifindex) == sizeof(mac_and_mtu));
  std::memcpy(&mac_and_mtu, &record, sizeof(mac_and_mtu));
  maps_->store_words(&maps_->control().port[number], mac_and_mtu);
  maps_->store_word(maps_->control().port[number].ifindex, record.ifindex);
}

void PortNumbers::remove(std::uint32_t number) {
  lvs_control& control = maps_->control();
  for (__u64& gateway : control.gateway) {
    const __u64 hop = load_word(gateway);
    if (hop != 0 && LVS_HOP_PORT(hop) == number) maps_->store_word(gateway, 0);
  }
  for (std::uint32_t slot = 0; slot < maps_->hops.size(); ++slot) {
    const __u64 hop = load_word(maps_->hops[slot]);
    if (hop != 0 && LVS_HOP_PORT(hop) == number) maps_->store_word(maps_->hops[slot], 0);
  }
  std::uint8_t& reference = control.port_of_ifindex[ifindex(number) & 255];
  if (reference == number) maps_->store_word(reference, 0);
  maps_->erase("ports", &number);
  maps_->store_record(control.port[number], lvs_port{});
}

}  // namespace xlvs::dataplane
