// SPDX-License-Identifier: Apache-2.0
#include "dataplane/encode.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>

namespace xlvs::dataplane {

static_assert(std::endian::native == std::endian::little, "the hop's MAC lies in the low 48 bits");

lvs_key4 key4(const IpAddress& address, std::uint16_t port, std::uint8_t protocol) {
  lvs_key4 key{};
  std::memcpy(&key.addr, address.bytes().data(), sizeof(key.addr));
  key.port = htons(port);
  key.protocol = protocol;
  return key;
}

lvs_key6 key6(const IpAddress& address, std::uint16_t port, std::uint8_t protocol) {
  lvs_key6 key{};
  encode_address(address, key.addr);
  key.port = htons(port);
  key.protocol = protocol;
  return key;
}

std::uint32_t address_sum(const IpAddress& address, std::uint16_t port) {
  std::uint32_t sum = htons(port);
  const auto bytes = address.bytes();
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    std::uint16_t word = 0;
    std::memcpy(&word, &bytes[i], sizeof(word));
    sum += word;
  }
  return sum;
}

void encode_address(const IpAddress& address, __be32 (&out)[4]) {
  std::memset(out, 0, sizeof(out));
  std::memcpy(out, address.bytes().data(), address.bytes().size());
}

IpAddress decode_address(const __be32 (&words)[4], Family family) {
  if (family == Family::ipv4) return decode_address4(words[0]);
  std::array<std::uint8_t, 16> bytes{};
  std::memcpy(bytes.data(), words, bytes.size());
  return IpAddress::v6(bytes);
}

IpAddress decode_address4(__be32 word) {
  std::array<std::uint8_t, 4> bytes{};
  std::memcpy(bytes.data(), &word, bytes.size());
  return IpAddress::v4(bytes);
}

lvs_address encode_any(const IpAddress& address) {
  lvs_address any{};
  if (address.is_v6()) {
    encode_address(address, any.addr);
  } else {
    any.addr[2] = htonl(0xffff);
    std::memcpy(&any.addr[3], address.bytes().data(), sizeof(any.addr[3]));
  }
  return any;
}

IpAddress decode_any(const lvs_address& address) {
  const bool v4 = address.addr[0] == 0 && address.addr[1] == 0 && address.addr[2] == htonl(0xffff);
  return v4 ? decode_address4(address.addr[3]) : decode_address(address.addr, Family::ipv6);
}

std::uint16_t decode_port(__be16 port) {
  return ntohs(port);
}

lvs_vip encode_vip(const Listener& listener, std::uint32_t service, std::uint8_t tag) {
  lvs_vip vip{};
  encode_address(listener.address, vip.addr);
  vip.port = htons(listener.port);
  vip.protocol = static_cast<std::uint8_t>(listener.protocol);
  vip.family = listener.address.is_v4() ? AF_INET : AF_INET6;
  vip.sum = address_sum(listener.address, listener.port);
  vip.service = service;
  vip.tag = tag;
  return vip;
}

Listener decode_vip(const lvs_vip& vip) {
  return {decode_address(vip.addr, vip.family == AF_INET ? Family::ipv4 : Family::ipv6), decode_port(vip.port),
          static_cast<Protocol>(vip.protocol)};
}

lvs_backend encode_backend(const Endpoint& endpoint, std::uint32_t service) {
  lvs_backend backend{};
  encode_address(endpoint.address, backend.addr);
  backend.port = htons(endpoint.port);
  backend.sum = address_sum(endpoint.address, endpoint.port);
  backend.service = service;
  return backend;
}

static_assert(offsetof(lvs_backend, port) % 4 == 0 &&
              offsetof(lvs_backend, method) == offsetof(lvs_backend, port) + 2 &&
              offsetof(lvs_backend, flags) == offsetof(lvs_backend, port) + 3);

std::uint32_t backend_word(std::uint16_t port, lvs_method method, std::uint8_t flags) {
  return htons(port) | static_cast<std::uint32_t>(method) << 16 | static_cast<std::uint32_t>(flags) << 24;
}

std::uint32_t backend_word(const lvs_backend& backend) {
  std::uint32_t word = 0;
  std::memcpy(&word, reinterpret_cast<const char*>(&backend) + offsetof(lvs_backend, port), sizeof(word));
  return word;
}

lvs_method encode_method(ForwardMethod method) {
  switch (method) {
    case ForwardMethod::nat:
      return LVS_METHOD_NAT;
    case ForwardMethod::dr:
      return LVS_METHOD_DR;
  }
  std::abort();
}

std::uint8_t encode_flags(bool failed, FlowsOnFailure policy) {
  int flags = LVS_BACKEND_VALID | (failed ? LVS_BACKEND_DOWN : 0);
  if (policy == FlowsOnFailure::reset) flags |= LVS_BACKEND_RESET;
  if (policy == FlowsOnFailure::drop) flags |= LVS_BACKEND_DROP;
  return static_cast<std::uint8_t>(flags);
}

FlowsOnFailure decode_policy(std::uint8_t flags) {
  if ((flags & LVS_BACKEND_RESET) != 0) return FlowsOnFailure::reset;
  return (flags & LVS_BACKEND_DROP) != 0 ? FlowsOnFailure::drop : FlowsOnFailure::keep;
}

