// SPDX-License-Identifier: Apache-2.0
// The control protocol: what lvsd answers and lvsctl shows, as plain values with a JSON form. HTTP/1.1 over a UNIX
// socket (docs/api.md). Fields are only ever added; a reader ignores those that it does not know.
//
//   GET  /v1/version                      Version
//   GET  /v1/status                       Status
//   GET  /v1/services                     [ServiceReport]
//   GET  /v1/services/NAME                ServiceReport
//   GET  /v1/flows?service=&backend=&client=&state=&protocol=&limit=   FlowList
//   GET  /v1/stats                        StatsReport
//   POST /v1/backends/drain|disable|enable|weight|force BackendChange -> BackendChangeResult
//   POST /v1/config/check                 ConfigText -> ConfigCheck   (changes nothing)
//   GET  /v1/config/diff                  ConfigDiff   (running against the files on disk)
//   POST /v1/config/apply                 ConfigApplied (reads the files on disk; an error has changed nothing)
//   POST /v1/config/push                  ConfigPushRequest -> ConfigPush   (has begun)
//   GET  /v1/config/push                  ConfigPush   (the last one)
//   GET  /metrics                         Prometheus text format
// Errors: status 4xx or 5xx with {"error": {"kind": "...", "message": "..."}}; kind as ErrorKind.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "core/result.h"

