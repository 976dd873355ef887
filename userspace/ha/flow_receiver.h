// SPDX-License-Identifier: Apache-2.0
// The other end: a router that is not active asks for the active one's flows and takes them in, in the order of the
// sender. Pure: time comes in, bodies go out. Thread rule: one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>

#include "core/flow_exchange.h"
#include "ha/flow_message.h"
#include "ha/flow_sender.h"

namespace xlvs::ha {

enum class FlowReception : std::uint8_t {
  off,        // this router is active itself
  asking,     // nobody has answered
  passive,    // the peer is not active either
  receiving,  // the whole table is coming
  in_step,
  silent,  // the peer was there, and is not heard any more
};
[[nodiscard]] std::string_view to_string(FlowReception reception);

struct FlowReceiverReport {
  FlowReception state = FlowReception::off;
  std::uint64_t flows = 0;  // received, each once
  FlowImports imports;      // what became of them
  std::uint64_t datagrams = 0;
  std::uint64_t repeated = 0;   // that were here already
  std::uint64_t snapshots = 0;  // complete ones
  std::uint64_t snapshot_flows = 0;
  std::chrono::milliseconds snapshot_time{0};  // from the first question on
};

class FlowReceiver {
 public:
  FlowReceiver(FlowSink& sink, SendBody send, RandomNumber random);

  // This router is not active from now on; asks for the whole table.
  void start(Time now);
  void stop();
  // Asks for the whole table again: this router's services have changed, and what it refused it may now take.
  void ask_again(Time now);

  void receive(Time now, FlowData data);
  void receive(Time now, const FlowIdle& idle);
  void receive(Time now, const FlowPassive& passive);
  void tick(Time now);

  [[nodiscard]] const FlowReceiverReport& report() const { return report_; }

 private:
  void begin(Time now);
  [[nodiscard]] bool of_our_stream(Time now, std::uint64_t session, std::uint64_t stream);
  void apply(Time now, const FlowBatch& batch);
  void ask(Time now);

  FlowSink& sink_;
  SendBody send_;
  RandomNumber random_;
  std::uint64_t session_ = 0;  // 0: stopped
  std::uint64_t stream_ = 0;
  std::uint64_t received_ = 0;
  std::map<std::uint64_t, FlowBatch> early_;  // beyond a gap; not more than kFlowWindow
  bool whole_ = false;                        // the table has come completely
  std::uint64_t unasked_ = 0;                 // data since the last ask
  Time asked_{};
  Time heard_{};
  Time begun_{};
  std::uint64_t snapshot_flows_ = 0;
  FlowReceiverReport report_;
};

}  // namespace xlvs::ha
