// SPDX-License-Identifier: Apache-2.0
// The configuration as the operator means it: what config/ produces and everything else reads. Plain values; a Config
// that config/ returned has been validated, so its readers need not check it again. docs/config.md explains each key.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/ha_config.h"
#include "core/ip.h"

namespace xlvs {

enum class ForwardMethod : std::uint8_t { nat, dr };
[[nodiscard]] std::string_view to_string(ForwardMethod method);
[[nodiscard]] std::optional<ForwardMethod> parse_forward_method(std::string_view name);

enum class Scheduler : std::uint8_t { rr, wrr, lc, wlc, sh, dh, mh };  // rows of core/scheduler.h's table
[[nodiscard]] std::string_view to_string(Scheduler scheduler);
[[nodiscard]] std::optional<Scheduler> parse_scheduler(std::string_view name);

// An inclusive range of HTTP status codes, or of exit statuses.
struct StatusRange {
  std::uint16_t first = 200;
  std::uint16_t last = 200;
  friend auto operator<=>(const StatusRange&, const StatusRange&) = default;
};

// A check's parameter as the operator wrote it; which names and kinds a type takes stands in core/check_type.h.
using CheckValue = std::variant<bool, std::int64_t, std::string, Milliseconds, std::vector<StatusRange>,
                                std::map<std::string, std::string>, std::vector<std::string>>;

inline constexpr std::uint16_t kCheckMark = 0x6c76;  // "lv"

struct CheckSpec {
  std::string type = "tcp";                   // a row of check_types(); "none": always up
  Milliseconds interval{2000};                // from the start of one check to the start of the next; 100 ms .. 1 h
  Milliseconds timeout{1000};                 // for the whole check; at most the interval
  unsigned rise = 2;                          // consecutive passes that bring a backend up; 1..100
  unsigned fall = 3;                          // consecutive failures that take it down; 1..100
  std::optional<Milliseconds> fast_interval;  // instead of interval while results point to another state
  std::optional<IpAddress> connect;           // check this host instead of the backend
  std::optional<std::uint16_t> port;          // check this port instead of the backend's
  std::optional<IpAddress> via;               // resolved: the VIP that is asked on the backend, not its own address
  std::uint32_t mark = 0;                     // of this check's packets, tells the data plane `via`; 0: none
  std::map<std::string, CheckValue> params;   // every parameter of the type, defaults filled in

  // What is asked to know about a backend.
  [[nodiscard]] Endpoint target(const Endpoint& backend) const {
    return {connect.value_or(backend.address), port.value_or(backend.port)};
  }
  friend bool operator==(const CheckSpec&, const CheckSpec&) = default;
};

// What a check is called in reports and labels: "tcp", "http:9000/health".
[[nodiscard]] std::string to_string(const CheckSpec& check);

// All of them must pass. None, or only ones of type "none": the backend is always up.
using CheckList = std::vector<CheckSpec>;
[[nodiscard]] bool is_checked(const CheckList& checks);

// The tier of the server that says sorry; those of backends are below. A tier is used when no lower one has a backend
// that is fit.
inline constexpr unsigned kSorryTier = 255;

struct BackendConfig {
  IpAddress address;
  std::uint16_t port = 0;                      // resolved: the listeners' port when the configuration leaves it out
  std::uint32_t weight = 1;                    // 0..65535; 0: drained
  ForwardMethod forward = ForwardMethod::nat;  // resolved: the service's unless overridden
  unsigned tier = 0;                           // 0: in use first; 1..9: when the tiers before have nobody; kSorryTier
  std::optional<CheckList> checks = {};        // instead of the service's
  std::string host = {};                       // the DNS name that the address is of; empty: it was written as it is
  bool leaving = false;                        // the name has lost this address: no new flows

