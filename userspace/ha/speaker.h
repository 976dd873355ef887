// SPDX-License-Identifier: Apache-2.0
// This router's part in VRRP: a thread that nothing else delays holds the election, sends and receives advertisements,
// and announces the addresses when it becomes active. Adding and removing them is the owner's.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/fence.h"
#include "core/ha_config.h"
#include "core/result.h"
#include "ha/peer_channel.h"
#include "ha/peer_state.h"
#include "ha/vrrp.h"

namespace xlvs::ha {

struct PeerReport {
  IpAddress address;
  std::uint8_t priority = 0;
  Time heard_at;
};

// Somebody else has claimed an address of the role while this router was active, and went on being so.
struct ConflictReport {
  IpAddress address;
  MacAddress mac;
  Time at;
};

// The second path to the other router.
struct PeerLinkReport {
  PeerConfig config;
  bool alive = false;
  std::optional<PeerState> peer;  // what it said last
  std::optional<Time> heard_at;
  RouterFacts own;  // as the peer is told
  std::uint64_t send_errors = 0;
  PeerChannelCounts counts;
};

struct InstanceReport {
  std::string name;
  std::string interface;
  Family family = Family::ipv4;
  std::uint8_t vrid = 0;
  std::uint8_t priority = 0;    // in force
  std::uint8_t configured = 0;  // priority
  bool link_up = true;
  bool silent = false;  // backup, and nobody is heard
  std::uint64_t sent = 0;
  std::uint64_t send_errors = 0;
  std::uint64_t received = 0;                     // and taken
  std::map<std::string, std::uint64_t> rejected;  // by reason: AdvertisementError, Heard
  std::uint64_t announcements = 0;                // gratuitous ARP and unsolicited NA
  std::optional<PeerReport> peer;                 // who was heard last
  std::chrono::milliseconds interval{1000};
  Oddities oddities;
  std::uint64_t conflicts = 0;
  std::optional<ConflictReport> conflict;  // the last
};

struct SpeakerReport {
  Role role = Role::init;
  std::string reason;  // of the last change
  std::chrono::system_clock::time_point since;
  std::uint64_t transitions = 0;
  bool released = false;
  bool realtime = false;                     // the thread runs under SCHED_RR, and no page of lvsd is swapped out
  Time last_turn{};                          // of the thread: it takes one at least every kGreatestPause
  std::chrono::microseconds worst_delay{0};  // of an advertisement, since the start
  std::vector<InstanceReport> instances;
  std::optional<PeerLinkReport> peer_link;
};

// So that a thread that hangs is told from one that has nothing to do.
inline constexpr std::chrono::milliseconds kGreatestPause{1000};

// What a restarted lvsd must still have in common with the one before to take up its role: the virtual routers.
[[nodiscard]] std::uint64_t role_number(const HaConfig& config);

// Life: open(), then run() once, then leave() or the end.
class Speaker {
 public:
  // Comes from the speaker's thread, in the order of the changes, when the advertisements and announcements have been
  // sent. Must not block, and not call the speaker.
  using RoleChanged = std::function<void(Role role, const std::string& reason)>;

  // Opens what it needs; nothing is sent yet. While active it pushes `fence` ahead with every advertisement. Errors
  // name the interface.
  static Result<std::unique_ptr<Speaker>> open(const HaConfig& config, FenceWord fence, RoleChanged changed);
  // Takes part in the election from now on. `take_up`: as active, because this router was so until a moment ago.
  virtual void run(bool take_up) = 0;
  // Ends the thread but not the role, which another speaker is about to take up: true when there is one to take up.
  // RoleChanged is not called any more.
  [[nodiscard]] virtual bool leave() = 0;
  // Hands over when active (and not left); the thread has ended. RoleChanged is not called any more.
  virtual ~Speaker() = default;

  // The following may be called from any thread.
  virtual void release() = 0;
  virtual void resume() = 0;
  // While held it does not preempt: flow tables are not yet in step with the peer's.
  virtual void hold(bool held) = 0;
  virtual void set_link(const std::string& interface, bool up) = 0;
  // What is tracked is amiss: `penalty` is taken off the configured priorities; with `fault` this router leaves the
  // election, and `why` says so.
  virtual void set_tracked(unsigned penalty, bool fault, const std::string& why) = 0;
  // What the peer is told from now on; nothing without a peer link.
  virtual void set_facts(RouterFacts facts) = 0;
  [[nodiscard]] virtual SpeakerReport report() const = 0;
};

}  // namespace xlvs::ha
