// SPDX-License-Identifier: Apache-2.0
#include "ha/peer_state.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace xlvs::ha {
namespace {

constexpr std::uint8_t kReleased = 1;
constexpr std::size_t kAddress = 16;
constexpr std::size_t kFixed = 4 + kAddress + 4 + 8 + 4 * 4 + 1;
constexpr std::chrono::milliseconds kGreatestInterval{60'000};

template <typename T>
void put(std::vector<std::uint8_t>& to, T value) {
  for (std::size_t i = sizeof value; i-- > 0;) to.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

// Reads on from `from`, which is long enough.
template <typename T>
T take(std::span<const std::uint8_t>& from) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof value; ++i) value = static_cast<T>(value << 8 | from[i]);
  from = from.subspan(sizeof value);
  return value;
}

IpAddress take_address(std::span<const std::uint8_t>& from, bool v6) {
  std::array<std::uint8_t, kAddress> bytes{};
  std::copy_n(from.begin(), bytes.size(), bytes.begin());
  from = from.subspan(bytes.size());
  return v6 ? IpAddress::v6(bytes) : IpAddress::v4({bytes[0], bytes[1], bytes[2], bytes[3]});
}

}  // namespace

std::vector<std::uint8_t> encode(const PeerState& state) {
  std::vector<std::uint8_t> body;
  body.reserve(kFixed + kLongestConfigHash);  // g++ 12 warns for no reason of a vector that begins full
  put(body, static_cast<std::uint8_t>(state.role));
  put(body, static_cast<std::uint8_t>(state.released ? kReleased : 0));
  put(body, state.priority);
  put(body, static_cast<std::uint8_t>(state.source.family()));
  std::array<std::uint8_t, kAddress> source{};
  std::copy(state.source.bytes().begin(), state.source.bytes().end(), source.begin());
  body.insert(body.end(), source.begin(), source.end());
  put(body, static_cast<std::uint32_t>(state.interval.count()));
  put(body, state.facts.generation);
  const HealthSummary& health = state.facts.health;
  for (const std::uint32_t count : {health.services, health.services_up, health.backends, health.backends_up})
    put(body, count);
  const std::string hash = state.facts.config.substr(0, kLongestConfigHash);
  body.push_back(static_cast<std::uint8_t>(hash.size()));
  body.insert(body.end(), hash.begin(), hash.end());
  return body;
}

std::optional<PeerState> decode_state(std::span<const std::uint8_t> body) {
  if (body.size() < kFixed) return std::nullopt;
  PeerState state;
  const auto role = take<std::uint8_t>(body);
  if (role > static_cast<std::uint8_t>(Role::active)) return std::nullopt;
  state.role = static_cast<Role>(role);
  state.released = (take<std::uint8_t>(body) & kReleased) != 0;
  state.priority = take<std::uint8_t>(body);
  const auto family = take<std::uint8_t>(body);
  if (family != 4 && family != 6) return std::nullopt;
  state.source = take_address(body, family == 6);
  state.interval = std::chrono::milliseconds(take<std::uint32_t>(body));
  if (state.interval.count() < 1 || state.interval > kGreatestInterval) return std::nullopt;
  state.facts.generation = take<std::uint64_t>(body);
  HealthSummary& health = state.facts.health;
  for (std::uint32_t* count : {&health.services, &health.services_up, &health.backends, &health.backends_up})
    *count = take<std::uint32_t>(body);
  const std::size_t length = take<std::uint8_t>(body);
  if (length > kLongestConfigHash || length > body.size()) return std::nullopt;
  state.facts.config.assign(body.begin(), body.begin() + static_cast<std::ptrdiff_t>(length));
  // It is shown to people.
  const auto hex = [](unsigned char c) { return std::isxdigit(c) != 0; };
  if (!std::all_of(state.facts.config.begin(), state.facts.config.end(), hex)) return std::nullopt;
  return state;
}

}  // namespace xlvs::ha
