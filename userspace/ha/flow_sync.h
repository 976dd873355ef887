// SPDX-License-Identifier: Apache-2.0
// Flow synchronisation between two routers: the active one tells, the other is told, and each turn of roles turns the
// direction. Pure: time and bodies come in, bodies go out. Thread rule: one thread.
#pragma once

#include <cstdint>
#include <span>

#include "ha/flow_receiver.h"
#include "ha/flow_sender.h"

namespace xlvs::ha {

struct FlowSyncReport {
  bool active = false;   // this router tells; otherwise it is told
  bool holding = false;  // it does not preempt yet
  FlowSenderReport sender;
  FlowReceiverReport receiver;
};

class FlowSync {
 public:
  // A peer that does not answer for so long is not there; and longer than this a table is not waited for.
  static constexpr std::chrono::milliseconds kAnswerWait{2000};
  static constexpr std::chrono::milliseconds kHoldLimit{30'000};

  FlowSync(const FlowExchange& exchange, const FlowSyncConfig& config, SendBody send, RandomNumber random);

  // The first call starts.
  void set_active(Time now, bool active);
  // False: it is no message of ours.
  [[nodiscard]] bool receive(Time now, std::span<const std::uint8_t> body);
  // Every kFlowTick.
  void tick(Time now);
  // The role is about to be given up (FlowSender::flush).
  void flush(Time now) { sender_.flush(now); }
  void end_flush() { sender_.end_flush(); }
  [[nodiscard]] FlowFlush flushed() const { return sender_.flushed(); }
  // This router's services have changed: the active one is asked for everything again.
  void services_changed(Time now);

  // Since it became backup this router has neither the whole table nor a reason not to wait for it: it should not
  // preempt.
  [[nodiscard]] bool holding() const { return holding_; }
  // Why holding() ended last: "the table has come", "nobody answers".
  [[nodiscard]] std::string_view why() const { return why_; }
  [[nodiscard]] FlowSyncReport report() const;

 private:
  void update_hold(Time now);

  FlowSender sender_;
  FlowReceiver receiver_;
  bool started_ = false;
  bool active_ = false;
  bool holding_ = false;
  Time backup_since_{};
  std::string_view why_;
};

}  // namespace xlvs::ha
