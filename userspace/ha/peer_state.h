// SPDX-License-Identifier: Apache-2.0
// What the routers of a pair tell each other in every heartbeat, from and to bytes. Pure; any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/ip.h"
#include "ha/vrrp.h"

namespace xlvs::ha {

// How much of what it is there for a router can do now.
struct HealthSummary {
  std::uint32_t services = 0, services_up = 0;  // up: takes new flows
  std::uint32_t backends = 0, backends_up = 0;
  friend bool operator==(const HealthSummary&, const HealthSummary&) = default;
};

// What a router knows of itself beside the election.
struct RouterFacts {
  std::uint64_t generation = 0;  // of the configuration in force
  std::string config;            // config::shared_hash() of it, in hex; at most kLongestConfigHash characters
  HealthSummary health;
  friend bool operator==(const RouterFacts&, const RouterFacts&) = default;
};
inline constexpr std::size_t kLongestConfigHash = 64;

// One of a router's VRRP instances, as it is configured.
struct PeerInstance {
  std::uint8_t vrid = 1;
  std::uint8_t priority = 100;
  IpAddress source;  // of its advertisements
  friend bool operator==(const PeerInstance&, const PeerInstance&) = default;
};
inline constexpr std::size_t kMostPeerInstances = 48;  // that are told; a datagram has room for more than anybody has

struct PeerState {
  Role role = Role::init;
  std::uint8_t priority = 0;                // in force, of the first instance
  bool released = false;                    // does not preempt
  IpAddress source;                         // of the first instance's advertisements: decides between equal priorities
  std::chrono::milliseconds interval{200};  // between its heartbeats; 1 ms .. 60 s
  RouterFacts facts;
  std::vector<PeerInstance> instances;  // none of a router that does not tell: an earlier version
  friend bool operator==(const PeerState&, const PeerState&) = default;
};

// The body of a heartbeat: role, flags, priority, family of source (4 or 6), source (16), interval in ms (4),
// generation (8), services, services up, backends, backends up (4 each), length of the hash, hash, number of instances,
// and of each vrid, priority, family and source (16). Numbers are big-endian.
[[nodiscard]] std::vector<std::uint8_t> encode(const PeerState& state);
// nullopt: too short, or a value that no router sends. Earlier versions end with the hash; bytes behind the instances
// are left to later ones.
[[nodiscard]] std::optional<PeerState> decode_state(std::span<const std::uint8_t> body);

}  // namespace xlvs::ha
