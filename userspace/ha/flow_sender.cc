// SPDX-License-Identifier: Apache-2.0
#include "ha/flow_sender.h"

#include <algorithm>

namespace xlvs::ha {
namespace {

using std::chrono::milliseconds;

// Times of a walk through the whole table: for a peer that waits for all of it, and while it is in step.
constexpr milliseconds kSnapshotWalk{200};
constexpr milliseconds kChangesWalk{1000};
// The peer answers within two ticks; what it reports as missing between others that it has was lost or is late.
constexpr milliseconds kRepeatAfter{250};
constexpr milliseconds kRepeatGapAfter{60};
constexpr milliseconds kRepeatFlushedAfter{40};  // there is no time for more than some of these
constexpr std::size_t kRepeatsPerTick = 32;
constexpr milliseconds kIdleAfter{200};
// What a pause of the event loop may be made up for.
constexpr milliseconds kBurst{50};
// One look into the table; and what a walk may cost the event loop at a time, some milliseconds.
constexpr std::size_t kCollect = 1024;
constexpr double kMostBuckets = 65536;
constexpr double kUnlimited = 1e9;  // flows that may be sent: kFlowWindow is the limit then

double seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

FlowSender::FlowSender(FlowSource& source, const FlowSyncConfig& config, SendBody send, RandomNumber random)
    : source_(source), config_(config), send_(std::move(send)), random_(std::move(random)) {}

void FlowSender::start(Time now) {
  started_ = true;
  ticked_ = now;
}

void FlowSender::stop() {
  started_ = false;
  lose_peer();
}

void FlowSender::lose_peer() {
  session_ = 0;
  sent_.clear();
  collected_.clear();
  next_ = 0;
  told_targets_.clear();
  flushing_ = false;
  report_.peer = report_.in_step = false;
  source_.rest();
}

void FlowSender::begin(Time now, std::uint64_t session) {
  lose_peer();
  session_ = session;
  stream_ = random_();
  first_ = 1;
  allowance_ = buckets_ = 0;
  in_snapshot_ = true;
  snapshot_ends_ = false;
  snapshot_end_ = 0;
  snapshot_at_ = now;
  snapshot_flows_ = 0;
  report_.peer = true;
  source_.tell_all();
}

void FlowSender::flush(Time now) {
  if (session_ == 0 || flushing_) return;
  flushing_ = true;
  unflushed_ = source_.bucket_count();
  tick(now);
}

FlowFlush FlowSender::flushed() const {
  if (!flushing_) return FlowFlush::none;
  const bool all_told = unflushed_ == 0 && next_ == collected_.size() && !snapshot_ends_;
  return all_told && sent_.empty() ? FlowFlush::done : FlowFlush::going;
}

void FlowSender::receive(Time now, const FlowAsk& ask) {
  if (ask.session == 0) return;
  if (!started_) {
    send_(encode(FlowPassive{ask.session}));
    return;
  }
  if (ask.session != session_) begin(now, ask.session);
  heard_ = now;
  if (ask.stream != stream_) return;
  take(now, ask);
  if (flushing_) tell(now);  // the window may have room again
}

void FlowSender::take(Time now, const FlowAsk& ask) {
  if (ask.received >= first_ + sent_.size()) return;  // more than was ever sent
  for (; first_ <= ask.received; ++first_) sent_.pop_front();
  for (std::uint64_t i = 0; i < kFlowWindow && ask.received + 1 + i < first_ + sent_.size(); ++i)
    if (ask.has(i) && ask.received + 1 + i >= first_) sent_[ask.received + 1 + i - first_].has = true;
  if (snapshot_end_ == 0 || first_ <= snapshot_end_ || report_.in_step) return;
  report_.in_step = true;
  ++report_.snapshots;
  report_.snapshot_flows = snapshot_flows_;
  report_.snapshot_time = std::chrono::duration_cast<milliseconds>(now - snapshot_at_);
}

void FlowSender::tick(Time now) {
  if (!started_) return;
  if (session_ != 0 && now - heard_ > kFlowSilence) lose_peer();
  if (session_ != 0) {
    earn(now);
    repeat(now);
    tell(now);
    if (now - last_sent_ >= kIdleAfter) {
      send_(encode(FlowIdle{session_, stream_, first_ + sent_.size() - 1}));
      last_sent_ = now;
    }
  }
  ticked_ = now;
}

void FlowSender::earn(Time now) {
  const double passed = seconds(std::min<Duration>(now - ticked_, kBurst));
  const double burst = std::max(config_.rate * seconds(kBurst), 1.0);
  allowance_ = std::min(allowance_ + config_.rate * passed, burst);
  const double speed =
      static_cast<double>(source_.bucket_count()) / seconds(in_snapshot_ ? kSnapshotWalk : kChangesWalk);
  buckets_ = std::min(buckets_ + speed * passed, std::clamp(speed * seconds(kBurst), 1.0, kMostBuckets));
  if (!flushing_) return;
  allowance_ = kUnlimited;
  buckets_ = kMostBuckets;
}

void FlowSender::repeat(Time now) {
  std::size_t last_had = 0;
  for (std::size_t i = 0; i < sent_.size(); ++i)
    if (sent_[i].has) last_had = i;
  std::size_t repeats = 0;
  for (std::size_t i = 0; i < sent_.size() && repeats < kRepeatsPerTick && allowance_ > 0; ++i) {
    Sent& sent = sent_[i];
    const milliseconds wait = flushing_ ? kRepeatFlushedAfter : i < last_had ? kRepeatGapAfter : kRepeatAfter;
    if (sent.has || now - sent.at < wait) continue;
    transmit(now, sent);
    ++repeats;
    ++report_.resent;
  }
}

void FlowSender::transmit(Time now, Sent& sent) {
  sent.at = now;
  last_sent_ = now;
  allowance_ -= static_cast<double>(sent.flows);
  send_(sent.body);
}

void FlowSender::tell(Time now) {
  while (sent_.size() < kFlowWindow && allowance_ > 0) {
    if (next_ == collected_.size() && !collect()) return;
    send_batch(now);
  }
}

// False: there is nothing to send now.
bool FlowSender::collect() {
  collected_.clear();
  next_ = 0;
  const auto allowed = static_cast<std::size_t>(buckets_);
  if (allowed == 0) return false;
  std::size_t buckets = allowed;
  const bool end = source_.collect(buckets, kCollect, flushing_ ? milliseconds(0) : config_.after, collected_);
  buckets_ -= static_cast<double>(allowed - buckets);
  unflushed_ -= std::min(unflushed_, allowed - buckets);
  if (end && in_snapshot_) {
    in_snapshot_ = false;
    snapshot_ends_ = true;
  }
  return !collected_.empty() || snapshot_ends_;
}

void FlowSender::send_batch(Time now) {
  FlowBatchBuilder builder;
  for (; next_ < collected_.size(); ++next_) {
    const FlowRecord& flow = collected_[next_];
    if (flow.target >= told_targets_.size()) told_targets_.resize(flow.target + 1);
    const bool known = told_targets_[flow.target];
    if (!builder.add(flow, known ? nullptr : &source_.target(flow.target))) break;
    told_targets_[flow.target] = true;
  }
  FlowData data{session_, stream_, first_ + sent_.size(), builder.take()};
  if (next_ == collected_.size() && std::exchange(snapshot_ends_, false)) {
    data.batch.snapshot_ends = true;
    snapshot_end_ = data.sequence;
  }
  const std::size_t flows = data.batch.flows.size();
  if (snapshot_end_ == 0 || data.batch.snapshot_ends) snapshot_flows_ += flows;
  report_.flows += flows;
  ++report_.datagrams;
  sent_.push_back({encode(data), flows, now, false});
  transmit(now, sent_.back());
}

}  // namespace xlvs::ha
