// SPDX-License-Identifier: Apache-2.0
// The active router's end of flow synchronisation: the whole table to a peer that asks, then changes. What is under way
// is kept until the peer has it; nothing else is queued, since the table itself is the backlog. Pure: time comes in,
// bodies go out. Thread rule: one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <vector>

#include "core/flow_exchange.h"
#include "core/ha_config.h"
#include "ha/flow_message.h"
#include "ha/vrrp.h"

namespace xlvs::ha {

using SendBody = std::function<void(std::span<const std::uint8_t> body)>;
using RandomNumber = std::function<std::uint64_t()>;  // never 0

struct FlowSenderReport {
  bool peer = false;            // it asks
  bool in_step = false;         // and has the whole table, and what changed since is under way
  std::uint64_t flows = 0;      // told
  std::uint64_t datagrams = 0;  // of data, without repetitions
  std::uint64_t resent = 0;
  std::uint64_t snapshots = 0;       // that the peer has completely
  std::uint64_t snapshot_flows = 0;  // of the last one
  std::chrono::milliseconds snapshot_time{0};
  friend bool operator==(const FlowSenderReport&, const FlowSenderReport&) = default;
};

// Of a hand-over: what the peer has of the flows that this router knows.
enum class FlowFlush : std::uint8_t {
  none,   // not asked for, or there is nobody to tell
  going,  // being told, or not yet acknowledged
  done,   // all of them, but for those that begin at this moment
};

class FlowSender {
 public:
  FlowSender(FlowSource& source, const FlowSyncConfig& config, SendBody send, RandomNumber random);

  // This router is active from now on, or not any more. Asks are answered in either case.
  void start(Time now);
  void stop();
  [[nodiscard]] bool started() const { return started_; }

  // The role is about to be given up: until the end of it flows are told however young they are, and as fast as the
  // peer takes them, without regard to the rate.
  void flush(Time now);
  void end_flush() { flushing_ = false; }
  [[nodiscard]] FlowFlush flushed() const;

  void receive(Time now, const FlowAsk& ask);
  // Walks, sends and repeats: to be called every kFlowTick.
  void tick(Time now);

  [[nodiscard]] const FlowSenderReport& report() const { return report_; }

 private:
  struct Sent {
    std::vector<std::uint8_t> body;
    std::size_t flows = 0;
    Time at{};
    bool has = false;  // the peer, beyond a gap
  };

  void begin(Time now, std::uint64_t session);
  void take(Time now, const FlowAsk& ask);
  void earn(Time now);
  void repeat(Time now);
  void tell(Time now);
  [[nodiscard]] bool collect();
  void send_batch(Time now);
  void transmit(Time now, Sent& sent);
  void lose_peer();

  FlowSource& source_;
  FlowSyncConfig config_;
  SendBody send_;
  RandomNumber random_;
  bool started_ = false;
  Time ticked_{};
  Time last_sent_{};

  // ---- the peer's session; 0: nobody asks
  std::uint64_t session_ = 0;
  std::uint64_t stream_ = 0;
  Time heard_{};
  std::uint64_t first_ = 1;  // sequence number of the first of sent_
  std::deque<Sent> sent_;    // not more than kFlowWindow
  double allowance_ = 0;     // flows that may be sent now

  // ---- the walk
  std::vector<FlowRecord> collected_;  // of the last step
  std::size_t next_ = 0;               // the first that is not sent yet
  std::vector<bool> told_targets_;     // by number
  double buckets_ = 0;                 // that the walk may look at now
  bool in_snapshot_ = false, snapshot_ends_ = false;
  std::uint64_t snapshot_end_ = 0;  // sequence number; 0: not sent yet
  Time snapshot_at_{};
  std::uint64_t snapshot_flows_ = 0;
  bool flushing_ = false;
  std::size_t unflushed_ = 0;  // buckets that the walk has not been to since flush()

  FlowSenderReport report_;
};

// How often both ends want their tick().
inline constexpr std::chrono::milliseconds kFlowTick{10};
// Without a word for so long, the other side is gone.
inline constexpr std::chrono::milliseconds kFlowSilence{3000};

}  // namespace xlvs::ha