  [[nodiscard]] Endpoint endpoint() const { return {address, port}; }
  friend bool operator==(const BackendConfig&, const BackendConfig&) = default;
};

// A packet that matches a listener, belongs to no known flow and may not create one (a TCP segment without SYN).
enum class NoFlowPolicy : std::uint8_t { pass, drop };  // pass: the host answers it with a TCP reset
[[nodiscard]] std::string_view to_string(NoFlowPolicy policy);
[[nodiscard]] std::optional<NoFlowPolicy> parse_no_flow_policy(std::string_view name);

enum class StartState : std::uint8_t { down, up };
[[nodiscard]] std::string_view to_string(StartState state);
[[nodiscard]] std::optional<StartState> parse_start_state(std::string_view name);

// What becomes of a backend that fails. remove: as if it were not there; drain: weight 0, so that hash schedulers keep
// its place (LVS' quiesce). FlowsOnFailure says what becomes of established flows in both cases.
enum class OnFailure : std::uint8_t { remove, drain };
[[nodiscard]] std::string_view to_string(OnFailure action);
[[nodiscard]] std::optional<OnFailure> parse_on_failure(std::string_view name);

// A backend that comes and goes `changes` times `within` is held out until its health has not changed for `hold`.
struct FlapRule {
  unsigned changes = 6;  // 2..100; coming is one, going is one
  Milliseconds within{60'000};
  Milliseconds hold{120'000};
  friend bool operator==(const FlapRule&, const FlapRule&) = default;
};

// From what checks find to what a backend gets; health/life.h carries it out.
struct LifeRules {
  StartState start = StartState::down;  // before the first result
  OnFailure on_failure = OnFailure::remove;
  Milliseconds reentry_delay{0};  // after a failure every check must pass for so long
  Milliseconds slow_start{0};     // after a failure the weight grows for so long
  std::optional<FlapRule> flap;
  friend bool operator==(const LifeRules&, const LifeRules&) = default;
};

// By weight of the first tier's backends that are fit, with hysteresis: gained at `up`, lost below `down`.
struct Quorum {
  std::uint32_t up = 1;
  std::uint32_t down = 1;  // at most `up`
  friend bool operator==(const Quorum&, const Quorum&) = default;
};

// Which of its backends a service uses; core/pool.h carries it out.
struct PoolRules {
  unsigned panic = 0;  // percent of a tier's weight; with less of it fit, all of it is used; 0: never
  std::optional<Quorum> quorum;
  bool withdraw_vip = false;  // its VIPs are taken from the interface while nobody fit is in use
  friend bool operator==(const PoolRules&, const PoolRules&) = default;
};

// What becomes of the established flows of a backend that fails its check. keep: they go on to it, as in IPVS. reset: a
// TCP client's next segment is answered with a reset. drop: its segments are dropped until the backend is back. Flows
// of a removed backend end in any case, with a reset if that is the policy.
enum class FlowsOnFailure : std::uint8_t { keep, reset, drop };
[[nodiscard]] std::string_view to_string(FlowsOnFailure policy);
[[nodiscard]] std::optional<FlowsOnFailure> parse_flows_on_failure(std::string_view name);

struct ServiceConfig {
  std::string name;                 // [A-Za-z0-9][A-Za-z0-9_.-]{0,62}, unique
  std::vector<Listener> listeners;  // at least one; one family; unique in the whole configuration
  ForwardMethod forward = ForwardMethod::nat;
  Scheduler scheduler = Scheduler::wlc;
  bool hash_port = false;  // sh, mh: the hash includes the client port (IPVS sh-port, mh-port)
  bool hash_fallback =
      false;                // sh, mh: a client whose server is drained goes to another (IPVS sh-fallback, mh-fallback)
  bool sloppy_tcp = false;  // any TCP segment but RST may create a flow
  NoFlowPolicy no_flow = NoFlowPolicy::pass;
  FlowsOnFailure flows_on_failure = FlowsOnFailure::keep;
  CheckList checks;
  LifeRules life;
  PoolRules pool;
  std::vector<BackendConfig> backends;  // in the operator's order, which rr and ties of lc follow; unique endpoints
  std::vector<BackendConfig> named;     // by DNS name (`host`), without address: core/names.h makes `backends` of them

  [[nodiscard]] Family family() const { return listeners.front().address.family(); }
  [[nodiscard]] const CheckList& checks_of(const BackendConfig& backend) const {
    return backend.checks ? *backend.checks : checks;
  }
  friend bool operator==(const ServiceConfig&, const ServiceConfig&) = default;
};

// How backends that are given by DNS name follow it.
struct NameRules {
  Milliseconds min_ttl{5'000};    // no sooner is a name asked for again, whatever its TTL, also after a failure
  Milliseconds max_ttl{300'000};  // no later
  unsigned max_addresses = 32;    // of one name; others are left out
  Milliseconds drain{600'000};    // what flows of an address that the name has lost get to end
  std::vector<Endpoint> servers;  // asked instead of those of resolv.conf
  friend bool operator==(const NameRules&, const NameRules&) = default;
};

// Idle times after which a flow ends; IPVS' defaults. 1 s .. 30,000 s, kept in steps of about 1.07 s.
struct TimeoutConfig {
  std::chrono::seconds tcp_established{900};
  std::chrono::seconds tcp_syn_sent{120};
  std::chrono::seconds tcp_syn_recv{60};
  std::chrono::seconds tcp_fin_wait{120};
  std::chrono::seconds tcp_time_wait{120};
  std::chrono::seconds tcp_close{10};
  std::chrono::seconds tcp_close_wait{60};
  std::chrono::seconds tcp_last_ack{30};
  std::chrono::seconds udp{300};

  friend bool operator==(const TimeoutConfig&, const TimeoutConfig&) = default;
};

// How changed limits come into force: said in these words wherever it is said.
inline constexpr std::string_view kLimitsRemedy =
    "restart lvsd (`systemctl restart lvsd`), which carries all flows over into tables of the new sizes";

// Sizes of what is allocated when lvsd starts.
struct LimitConfig {
  std::uint32_t flows_ipv4 = 1U << 20;  // slots; rounded up to a power of two; 1,024 .. 2^26
  std::uint32_t flows_ipv6 = 1U << 18;
  std::uint32_t services = 1024;
  std::uint32_t listeners = 4096;
  std::uint32_t backends = 16384;

  friend bool operator==(const LimitConfig&, const LimitConfig&) = default;
};

enum class XdpMode : std::uint8_t { automatic, native, generic };  // automatic: native, generic only if that is refused
[[nodiscard]] std::string_view to_string(XdpMode mode);            // "auto", "native", "generic"
[[nodiscard]] std::optional<XdpMode> parse_xdp_mode(std::string_view name);

struct InterfaceConfig {
  std::string name;
  XdpMode mode = XdpMode::automatic;
  bool optional = false;  // a start does not need it: it is attached when it comes
  friend bool operator==(const InterfaceConfig&, const InterfaceConfig&) = default;
};

// Who is told when backends, services and quorums change: a program, or whoever reads a socket or FIFO.
struct HookConfig {
  std::vector<std::string> program;  // with its arguments; the first is an absolute path. Empty: `path` is meant
  std::string user = "nobody";       // as whom it runs
  Milliseconds timeout{10'000};      // then it is killed
  std::string path;                  // of a FIFO or a UNIX datagram socket, for a line of JSON each
  std::vector<std::string> events;   // of "backend", "service", "quorum"; empty: all
  friend bool operator==(const HookConfig&, const HookConfig&) = default;
};

struct Config {
  std::vector<InterfaceConfig> interfaces;  // at least one
  std::vector<ServiceConfig> services;      // may be empty
  TimeoutConfig timeouts;
  LimitConfig limits;
  NameRules names;
  bool manage_vips = true;           // VIPs are put on an interface while lvsd runs
  std::string vip_interface = "lo";  // where to
  std::optional<HaConfig> ha;        // nullopt: this router is always active
  std::vector<HookConfig> hooks;
  std::string maintenance_dir;  // files in it take backends out of service; empty: none
  std::uint32_t hash_seed = 0;  // of sh, dh, mh: give all routers of a site the same
  std::optional<Endpoint> metrics = Endpoint{IpAddress::v4({127, 0, 0, 1}), 9539};  // nullopt: no listener
  std::uint16_t check_mark = kCheckMark;  // high half of the marks of checks with `via`
  unsigned max_programs = 128;            // at once, of exec checks
  std::string log_level = "info";         // debug, info, warning, error
  std::string socket_group;               // may use the control socket; empty: root's only

  friend bool operator==(const Config&, const Config&) = default;
};

}  // namespace xlvs
