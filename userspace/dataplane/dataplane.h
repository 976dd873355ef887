// SPDX-License-Identifier: Apache-2.0
// The data plane as the agent sees it: an interface, so that everything above it is tested with a fake
// (tests/support/fake_dataplane.h). The real one (open_xdp_dataplane) is the only user of libbpf and of bpf/abi.h, and
// the only writer of the maps. Thread rule: every call from one thread. No call blocks longer than a few system calls,
// except apply() with map-in-map swaps (the kernel waits for an RCU grace period, some milliseconds each).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/desired.h"
#include "core/fence.h"
#include "core/flow_exchange.h"
#include "core/result.h"
#include "core/via.h"

namespace xlvs::dataplane {

// ---- interfaces ----------------------------------------------------------------------------------------------------

struct PortRequest {
  std::string name;
  unsigned ifindex = 0;
  MacAddress mac;
  std::uint32_t mtu = 1500;
  XdpMode mode = XdpMode::automatic;
};

struct PortStatus {
  std::string name;
  unsigned ifindex = 0;
  bool native = true;       // false: generic (skb) mode, slow
  std::string mode_reason;  // why generic: the driver's refusal, or "configured"
  std::uint32_t program_id = 0;
  bool adopted = false;  // the attachment was there already, of an earlier lvsd of this instance
};

// Where packets to a backend go. `local`: the address is this host's own.
struct NextHop {
  bool local = false;
  MacAddress mac;
  unsigned ifindex = 0;
  friend bool operator==(const NextHop&, const NextHop&) = default;
};

// ---- what has been counted -----------------------------------------------------------------------------------------

struct TrafficCounters {    // monotonic over reload, restart and upgrade of lvsd
  std::uint64_t flows = 0;  // created
  std::uint64_t in_packets = 0;
  std::uint64_t in_bytes = 0;  // IP lengths
  std::uint64_t out_packets = 0;
  std::uint64_t out_bytes = 0;
};

struct BackendStats {
  Endpoint endpoint;
  TrafficCounters traffic;
  std::uint32_t active = 0;    // TCP flows in ESTABLISHED
  std::uint32_t inactive = 0;  // all other flows
  std::optional<NextHop> next_hop;
};

struct ServiceStats {
  std::string name;
  TrafficCounters traffic;  // includes backends that have been removed since
  std::vector<BackendStats> backends;
};

struct ReasonStats {
  std::string name;     // as in metrics: "no_backend"
  std::string verdict;  // "drop", "pass" or "count"
  std::string text;
  std::uint64_t packets = 0;
};

struct FlowTableStats {
  std::uint64_t capacity = 0;  // slots, without overflow
  std::uint64_t used = 0;      // as of the last complete sweep
  std::uint64_t overflow_capacity = 0;
  std::uint64_t overflow_used = 0;
};

struct Stats {
  std::vector<ServiceStats> services;
  std::vector<ReasonStats> reasons;
  FlowTableStats flows_ipv4;
  FlowTableStats flows_ipv6;
  std::uint64_t flows_expired = 0;  // by sweeps of this process
  std::uint64_t count_drift = 0;    // |recounted - kept| of active and inactive; must stay 0
  std::uint64_t sweeps = 0;
};

// ---- flows ---------------------------------------------------------------------------------------------------------

struct Flow {
  Endpoint client;
  Endpoint destination;  // the VIP
  Protocol protocol = Protocol::tcp;
  std::string service;
  Endpoint backend;
  std::string state;                   // IPVS' name: "ESTABLISHED", "SYN_RECV", "UDP"
  std::chrono::seconds expires_in{0};  // unless another packet comes
};

struct FlowFilter {  // all that are set must match
  std::optional<std::string> service{};
  std::optional<Endpoint> backend{};  // port 0: any
  std::optional<Endpoint> client{};   // port 0: any
  std::optional<std::string> state{};
  std::optional<Protocol> protocol{};
};

// A TCP flow whose backend failed and whose client is to be reset (FlowsOnFailure::reset), but only its own segments
// tell with what sequence number: it has to be made to send one.
struct LostFlow {
  Endpoint client;
  Endpoint destination;  // the VIP
  friend bool operator==(const LostFlow&, const LostFlow&) = default;
};

inline constexpr std::size_t kMaxFenced = 4096;

// ---- the interface -------------------------------------------------------------------------------------------------

// What upkeep() found missing.
struct Upkeep {
  struct Repair {
    std::string kind;  // "link", "classifier", "fence", "pin"
    std::string text;  // for the log: what had been taken away, and that it is there again
  };
  std::vector<Repair> repairs;
  std::vector<std::string> problems;  // what could not be put back, and the remedy
};

struct ApplySummary {
  unsigned services_added = 0, services_removed = 0, services_changed = 0;
  unsigned backends_added = 0, backends_removed = 0, backends_changed = 0;
  [[nodiscard]] bool changed() const {
    return services_added + services_removed + services_changed + backends_added + backends_removed + backends_changed >
           0;
  }
};

class Dataplane {
 public:
  virtual ~Dataplane() = default;

