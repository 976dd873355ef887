// SPDX-License-Identifier: Apache-2.0
// `ha` of the configuration as the operator means it; see core/model.h. Plain values, validated by config/.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/ip.h"

namespace xlvs {

using Milliseconds = std::chrono::milliseconds;

// One virtual router (RFC 9568): the addresses that move between routers on one link.
struct VrrpInstanceConfig {
  std::string name;
  std::string interface;
  std::uint8_t vrid = 1;               // 1..255, unique per interface and family
  std::uint8_t version = 3;            // 3, or 2 (RFC 3768, IPv4 only)
  Family family = Family::ipv4;        // of addresses and peers
  std::uint8_t priority = 100;         // 1..254; 255: owner of the addresses
  Milliseconds advert_interval{1000};  // v3: 10 ms .. 40.95 s in steps of 10 ms; v2: whole seconds up to 255 s
  std::vector<IpAddress> addresses;    // resolved: the listeners' of this family when left out
  std::vector<IpAddress> peers;        // unicast to these; empty: multicast
  std::vector<IpAddress> only_peers;   // multicast: advertisements of others are refused; empty: of nobody
  std::string password;                // v2: simple password, up to 8 characters; empty: none
  friend bool operator==(const VrrpInstanceConfig&, const VrrpInstanceConfig&) = default;
};

// Something that lowers the priority of all instances while it is amiss: exactly one of the three below.
struct TrackConfig {
  std::string name;                  // unique
  std::string interface;             // its link is down
  bool services = false;             // some service has no backend that may take new flows
  std::vector<std::string> program;  // it does not exit with 0; the first is an absolute path
  std::string user = "nobody";       // as whom the program runs
  Milliseconds interval{1000};       // from the start of one run to the start of the next
  Milliseconds timeout{1000};        // then it is killed, which counts as a failure
  unsigned rise = 2;                 // consecutive runs that end it being amiss; 1..100
  unsigned fall = 2;                 // and that begin it
  unsigned weight = 50;              // 1..253, what is taken off; 0: this router leaves the election
  friend bool operator==(const TrackConfig&, const TrackConfig&) = default;
};

// What is needed to take over when VRRP has fallen silent, while there is a peer link.
enum class Takeover : std::uint8_t {
  both_silent,  // the peer link is silent too, or says that the peer is not active
  vrrp,         // nothing more
};

struct FlowSyncConfig {
  bool on = true;
  Milliseconds after{1000};      // how long a flow is established before the peer is told of it
  std::uint32_t rate = 100'000;  // flows per second, at most
  friend bool operator==(const FlowSyncConfig&, const FlowSyncConfig&) = default;
};

// The authenticated second path to the other router of a pair. UDP from local:port to address:port.
struct PeerConfig {
  IpAddress local;
  IpAddress address;
  std::uint16_t port = 5394;
  std::string key_file;        // at least 32 bytes, mode 0600 or stricter; the same on both routers
  Milliseconds interval{200};  // between heartbeats; silent: none for three of them
  Takeover takeover = Takeover::both_silent;
  FlowSyncConfig flows;
  bool accept_config = false;  // what the other router pushes replaces this one's files
  friend bool operator==(const PeerConfig&, const PeerConfig&) = default;
};

enum class HaMode : std::uint8_t {
  vrrp,     // one router of several is active
  anycast,  // all are; each announces the addresses of its healthy services, a routing daemon tells the network
};

// This router is one of several.
struct HaConfig {
  HaMode mode = HaMode::vrrp;
  std::vector<VrrpInstanceConfig> instances;  // vrrp: at least one, and all move together; anycast: none
  bool preempt = true;
  Milliseconds preempt_delay{0};
  Milliseconds startup_delay{0};
  std::vector<TrackConfig> track;
  std::optional<PeerConfig> peer;
  std::uint32_t table = 0;  // anycast: announced by routes in this table; 0: by the addresses on the VIP interface
  friend bool operator==(const HaConfig&, const HaConfig&) = default;
};

}  // namespace xlvs