std::uint64_t encode_hop(const MacAddress& mac, std::uint32_t port) {
  std::uint64_t hop = 0;
  std::memcpy(&hop, mac.bytes.data(), mac.bytes.size());
  return hop | static_cast<std::uint64_t>(port) << 48;
}

MacAddress hop_mac(std::uint64_t hop) {
  MacAddress mac;
  std::memcpy(mac.bytes.data(), &hop, mac.bytes.size());
  return mac;
}

namespace {

lvs_pick encode_pick(PickRule rule) {
  switch (rule) {
    case PickRule::cursor:
      return LVS_PICK_CURSOR;
    case PickRule::source_hash:
      return LVS_PICK_SOURCE_HASH;
    case PickRule::dest_hash:
      return LVS_PICK_DEST_HASH;
    case PickRule::least_connection:
      return LVS_PICK_LC;
    case PickRule::weighted_least_connection:
      return LVS_PICK_WLC;
  }
  std::abort();
}

}  // namespace

lvs_service encode_service(const DesiredService& service) {
  lvs_service record{};
  if (service.hash_port) record.flags |= LVS_SERVICE_HASH_PORT;
  if (service.sloppy_tcp) record.flags |= LVS_SERVICE_SLOPPY_TCP;
  if (service.no_flow == NoFlowPolicy::drop) record.flags |= LVS_SERVICE_DROP_NOFLOW;
  record.pick = static_cast<__u16>(encode_pick(scheduler_info(service.scheduler).pick));
  return record;
}

std::uint64_t service_word(const lvs_service& service) {
  std::uint64_t word = 0;
  std::memcpy(&word, &service, sizeof(word));
  return word;
}

lvs_name encode_name(std::string_view name) {
  lvs_name out{};
  name.copy(out.text, sizeof(out.text) - 1);
  return out;
}

std::string decode_name(const lvs_name& name) {
  return {name.text, strnlen(name.text, sizeof(name.text))};
}

std::uint16_t ticks(std::chrono::seconds time) {
  constexpr std::int64_t kTick = std::int64_t{1} << LVS_TICK_SHIFT;
  const std::int64_t ns = std::chrono::nanoseconds(time).count();
  return static_cast<std::uint16_t>(std::clamp<std::int64_t>((ns + kTick - 1) / kTick, 1, LVS_MAX_TIMEOUT));
}

std::array<std::uint16_t, LVS_STATE_MAX> encode_timeouts(const TimeoutConfig& timeouts) {
  std::array<std::uint16_t, LVS_STATE_MAX> out{};
  out[LVS_STATE_SYN_RECV] = ticks(timeouts.tcp_syn_recv);
  out[LVS_STATE_SYN_SENT] = ticks(timeouts.tcp_syn_sent);
  out[LVS_STATE_ESTABLISHED] = ticks(timeouts.tcp_established);
  out[LVS_STATE_FIN_WAIT] = ticks(timeouts.tcp_fin_wait);
  out[LVS_STATE_TIME_WAIT] = ticks(timeouts.tcp_time_wait);
  out[LVS_STATE_CLOSE] = ticks(timeouts.tcp_close);
  out[LVS_STATE_CLOSE_WAIT] = ticks(timeouts.tcp_close_wait);
  out[LVS_STATE_LAST_ACK] = ticks(timeouts.tcp_last_ack);
  out[LVS_STATE_UDP_NEW] = ticks(timeouts.udp);
  out[LVS_STATE_UDP] = ticks(timeouts.udp);
  out[LVS_STATE_ESTABLISHED_NEW] = ticks(timeouts.tcp_established);
  out[LVS_STATE_UDP_SHORT] = ticks(std::min(timeouts.udp_answered, timeouts.udp));
  out[LVS_STATE_UDP_BURST] = ticks(timeouts.udp);
  return out;
}

std::string_view state_name(std::uint32_t state) {
  static constexpr std::array<std::string_view, LVS_STATE_MAX> kNames{
      "FREE",       "CLAIMED",  "SYN_RECV", "SYN_SENT", "ESTABLISHED", "FIN_WAIT", "TIME_WAIT", "CLOSE",
      "CLOSE_WAIT", "LAST_ACK", "UDP",      "UDP",      "ESTABLISHED", "NONE",     "UDP",       "UDP"};
  return state < kNames.size() ? kNames[state] : "NONE";
}

std::uint32_t slot_age(std::uint64_t word, std::uint32_t now) {
  // Ages run to 65535 ticks (19 h): idle flows stay recognisable that long after lvsd died. The youngest "negative"
  // ones are slots that a CPU wrote after we read the clock.
  constexpr std::uint32_t kAhead = 0xffff - 16;
  const std::uint32_t age = (now - LVS_WORD_TIME(word)) & 0xffff;
  return age > kAhead ? 0 : age;
}

namespace {

std::uint32_t seconds_now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint32_t>(now.tv_sec);
}

}  // namespace

std::uint32_t drained_now() {
  return seconds_now() + 1;
}

std::chrono::seconds drained_for(std::uint32_t drained) {
  return std::chrono::seconds(seconds_now() - (drained - 1));
}

std::uint32_t tick_now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const auto ns = static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
  return static_cast<std::uint32_t>(ns >> LVS_TICK_SHIFT) & 0xffff;
}

}  // namespace xlvs::dataplane
