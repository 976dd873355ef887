// SPDX-License-Identifier: Apache-2.0
// What two routers say to each other about flows: the bodies that the peer link carries, sealed. All numbers are
// big-endian. Pure.
//
//   header   version (1), kind
//   ask      session (8), stream (8), received (8), more (4 x 8)
//   data     session (8), stream (8), sequence (8), flags (1),
//            number of targets (1), targets: number (3), protocol (1), listener, backend, length (1), service name
//            for IPv4, then for IPv6: number of flows (1), flows: target (3), state (1), idle (2), client
//   idle     session (8), stream (8), sequence (8)
//   passive  session (8)
//
// An endpoint is a family (1: 4 or 6), an address and a port (2); a client has its family from where it stands. An IPv4
// flow takes 12 bytes, an IPv6 flow 24.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include "core/flow_exchange.h"

namespace xlvs::ha {

// With what the peer link adds it stays below the MTU of Ethernet.
inline constexpr std::size_t kMaxFlowBody = 1300;
// Data that may be under way, and that a receiver puts in order.
inline constexpr std::uint64_t kFlowWindow = 256;

// The router that is not active asks for flows, and says what it has: everything up to `received`, and beyond that the
// sequence numbers received + 1 + i for which bit i is set.
struct FlowAsk {
  std::uint64_t session = 0;  // chosen by who asks; another one: from the beginning, please
  std::uint64_t stream = 0;   // the sender's; 0: none heard yet
  std::uint64_t received = 0;
  std::array<std::uint64_t, kFlowWindow / 64> more{};
  [[nodiscard]] bool has(std::uint64_t beyond) const { return (more[beyond / 64] >> beyond % 64 & 1) != 0; }
  void set(std::uint64_t beyond) { more[beyond / 64] |= std::uint64_t{1} << beyond % 64; }
  friend bool operator==(const FlowAsk&, const FlowAsk&) = default;
};

struct FlowBatch {
  bool snapshot_ends = false;  // up to here the whole table, from here on changes
  std::vector<std::pair<std::uint32_t, FlowTarget>> targets;
  std::vector<FlowRecord> flows;
  friend bool operator==(const FlowBatch&, const FlowBatch&) = default;
};

struct FlowData {
  std::uint64_t session = 0;   // that was asked with
  std::uint64_t stream = 0;    // chosen by the sender whenever it begins anew
  std::uint64_t sequence = 0;  // from 1
  FlowBatch batch;
  friend bool operator==(const FlowData&, const FlowData&) = default;
};

// Nothing to tell: the last data had this sequence number.
struct FlowIdle {
  std::uint64_t session = 0;
  std::uint64_t stream = 0;
  std::uint64_t sequence = 0;
  friend bool operator==(const FlowIdle&, const FlowIdle&) = default;
};

// The answer of a router that is not active either.
struct FlowPassive {
  std::uint64_t session = 0;
  friend bool operator==(const FlowPassive&, const FlowPassive&) = default;
};

using FlowMessage = std::variant<FlowAsk, FlowData, FlowIdle, FlowPassive>;

[[nodiscard]] std::vector<std::uint8_t> encode(const FlowMessage& message);
// nullopt: not of this version, truncated, or it contradicts itself.
[[nodiscard]] std::optional<FlowMessage> decode_flow_message(std::span<const std::uint8_t> body);

// Collects a batch that fits into one body.
class FlowBatchBuilder {
 public:
  // False: no room any more, and nothing was added.
  [[nodiscard]] bool add(const FlowRecord& flow, const FlowTarget* new_target);
  [[nodiscard]] bool empty() const { return batch_.flows.empty(); }
  [[nodiscard]] FlowBatch take() { return std::move(batch_); }

 private:
  FlowBatch batch_;
  std::size_t size_ = 0;
  std::size_t flows4_ = 0;
  std::size_t flows6_ = 0;
};

}  // namespace xlvs::ha
