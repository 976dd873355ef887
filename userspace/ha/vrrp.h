// SPDX-License-Identifier: Apache-2.0
// The VRRP state machine (RFC 9568, section 6; RFC 3768 for version 2), for a group of virtual routers that move
// together: a single one is a group of one member. Pure: time comes in, and what is to be done comes out. Thread rule:
// one thread at a time.
//
// A group has one role. It becomes active when *every* member has lost its active router, and backup when *any* member
// hears a better one. So a router that is cut off on one side only does not fight for the other (what keepalived's sync
// groups do).
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ha/advertisement.h"
#include "ha/heard.h"

namespace xlvs::ha {

using Clock = std::chrono::steady_clock;
using Time = Clock::time_point;
using Duration = Clock::duration;

enum class Role : std::uint8_t {
  init,  // not taking part: not started, starting up, or a fault (an interface is down)
  backup,
  active,
};
[[nodiscard]] std::string_view to_string(Role role);

struct MemberConfig {
  std::string name;
  std::uint8_t vrid = 1;  // 1..255
  VrrpVersion version = VrrpVersion::v3;
  std::uint8_t priority = 100;               // 1..254, or 255: owner of the address
  std::chrono::milliseconds interval{1000};  // between advertisements; v2: whole seconds
  IpAddress source;                          // what this router sends from: decides between equal priorities
  std::vector<IpAddress> vips;
  std::vector<IpAddress> peers;                         // not empty: who may advertise
  std::optional<std::array<std::uint8_t, 8>> password;  // v2
};

struct GroupConfig {
  std::vector<MemberConfig> members;           // at least one
  bool preempt = true;                         // take over from an active router of lower priority
  std::chrono::milliseconds preempt_delay{0};  // but not before this long after becoming backup
  std::chrono::milliseconds startup_delay{0};  // stay out of it this long after start()
};

struct Send {
  std::size_t member = 0;
  Advertisement advertisement;
};

struct Step {
  std::vector<Send> send;       // at once, in this order
  std::optional<Role> changed;  // the new role, for the caller to add or remove VIPs and to announce them
  std::string reason;           // of the change, a sentence for the log
};

// What became of an advertisement that decode() accepted.
enum class Heard : std::uint8_t {
  taken,
  unknown_vrid,  // not the member's
  version,       // the member speaks the other version
  interval,      // v2: differs from ours (RFC 3768, section 7.1)
  password,      // v2: differs from ours
  stranger,      // the member has `peers`, and this is none of them
  addresses,     // none of them is the member's: another virtual router with its vrid
  own,           // from ourselves: a loop, or somebody with our address
  owner,         // we own the address: whoever sends this is misconfigured (RFC 9568, section 7.1)
  not_started,
};
[[nodiscard]] std::string_view to_string(Heard heard);

// What the authenticated peer link says of the other router of the pair, if it counts in the election.
struct PeerView {
  bool alive = false;              // otherwise nothing is known
  bool active = false;             // it says that it is
  bool takes_part = false;         // it is backup, and could become active
  bool before = false;             // between the two this router is the one to wait: of lower priority, or released
  std::vector<IpAddress> sources;  // of its advertisements
};

// While a restart is under way.
inline constexpr std::chrono::milliseconds kLeaveInterval{1000};

// The active router's interval is adopted, as RFC 9568 wants it, but nobody makes a backup router wait for longer than
// this: an advertisement is not authenticated.
[[nodiscard]] constexpr std::chrono::milliseconds greatest_adopted(std::chrono::milliseconds own) {
  return std::max(10 * own, own + kLeaveInterval);
}

class Group {
 public:
  explicit Group(GroupConfig config);

  [[nodiscard]] Step start(Time now);
  // Instead of start(): goes on as active, because this router was so until a moment ago, and nobody has noticed.
  [[nodiscard]] Step take_up(Time now);
  // Active: hands over with priority 0.
  [[nodiscard]] Step stop(Time now);
  // Active: the last advertisements before another process takes up the role. Backup routers wait for it for three
  // times kLeaveInterval (version 3, where the active router says how long) or three intervals.
  [[nodiscard]] Step leave(Time now);
  // Does what is due. Call at next_due() or later; lateness delays, but loses nothing. When lapsed(), receive() first
  // what has come meanwhile.
  [[nodiscard]] Step tick(Time now);
  [[nodiscard]] std::optional<Time> next_due() const;
  // Advertisements beside those that are due, which stay due: when active, and there may be another active router that
  // should learn of this one as soon as it can.
  [[nodiscard]] Step search(Time now);
  // An advertisement arrived on this member's interface, by its family. Nothing but a better
  // router of the same virtual router takes the role away: advertisements of other addresses are refused, and answers
  // to those of lower priority are at most ten per interval.
  [[nodiscard]] Step receive(Time now, std::size_t member, const Advertisement& advertisement, const IpAddress& source,
                             Heard& heard);

