// SPDX-License-Identifier: Apache-2.0
#include "ha/peer_state.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "ha/wire.h"

namespace xlvs::ha {
namespace {

constexpr std::uint8_t kReleased = 1;
constexpr std::size_t kAddress = 16;
constexpr std::chrono::milliseconds kGreatestInterval{60'000};

std::array<std::uint8_t, kAddress> address_bytes(std::span<const std::uint8_t> from) {
  std::array<std::uint8_t, kAddress> bytes{};
  std::copy_n(from.begin(), std::min(from.size(), bytes.size()), bytes.begin());
  return bytes;
}

// The family (4 or 6), and 16 bytes.
void put_address(ByteWriter& out, const IpAddress& address) {
  out.number(static_cast<std::uint8_t>(address.family()), 1);
  out.bytes(address_bytes(address.bytes()));
}

std::optional<IpAddress> take_address(ByteReader& in) {
  const std::uint64_t family = in.number(1);
  const auto bytes = address_bytes(in.take(kAddress));
  if (family == 6) return IpAddress::v6(bytes);
  if (family == 4) return IpAddress::v4({bytes[0], bytes[1], bytes[2], bytes[3]});
  return std::nullopt;
}

// False: not what a router sends.
bool take_instances(ByteReader& in, std::vector<PeerInstance>& instances) {
  if (in.left() == 0) return true;
  const std::uint64_t count = in.number(1);
  if (count > kMostPeerInstances) return false;
  for (std::uint64_t i = 0; i < count; ++i) {
    PeerInstance& instance = instances.emplace_back();
    instance.vrid = static_cast<std::uint8_t>(in.number(1));
    instance.priority = static_cast<std::uint8_t>(in.number(1));
    const auto source = take_address(in);
    if (!source) return false;
    instance.source = *source;
  }
  return true;
}

}  // namespace

std::vector<std::uint8_t> encode(const PeerState& state) {
  ByteWriter out;
  out.number(static_cast<std::uint8_t>(state.role), 1);
  out.number(state.released ? kReleased : 0, 1);
  out.number(state.priority, 1);
  put_address(out, state.source);
  out.number(static_cast<std::uint64_t>(state.interval.count()), 4);
  out.number(state.facts.generation, 8);
  const HealthSummary& health = state.facts.health;
  for (const std::uint32_t count : {health.services, health.services_up, health.backends, health.backends_up})
    out.number(count, 4);
  const std::string hash = state.facts.config.substr(0, kLongestConfigHash);
  out.number(hash.size(), 1);
  out.text(hash);
  const std::size_t count = std::min(state.instances.size(), kMostPeerInstances);
  out.number(count, 1);
  for (std::size_t i = 0; i < count; ++i) {
    out.number(state.instances[i].vrid, 1);
    out.number(state.instances[i].priority, 1);
    put_address(out, state.instances[i].source);
  }
  return out.take();
}

std::optional<PeerState> decode_state(std::span<const std::uint8_t> body) {
  ByteReader in(body);
  PeerState state;
  const std::uint64_t role = in.number(1);
  if (role > static_cast<std::uint8_t>(Role::active)) return std::nullopt;
  state.role = static_cast<Role>(role);
  state.released = (in.number(1) & kReleased) != 0;
  state.priority = static_cast<std::uint8_t>(in.number(1));
  const auto source = take_address(in);
  if (!source) return std::nullopt;
  state.source = *source;
  state.interval = std::chrono::milliseconds(in.number(4));
  if (state.interval.count() < 1 || state.interval > kGreatestInterval) return std::nullopt;
  state.facts.generation = in.number(8);
  HealthSummary& health = state.facts.health;
  for (std::uint32_t* count : {&health.services, &health.services_up, &health.backends, &health.backends_up})
    *count = static_cast<std::uint32_t>(in.number(4));
  const std::size_t length = in.number(1);
  if (length > kLongestConfigHash) return std::nullopt;
  state.facts.config = in.text(length);
  if (!take_instances(in, state.instances)) return std::nullopt;
  // It is shown to people.
  const auto hex = [](unsigned char c) { return std::isxdigit(c) != 0; };
  if (in.failed() || !std::all_of(state.facts.config.begin(), state.facts.config.end(), hex)) return std::nullopt;
  return state;
}

}  // namespace xlvs::ha