  // Makes the maps describe `desired`. Checked against the limits first: an error has changed nothing. Order within a
  // service: backends added, table swapped, listeners added, then what is gone removed; never cleared and refilled.
  virtual Result<ApplySummary> apply(const Desired& desired) = 0;

  // Attaches the program (or adopts the pinned link). An error names the interface and the remedy; nothing is attached.
  virtual Result<PortStatus> attach(const PortRequest& port) = 0;
  // Detaches and unpins; unknown names are ignored.
  virtual void detach(const std::string& name) = 0;
  // A changed MAC or MTU of an attached interface.
  virtual void update_port(const PortRequest& port) = 0;
  // Attached ones. Just after opening: those that an earlier lvsd attached; detach() what is no longer wanted.
  [[nodiscard]] virtual std::vector<PortStatus> ports() const = 0;

  // The next hop of every backend with this address, now and for backends added later; nullopt: not resolved.
  virtual void set_next_hop(const IpAddress& address, const std::optional<NextHop>& hop) = 0;

  // The complete set of checks that go to a VIP on a backend. While there is one, every port has the egress program
  // that takes them there: on all of them before the first check, as one that slipped through would ask the backend's
  // own address. An error (it names the interface) has changed nothing.
  virtual Result<void> set_via_checks(const std::set<ViaCheck>& checks) = 0;

  // The complete set of addresses of this router's role (at most kMaxFenced): it answers for them only while fence()
  // says so. An error has changed nothing.
  virtual Result<void> set_fenced(const std::set<IpAddress>& addresses) = 0;
  // Valid as long as this object; what is stored in it outlives lvsd. With a program of an earlier build that knows
  // no fence: the one that fences nothing.
  [[nodiscard]] virtual FenceWord fence() = 0;

  // Looks whether all that this object has put into the kernel is still there (links, egress program, fenced addresses,
  // pins), and puts back what somebody took away. To be called every few seconds.
  virtual Upkeep upkeep() = 0;

  // One step of expiring, recounting and freeing ids: looks at no more than `buckets` buckets, so that the event loop
  // stays responsive. Returns true when this step completed a sweep of the whole table. At 100 ms per step of 1/20 of
  // the table a sweep takes 2 s.
  virtual bool sweep_step(std::size_t buckets) = 0;
  [[nodiscard]] virtual std::size_t bucket_count() const = 0;
  // Those that the last sweep_step() met, up to a bound; valid until the next.
  [[nodiscard]] virtual const std::vector<LostFlow>& lost_flows() const = 0;

  [[nodiscard]] virtual Stats stats() const = 0;
  // At most `limit` matching flows, in table order; `total` (if given) gets the number of all that match.
  [[nodiscard]] virtual std::vector<Flow> flows(const FlowFilter& filter, std::size_t limit,
                                                std::uint64_t* total) const = 0;
  // The flow table towards another router. Lives as long as this object.
  [[nodiscard]] virtual FlowExchange flow_exchange() = 0;
  // The services and endpoints that the maps hold: after a restart, what the previous lvsd left.
  [[nodiscard]] virtual std::vector<BackendRef> installed() const = 0;
};

struct OpenOptions {
  std::string instance = "default";
  std::string bpffs = "/sys/fs/bpf";  // pins live in <bpffs>/lvs/<instance>/v<layout>/
  LimitConfig limits;
};

// Loads and pins, or adopts what is pinned (maps, program when it is the same build; otherwise the new program replaces
// the old one in its links, after the verifier accepted it). Links go on carrying traffic; ports() has them. Errors:
// permission (names the capability), unsupported (no bpffs, no BTF, kernel too old), conflict (another process has the
// instance open). Pinned maps of other limits are carried over.
[[nodiscard]] Result<std::unique_ptr<Dataplane>> open_xdp_dataplane(const OpenOptions& options);

// Detaches all programs of the instance and removes its pins: `lvsd --reset`, and a stop that shall leave nothing. The
// instance must not be open, in this process neither: destroy its Dataplane first. Nothing pinned is fine.
[[nodiscard]] Result<void> remove_pins(const OpenOptions& options);

}  // namespace xlvs::dataplane