namespace xlvs::control {

// Times are seconds since the epoch (UTC), durations seconds, both with fraction; addresses are text as in core/ip.h.

struct Traffic {
  std::uint64_t flows = 0, in_packets = 0, in_bytes = 0, out_packets = 0, out_bytes = 0;
};

struct ReasonCount {
  std::string reason;
  std::uint64_t count = 0;
};

struct CheckReport {
  std::string name;    // "tcp", "http:9000/health"
  std::string state;   // "up", "down", "unchecked"
  std::string reason;  // of the last result: "ok", "timeout", ...
  std::string detail;
  double latency = 0;                      // of the last result
  double at = 0;                           // when it came; 0: never
  std::uint32_t passes = 0, failures = 0;  // in a row
  std::uint32_t rise = 0, fall = 0;        // how many in a row it takes
  std::vector<ReasonCount> results;        // how often each was found, since lvsd started
  std::optional<double> certificate_end;   // TLS: when the certificate expires that the last result found
};

struct HealthReport {
  std::string state;  // "up": fit for new flows, "down", "unchecked"
  std::string life;   // finer: "up", "slow-start", "reentry", "flapping", "down", "unchecked"; "" without a check
  std::optional<double> until;  // when reentry, slow start or flapping end if nothing fails
  double since = 0;
  std::string reason;  // of the last check: "ok", "timeout", ...
  std::string detail;
  double latency = 0;  // of the last check
  std::uint64_t checks_passed = 0, checks_failed = 0;
  std::vector<CheckReport> checks;
};

struct BackendReport {
  std::string service;
  std::string address;          // "10.0.0.11:8080"
  std::string forward;          // "nat", "dr"; "local" when the address is the router's own
  std::uint32_t weight = 0;     // in force, rounded up
  double effective_weight = 0;  // the same exactly: slow start and what the server asks for make fractions
  std::uint32_t configured_weight = 0;
  bool drained = false;   // by an override
  bool disabled = false;  // by an override
  std::optional<std::uint32_t> weight_override;
  std::optional<std::string> forced;  // by an override: "up", "down"
  std::string reason;                 // the operator's words for an override
  std::string maintenance;            // the file that takes it out of service
  // What the operator sees first: "up", "slow-start", "reentry", "flapping", "down", "drained", "unchecked", "standby"
  // (fit, but another tier is in use), "no-route" (next hop unknown).
  std::string state;
  std::string why;  // the state in words
  std::uint32_t tier = 0;
  std::string host;      // the DNS name that the address is of; "" when the configuration has the address
  bool leaving = false;  // the name has lost the address: it gets no new flows and goes when the others have ended
  HealthReport health;
  std::uint32_t active = 0, inactive = 0;
  Traffic traffic;
  std::string next_hop;  // "02:00:00:00:00:0b dev lan0", "local", "" when unresolved
};

// Whether health lets it take new flows: its check passed, or it has none. Before the first result it may not.
[[nodiscard]] inline bool is_healthy(const BackendReport& backend) {
  return backend.health.state == "up" || (backend.health.state == "unchecked" && backend.state != "unchecked");
}

struct PoolReport {
  std::string state;  // "up", "backup", "sorry", "panic", "no-quorum", "down": no backend takes new flows
  std::optional<std::uint32_t> tier;  // in use; 255: the sorry server
  bool panic = false, quorum = true, withdrawn = false;
  std::uint64_t weight = 0, fit_weight = 0;  // of the first tier, and of its fit backends
};

struct ServiceReport {
  std::string name;
  std::vector<std::string> listeners;
  std::string forward, scheduler, check;
  Traffic traffic;
  std::vector<BackendReport> backends;
  PoolReport pool;
};

struct InterfaceReport {
  std::string name;
  unsigned ifindex = 0;
  std::string mode;         // "native", "generic"
  std::string mode_reason;  // why generic
  std::uint32_t program_id = 0;
  bool up = true;
};

struct FlowTableReport {
  std::string family;  // "ipv4", "ipv6"
  std::uint64_t capacity = 0, used = 0, overflow_capacity = 0, overflow_used = 0;
};

struct ReasonReport {
  std::string name, verdict, text;
  std::uint64_t packets = 0;
};

struct ConfigReport {
  std::string path;
  std::string hash;
  std::uint64_t generation = 0;  // counts successful loads since the process started
  double loaded_at = 0;
  bool stale = false;        // the last reload was rejected; what runs is older than what is on disk
  std::string stale_reason;  // its first error
};

struct Version {
  std::string version, instance;
  std::int64_t pid = 0;
};

// The other router of a pair, on the peer link.
struct HaPeerReport {
  std::string address, state;  // "up", "silent", "unheard": nothing yet
  std::string takeover;        // "both_silent", "vrrp"
  std::string role;            // what it said last; "": nothing yet
  std::uint64_t priority = 0;
  bool released = false;
  std::optional<double> heard_ago;  // seconds
  std::string config;               // "same", "differs", "unknown"
  std::uint64_t generation = 0, services = 0, services_up = 0, backends = 0, backends_up = 0;
  std::uint64_t sent = 0, send_errors = 0, received = 0;
  std::map<std::string, std::uint64_t> rejected;  // by reason
  // Configurations pushed to it and by it, by what became of them: "applied", "valid" (a dry run), "refused",
  // "invalid", "failed".
  std::map<std::string, std::uint64_t> pushes_sent, pushes_received;
};
// One virtual router.
struct HaInstanceReport {
  std::string name, interface;
  std::uint64_t vrid = 0, priority = 0;  // in force
  bool link_up = true;
  std::uint64_t sent = 0, send_errors = 0, received = 0, announcements = 0;
  std::map<std::string, std::uint64_t> rejected;  // advertisements, by reason
  std::string peer;                               // who was heard last; "": nobody
  std::uint64_t peer_priority = 0;
  double peer_heard_ago = 0;    // seconds
  std::uint64_t conflicts = 0;  // somebody else claimed an address of ours
  std::string conflict;         // the last: "198.51.100.10 is claimed by 02:00:00:00:00:07"; "": none
  double conflict_ago = 0;      // seconds
  bool silent = false;          // with a peer link: backup, and nobody is heard
};
// What lowers the priority while it is amiss.
struct HaTrackReport {
  std::string name;
  bool good = true;
  std::string reason;
  std::uint64_t weight = 0;  // 0: it makes this router leave the election
  double since = 0;
};
// Anycast: one virtual address.
struct HaVipReport {
  std::string address;
  bool announced = false;
  std::string reason;  // why not; "" while it is
};
// Flow synchronisation with the peer.
struct HaFlowsReport {
  bool sends = false;  // this router is active, and tells; otherwise it is told
  bool holds = false;  // it does not preempt yet: the other router's flows come first
  // Sending: "no-peer", "sending" (the whole table), "in-step". Receiving: "asking", "passive" (the peer is not
  // active), "receiving" (the whole table), "in-step", "silent".
  std::string state;
  std::uint64_t sent = 0, received = 0;  // flows
  std::uint64_t datagrams_sent = 0, datagrams_resent = 0, datagrams_received = 0, datagrams_repeated = 0;
  std::uint64_t send_errors = 0;
  std::map<std::string, std::uint64_t> imported,
      refused;                                    // flows that were received, by what became of them; by reason
  std::map<std::string, std::uint64_t> rejected;  // datagrams, by reason
  std::uint64_t snapshots_sent = 0, snapshots_received = 0, snapshot_flows = 0;  // whole tables; flows of the last
  double snapshot_time = 0;                                                      // that it took, seconds
};
struct HaReport {
  std::string role, reason;  // init, backup, active; anycast: active, released. Why
  double since = 0;
  std::uint64_t transitions = 0;
  bool released = false, realtime = false;
  double worst_delay = 0;  // of an advertisement, seconds
  std::vector<HaInstanceReport> instances;
  std::string mode;               // "vrrp", "anycast"
  std::uint64_t table = 0;        // anycast: where the routes of announced addresses are; 0: addresses on an interface
  std::vector<HaVipReport> vips;  // anycast: all
  std::optional<HaFlowsReport> flows;  // nullopt: not synchronised
  std::vector<HaTrackReport> tracks;
  std::optional<HaPeerReport> peer;  // nullopt: no peer link
};

// A DNS name that backends are given by.
struct NameReport {
  std::string name, family;
  std::vector<std::string> addresses;  // in use
  std::vector<std::string> leaving;    // those it has lost and that still have flows
  std::string error;                   // why it could not be resolved last time; "": it could
  std::uint64_t resolved = 0, failed = 0;
  std::uint64_t surplus = 0;            // addresses left out because there are too many
  std::vector<std::string> unusable{};  // addresses left out because no backend can have them
};

struct Status {
  Version version;
  double started_at = 0;
  ConfigReport config;
  std::vector<InterfaceReport> interfaces;
  std::vector<std::string> vips;  // addresses that lvsd keeps on the VIP interface, and that are there
  std::optional<HaReport> ha;     // nullopt: the only router
  std::vector<FlowTableReport> flow_tables;
  std::vector<ServiceReport> services;
  std::vector<NameReport> names;
  std::vector<ReasonReport> reasons;  // all, zeros included
  std::vector<std::string> warnings;  // what an operator should look at: generic mode, stale config, no-route, ...
  std::vector<std::string> vips_missing{};  // addresses that should be on the VIP interface, and are not
};

struct FlowReport {
  std::string protocol, client, destination, service, backend, state;
  std::int64_t expires_in = 0;
};
struct FlowList {
  std::uint64_t total = 0;  // that match, of which `flows` holds at most `limit`
  std::vector<FlowReport> flows;
};

// Histogram of how late checks began: `counts[i]` at most `bounds[i]` seconds, the last one above all.
struct LatenessReport {
  std::vector<double> bounds;
  std::vector<std::uint64_t> counts;
  double sum = 0;
};

struct StatsReport {
  double at = 0;  // when sampled: two reports give a rate
  std::vector<ServiceReport> services;
  std::vector<ReasonReport> reasons;
  std::uint64_t flows_expired = 0, count_drift = 0;
  LatenessReport check_lateness;
  std::map<std::string, std::uint64_t> checks_void{};  // checks that say nothing of a server, by cause
  std::map<std::string, std::uint64_t> repairs{};      // of what others took out of the kernel, by kind
};

struct BackendChange {
  std::optional<std::string> service;        // nullopt: in every service that has the address
  std::string address;                       // "10.0.0.11:8080", or "10.0.0.11": every port
  std::optional<std::uint32_t> weight = {};  // weight: nullopt clears the override
  std::optional<std::string> forced = {};    // force: "up", "down"; nullopt clears it
  std::string reason = {};                   // drain, disable, force: for status and log
};
struct BackendChangeResult {
  std::vector<BackendReport> backends;  // those the change named, as they are now
  bool changed = false;
  std::string unsaved{};  // why the change would not survive a restart; "": it would
};

struct ConfigText {
  std::string name, text;
};
struct ConfigCheck {
  bool valid = false;
  std::vector<std::string> errors;   // "file:line:column: message"
  std::vector<std::string> changes;  // what applying it would change
};
struct ConfigDiff {
  bool valid = false;
  std::vector<std::string> errors, changes;
};
struct ConfigPushRequest {
  bool dry_run = false;  // the peer only says what would change
};
// A configuration on its way to the other router of a pair.
struct ConfigPush {
  std::string state = "none";  // "sending", "deciding" (the peer has it), "done", "failed"
  std::string peer;
  bool dry_run = false;
  std::vector<std::string> files;             // that were sent
  std::uint64_t bytes = 0, acknowledged = 0;  // of all of them
  std::uint64_t generation = 0;               // done: of what is in force at the peer
  std::vector<std::string> changes;           // done: there
  std::string error_kind;                     // failed: as of errors; "invalid": what the peer would have is wrong
  std::vector<std::string> errors;            // failed
};
struct ConfigApplied {
  std::uint64_t generation = 0;
  std::vector<std::string> changes;
};

// JSON forms: to_json/from_json for each of the above are declared in control/json.h.

// What the API server needs of the agent. Thread rule: called on the event loop's thread; must not block.
class Operations {
 public:
  virtual ~Operations() = default;
  [[nodiscard]] virtual Version version() const = 0;
  [[nodiscard]] virtual Status status() const = 0;
  [[nodiscard]] virtual std::vector<ServiceReport> services() const = 0;
  [[nodiscard]] virtual Result<FlowList> flows(const std::vector<std::pair<std::string, std::string>>& query) const = 0;
  [[nodiscard]] virtual StatsReport stats() const = 0;
  virtual Result<BackendChangeResult> drain(const BackendChange& change) = 0;
  virtual Result<BackendChangeResult> disable(const BackendChange& change) = 0;
  virtual Result<BackendChangeResult> enable(const BackendChange& change) = 0;  // clears drain and disable
  virtual Result<BackendChangeResult> force(const BackendChange& change) = 0;
  virtual Result<BackendChangeResult> set_weight(const BackendChange& change) = 0;
  [[nodiscard]] virtual ConfigCheck check_config(const ConfigText& text) const = 0;
  [[nodiscard]] virtual ConfigDiff diff_config() const = 0;
  virtual Result<ConfigApplied> apply_config() = 0;
  // The same three in two steps, of which the first, reading and parsing, may be made and run on any thread, and the
  // second is to be run on the event loop's, in the order of the first ones.
  [[nodiscard]] virtual std::function<std::function<ConfigCheck()>()> begin_check(ConfigText text) {
    return [this, text = std::move(text)] { return [this, text] { return check_config(text); }; };
  }
  [[nodiscard]] virtual std::function<std::function<ConfigDiff()>()> begin_diff() {
    return [this] { return [this] { return diff_config(); }; };
  }
  [[nodiscard]] virtual std::function<std::function<Result<ConfigApplied>()>()> begin_apply() {
    return [this] { return [this] { return apply_config(); }; };
  }
  // Begins to send; config_push() tells how it went. conflict: one is under way.
  virtual Result<ConfigPush> push_config(const ConfigPushRequest& request) = 0;
  [[nodiscard]] virtual ConfigPush config_push() const = 0;
  [[nodiscard]] virtual Result<HaReport> ha() const = 0;  // not_found without `ha` in the configuration
  virtual Result<HaReport> release_ha() = 0;
  virtual Result<HaReport> resume_ha() = 0;
};

}  // namespace xlvs::control
