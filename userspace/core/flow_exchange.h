// SPDX-License-Identifier: Apache-2.0
// Flows as two routers tell each other of them, and the two ends of that: what a router's flow table has to tell, and
// what it is told. Ids differ between routers, so a flow refers to its service, listener and backend by the number of a
// FlowTarget, which has their names. dataplane/ implements both ends, ha/flow_sync carries what lies between.
#pragma once

#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/ip.h"

namespace xlvs {

// Names are those of IPVS. Half-open flows are not told: their next segment makes them again.
enum class FlowState : std::uint8_t {
  established = 1,
  fin_wait = 2,
  time_wait = 3,
  close = 4,
  close_wait = 5,
  last_ack = 6,
  udp = 7,
};
inline constexpr std::uint8_t kFlowStates = 8;

struct FlowTarget {
  std::string service;
  Listener listener;
  Endpoint backend;
  friend auto operator<=>(const FlowTarget&, const FlowTarget&) = default;
};
inline constexpr std::uint32_t kMaxFlowTargets = 1U << 20;

struct FlowRecord {
  Endpoint client;
  std::uint32_t target = 0;  // number of a FlowTarget, below kMaxFlowTargets
  FlowState state = FlowState::established;
  std::chrono::duration<std::uint16_t> idle{0};  // since its last packet
  friend bool operator==(const FlowRecord&, const FlowRecord&) = default;
};

// What became of flows that were told, by number of flows.
struct FlowImports {
  std::uint64_t created = 0;
  std::uint64_t updated = 0;
  std::uint64_t kept = 0;        // known here, and nothing new
  std::uint64_t ended = 0;       // over, and not known here
  std::uint64_t conflict = 0;    // refused: known here with another backend, and this router gets the packets
  std::uint64_t no_room = 0;     // refused: the flow table is full
  std::uint64_t no_service = 0;  // refused: this router's configuration has no such service,
  std::uint64_t no_listener = 0;
  std::uint64_t no_backend = 0;
  std::uint64_t failed = 0;  // refused: the kernel did not run the import
  [[nodiscard]] std::uint64_t misconfigured() const { return no_service + no_listener + no_backend; }
  FlowImports& operator+=(const FlowImports& more);
  friend bool operator==(const FlowImports&, const FlowImports&) = default;
};

// Walks this router's flows over and over. Tells of one once it has lived for a while, when its state changes, and from
// time to time while packets keep it alive, so that the copy does not expire.
class FlowSource {
 public:
  virtual ~FlowSource() = default;

  // What was told is forgotten, target numbers too; the walk that begins now tells of every flow that is worth it,
  // however young.
  virtual void tell_all() = 0;
  // Goes on with the walk: looks at no more than `buckets` buckets, which becomes what is left of that, and appends no
  // more than `limit` flows (of at least 16). True: it has come to the end of the table, and the next call begins anew.
  // `after`: how long a flow must have lived, which is counted from when a walk first met it.
  virtual bool collect(std::size_t& buckets, std::size_t limit, std::chrono::milliseconds after,
                       std::vector<FlowRecord>& out) = 0;
  [[nodiscard]] virtual std::size_t bucket_count() const = 0;
  // Of a flow that was told since tell_all().
  [[nodiscard]] virtual const FlowTarget& target(std::uint32_t number) const = 0;
  // Nobody is told any more: gives the memory back, about 12 bytes for each slot of the table.
  virtual void rest() = 0;
};

class FlowSink {
 public:
  virtual ~FlowSink() = default;

  // Numbers begin to mean something else.
  virtual void forget_targets() = 0;
  virtual void set_target(std::uint32_t number, const FlowTarget& target) = 0;
  // `replace`: the other router gets the packets and knows better; otherwise flows that are known here stay.
  virtual FlowImports import(std::span<const FlowRecord> flows, bool replace) = 0;
};

struct FlowExchange {
  FlowSource& source;
  FlowSink& sink;
};

}  // namespace xlvs
