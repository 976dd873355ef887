// SPDX-License-Identifier: Apache-2.0
// The model's values as bpf/abi.h lays them out, and back. Pure.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "abi.h"
#include "core/desired.h"
#include "core/scheduler.h"
#include "dataplane/dataplane.h"

namespace xlvs::dataplane {

[[nodiscard]] lvs_key4 key4(const IpAddress& address, std::uint16_t port, std::uint8_t protocol);
[[nodiscard]] lvs_key6 key6(const IpAddress& address, std::uint16_t port, std::uint8_t protocol);

// The 16-bit words of address and port, as they lie in memory, added up. Not folded, not complemented.
[[nodiscard]] std::uint32_t address_sum(const IpAddress& address, std::uint16_t port);

void encode_address(const IpAddress& address, __be32 (&out)[4]);
[[nodiscard]] IpAddress decode_address(const __be32 (&words)[4], Family family);
[[nodiscard]] IpAddress decode_address4(__be32 word);
[[nodiscard]] lvs_address encode_any(const IpAddress& address);  // IPv4 mapped into IPv6
[[nodiscard]] IpAddress decode_any(const lvs_address& address);
[[nodiscard]] std::uint16_t decode_port(__be16 port);

[[nodiscard]] lvs_vip encode_vip(const Listener& listener, std::uint32_t service, std::uint8_t tag);
[[nodiscard]] Listener decode_vip(const lvs_vip& vip);  // family must not be 0

// All but the hop and the word of port, method and flags.
[[nodiscard]] lvs_backend encode_backend(const Endpoint& endpoint, std::uint32_t service);
// port, method and flags of a backend are one 4-byte word, so that they change in one store.
[[nodiscard]] std::uint32_t backend_word(std::uint16_t port, lvs_method method, std::uint8_t flags);
[[nodiscard]] std::uint32_t backend_word(const lvs_backend& backend);
[[nodiscard]] lvs_method encode_method(ForwardMethod method);
// Of a backend that is not removed: what its flows are to do when it has failed.
[[nodiscard]] std::uint8_t encode_flags(bool failed, FlowsOnFailure policy);
[[nodiscard]] FlowsOnFailure decode_policy(std::uint8_t flags);

[[nodiscard]] std::uint64_t encode_hop(const MacAddress& mac, std::uint32_t port);
[[nodiscard]] MacAddress hop_mac(std::uint64_t hop);

[[nodiscard]] lvs_service encode_service(const DesiredService& service);
// All of it is one 8-byte word, so that flags and pick change in one store.
[[nodiscard]] std::uint64_t service_word(const lvs_service& service);
[[nodiscard]] lvs_name encode_name(std::string_view name);
[[nodiscard]] std::string decode_name(const lvs_name& name);

[[nodiscard]] std::uint16_t ticks(std::chrono::seconds time);  // rounded up
[[nodiscard]] std::array<std::uint16_t, LVS_STATE_MAX> encode_timeouts(const TimeoutConfig& timeouts);

[[nodiscard]] std::string_view state_name(std::uint32_t state);
[[nodiscard]] inline bool counts_as_active(std::uint32_t state) {
  return LVS_STATE_IS_ACTIVE(state);
}

// How long a slot has been idle, in ticks. `now` may lag a little behind a CPU that has just written the slot.
[[nodiscard]] std::uint32_t slot_age(std::uint64_t word, std::uint32_t now);
// What lvs_load.drained says of a backend that is drained now, and how long ago that was.
[[nodiscard]] std::uint32_t drained_now();
[[nodiscard]] std::chrono::seconds drained_for(std::uint32_t drained);
// The present tick, of the clock that the XDP program uses.
[[nodiscard]] std::uint32_t tick_now();

}  // namespace xlvs::dataplane
