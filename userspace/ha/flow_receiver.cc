// SPDX-License-Identifier: Apache-2.0
#include "ha/flow_receiver.h"

#include <utility>

namespace xlvs::ha {
namespace {

using std::chrono::milliseconds;

// While data comes, an answer at every tick that brought some, or every so many; else now and then, so that a sender
// that starts learns of us.
constexpr std::uint64_t kAskEvery = 32;
constexpr milliseconds kAskIdle{200};

}  // namespace

std::string_view to_string(FlowReception reception) {
  switch (reception) {
    case FlowReception::off:
      return "off";
    case FlowReception::asking:
      return "asking";
    case FlowReception::passive:
      return "passive";
    case FlowReception::receiving:
      return "receiving";
    case FlowReception::in_step:
      return "in-step";
    case FlowReception::silent:
      return "silent";
  }
  std::abort();
}

FlowReceiver::FlowReceiver(FlowSink& sink, SendBody send, RandomNumber random)
    : sink_(sink), send_(std::move(send)), random_(std::move(random)) {}

void FlowReceiver::start(Time now) {
  if (session_ == 0) begin(now);
}

void FlowReceiver::stop() {
  session_ = 0;
  early_.clear();
  sink_.forget_targets();
  report_.state = FlowReception::off;
}

void FlowReceiver::ask_again(Time now) {
  if (session_ != 0) begin(now);
}

void FlowReceiver::begin(Time now) {
  session_ = random_();
  stream_ = received_ = 0;
  whole_ = false;
  early_.clear();
  sink_.forget_targets();
  report_.state = FlowReception::asking;
  begun_ = now;
  snapshot_flows_ = 0;
  ask(now);
}

void FlowReceiver::ask(Time now) {
  FlowAsk ask{session_, stream_, received_, {}};
  for (const auto& [sequence, batch] : early_) ask.set(sequence - received_ - 1);
  asked_ = now;
  unasked_ = 0;
  send_(encode(ask));
}

// A sender that was restarted does not know what we have of its earlier life: asked anew, it begins at the beginning.
// Not so what answers an earlier question of ours: it is late.
bool FlowReceiver::of_our_stream(Time now, std::uint64_t session, std::uint64_t stream) {
  if (session_ == 0 || session != session_) return false;
  if (stream_ == 0) stream_ = stream;
  if (stream_ != stream) {
    begin(now);
    return false;
  }
  heard_ = now;
  report_.state = whole_ ? FlowReception::in_step : FlowReception::receiving;
  return true;
}

void FlowReceiver::receive(Time now, FlowData data) {
  if (!of_our_stream(now, data.session, data.stream)) return;
  if (data.sequence > received_ + kFlowWindow) return;
  ++unasked_;
  if (data.sequence <= received_ || early_.contains(data.sequence)) {
    ++report_.repeated;
  } else {
    ++report_.datagrams;
    early_.emplace(data.sequence, std::move(data.batch));
  }
  while (!early_.empty() && early_.begin()->first == received_ + 1) {
    const FlowBatch batch = std::move(early_.begin()->second);
    early_.erase(early_.begin());
    ++received_;
    apply(now, batch);
  }
  if (unasked_ >= kAskEvery) ask(now);
}

void FlowReceiver::apply(Time now, const FlowBatch& batch) {
  for (const auto& [number, target] : batch.targets) sink_.set_target(number, target);
  if (!batch.flows.empty()) report_.imports += sink_.import(batch.flows, /*replace=*/true);
  report_.flows += batch.flows.size();
  snapshot_flows_ += batch.flows.size();
  if (!batch.snapshot_ends) return;
  whole_ = true;
  report_.state = FlowReception::in_step;
  ++report_.snapshots;
  report_.snapshot_flows = snapshot_flows_;
  report_.snapshot_time = std::chrono::duration_cast<milliseconds>(now - begun_);
}

void FlowReceiver::receive(Time now, const FlowIdle& idle) {
  if (of_our_stream(now, idle.session, idle.stream) && idle.sequence > received_) ++unasked_;
}

void FlowReceiver::receive(Time now, const FlowPassive& passive) {
  if (session_ == 0 || passive.session != session_) return;
  heard_ = now;
  // It was active when it sent what we have: from the next active router we want all again.
  if (stream_ != 0) begin(now);
  report_.state = FlowReception::passive;
}

void FlowReceiver::tick(Time now) {
  if (session_ == 0) return;
  const bool heard = report_.state != FlowReception::asking && report_.state != FlowReception::silent;
  if (heard && now - heard_ > kFlowSilence) report_.state = FlowReception::silent;
  if (unasked_ > 0 || now - asked_ >= kAskIdle) ask(now);
}

}  // namespace xlvs::ha