  // Tracking. Priority: the one in force from now on, 1..254 (of an owner: ignored). Fault: the group leaves the
  // election while any member has one.
  void set_priority(std::size_t member, std::uint8_t priority);
  [[nodiscard]] Step set_fault(Time now, std::size_t member, bool fault, std::string_view why);

  // Hands over, and does not preempt until resume(); still takes over when nobody else is there.
  [[nodiscard]] Step release(Time now);
  void resume() { released_ = false; }
  // While held (flow tables are not yet in step with the peer's) the group does not preempt either.
  void hold(bool held) { held_ = held; }
  // What the peer link says now. While the peer is active, silence is no reason to take over, and an advertisement that
  // says that it stops is none before the link says so, too; preempting one whose advertisements all members hear
  // still is, if the peer is not `before` this router. While neither router of the pair is active for some intervals,
  // whatever is advertised by whom, one of them becomes active, and stays so against who is not the peer.
  void see_peer(Time now, PeerView peer);
  // Active: steps back without a word, because another router is active, too, and this one is to yield.
  [[nodiscard]] Step yield(Time now, std::string reason);

  // Active: until when no backup router can have taken this one for dead. Longer than three intervals after an
  // advertisement none waits (RFC 9568, section 6.1, less the skew), so this router must not answer for its addresses
  // any more.
  [[nodiscard]] Time lease_end() const;
  // It did not get to run for so long that another router may be active by now. If one is heard, this one steps back,
  // whatever the priorities; otherwise it goes on.
  [[nodiscard]] bool lapsed(Time now) const { return role_ == Role::active && now > lease_end(); }
  [[nodiscard]] Role role() const { return role_; }
  [[nodiscard]] bool released() const { return released_; }
  // Backup: this member has not heard any router for as long as it waits for one.
  [[nodiscard]] bool is_silent(std::size_t member, Time now) const;
  [[nodiscard]] bool faulty() const;
  // How long after the last advertisement this member takes the active router for dead.
  [[nodiscard]] Duration active_down_interval(std::size_t member) const;
  [[nodiscard]] std::uint8_t priority(std::size_t member) const { return members_[member].priority; }
  [[nodiscard]] const GroupConfig& config() const { return config_; }
  [[nodiscard]] const Oddities& oddities(std::size_t member) const { return members_[member].oddities; }

 private:
  struct Member {
    std::uint8_t priority = 100;
    bool fault = false;
    std::chrono::milliseconds heard_interval{1000};  // the active router's
    Time heard_at{};                                 // the last advertisement that was taken, of whatever priority
    IpAddress heard_from;                            // who sent it
    std::uint8_t heard_priority = 0;
    bool stopped = false;            // it said that its sender stops
    std::optional<Time> trusted_at;  // the last one of a configured router that is not the link's peer
    Time next_answer{};              // active: no earlier is a lower priority answered
    Oddities oddities;
    Time lease_end{};  // active: see lease_end()
    Time deadline{};   // init: none; backup: takes the active router for dead; active:
                       // sends the next advertisement
  };

  [[nodiscard]] Duration skew(std::size_t member) const;
  [[nodiscard]] bool may_preempt(Time now) const;
  [[nodiscard]] bool is_owner() const;
  [[nodiscard]] Advertisement advertisement(std::size_t member, std::uint8_t priority) const;
  void send(Step& step, Time now, std::size_t member);
  void advertise(Step& step, Time now, std::size_t member);
  void become_active(Step& step, Time now, std::string reason);
  void become_backup(Step& step, Time now, std::string reason);
  void become_init(Step& step, std::string reason);
  void enter_election(Step& step, Time now, std::string reason);
  [[nodiscard]] Heard judge(std::size_t member, const Advertisement& advertisement, const IpAddress& source) const;
  void note(Time now, std::size_t member, const Advertisement& advertisement, const IpAddress& source, Heard& heard);
  [[nodiscard]] std::chrono::milliseconds adopted(std::size_t member, const Advertisement& advertisement) const;
  [[nodiscard]] std::optional<Time> silence_due() const;
  [[nodiscard]] std::optional<Time> link_due() const;
  [[nodiscard]] bool is_overruled(std::size_t member, const IpAddress& source) const;
  void elect_by_link(Step& step, Time now);
  void hear_as_backup(Time now, std::size_t member, const Advertisement& advertisement);
  void hear_as_active(Step& step, Time now, std::size_t member, const Advertisement& advertisement,
                      const IpAddress& source);

  GroupConfig config_;
  std::vector<Member> members_;
  Role role_ = Role::init;
  bool started_ = false;
  std::optional<Time> starts_at_;  // init: when the start-up delay ends
  Time backup_since_{};
  bool released_ = false;
  bool held_ = false;
  PeerView peer_;
  std::optional<Time> nobody_since_;  // backup: the link says that the peer is not active either
  bool elected_by_link_ = false;      // active because of that
};

}  // namespace xlvs::ha
