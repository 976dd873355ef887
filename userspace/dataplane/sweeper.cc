// SPDX-License-Identifier: Apache-2.0
#include "dataplane/sweeper.h"

#include <netinet/in.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "dataplane/encode.h"

namespace xlvs::dataplane {

Sweeper::Sweeper(Maps& maps)
    : maps_(&maps),
      table_(maps),
      recount_(maps.backends.size()),
      backend_seen_(maps.backends.size()),
      listener_seen_(maps.vips.size()) {}

bool Sweeper::step(std::size_t buckets) {
  if (position_ == 0) begin();
  now_ = tick_now();
  lost_.clear();
  lost_seen_ = 0;
  const std::size_t end = std::min(position_ + std::max<std::size_t>(buckets, 1), table_.bucket_count());
  for (; position_ < end; ++position_) visit(table_.bucket(position_), position_);
  most_lost_ = std::max(most_lost_, lost_seen_);
  if (position_ < table_.bucket_count()) return false;
  position_ = 0;
  finish();
  return true;
}

void Sweeper::begin() {
  std::fill(recount_.begin(), recount_.end(), Load{});
  std::fill(backend_seen_.begin(), backend_seen_.end(), false);
  std::fill(listener_seen_.begin(), listener_seen_.end(), false);
  gateway_seen_.fill(false);
  claims_now_.clear();
  counting4_ = counting6_ = 0;
  lost_stride_ = most_lost_ / kMaxLost + 1;
  most_lost_ = 0;
  for (__u64& gateway : maps_->control().gateway)
    std::atomic_ref<__u64>(gateway).fetch_and(~std::uint64_t{LVS_HOP_USED});
}

void Sweeper::visit(const Bucket& bucket, std::size_t number) {
  for (unsigned slot = 0; slot < bucket.slots; ++slot) {
    __u64& target = bucket.state_word(slot);
    __u64 word = load_word(target);
    if (word == 0) continue;
    if (LVS_WORD_STATE(word) <= LVS_STATE_CLAIMED) {
      visit_claimed(bucket, number, slot, word);
      continue;
    }
    if (must_end(word)) {
      const auto copy = FlowTable::read(bucket, slot);
      if (cas_word(target, word, __u64{0})) {
        end_flow(bucket, word);
        if (copy && copy->word == word) note_ended(*copy);
        continue;
      }
      word = load_word(target);  // a packet was faster
      if (LVS_WORD_STATE(word) <= LVS_STATE_CLAIMED) continue;
    }
    count(bucket, word);
    note_lost(bucket, slot, word);
  }
}

// Where the client still believes in a connection: it has opened one, and has not seen the end of it.
void Sweeper::note_lost(const Bucket& bucket, unsigned slot, std::uint64_t word) {
  constexpr std::uint32_t kLost = LVS_BACKEND_DOWN | LVS_BACKEND_RESET;
  const std::uint32_t state = LVS_WORD_STATE(word);
  const std::uint32_t backend = LVS_WORD_BACKEND(word);
  if (backend >= maps_->backends.size() || (load_word(maps_->backends[backend].flags) & kLost) != kLost) return;
  if (state >= LVS_STATE_UDP_NEW || state == LVS_STATE_TIME_WAIT || state == LVS_STATE_CLOSE) return;
  if (lost_seen_++ % lost_stride_ != completed_ % lost_stride_ || lost_.size() >= kMaxLost) return;
  const auto copy = FlowTable::read(bucket, slot);
  const std::uint32_t listener = LVS_WORD_LISTENER(word);
  if (!copy || copy->word != word || listener >= maps_->vips.size()) return;
  lost_.push_back({copy->client, {decode_vip(maps_->vips[listener]).address, copy->destination_port}});
}

// The client may wait for an answer that never comes.
void Sweeper::note_ended(const SlotCopy& flow) {
  const std::uint32_t state = LVS_WORD_STATE(flow.word);
  const std::uint32_t listener = LVS_WORD_LISTENER(flow.word);
  if (state != LVS_STATE_ESTABLISHED && state != LVS_STATE_CLOSE_WAIT && state != LVS_STATE_FIN_WAIT) return;
  if (ended_.size() >= kMaxEnded || listener >= maps_->vips.size()) return;
  const lvs_vip& vip = maps_->vips[listener];
  if (vip.protocol != IPPROTO_TCP) return;
  IpAddress address = decode_address(vip.addr, flow.client.address.family());
  ended_.push_back({flow.client, {address, flow.destination_port}});
}

bool Sweeper::end(const Bucket& bucket, unsigned slot, const SlotCopy& flow) {
  if (!cas_word(bucket.state_word(slot), __u64{flow.word}, __u64{0})) return false;
  end_flow(bucket, flow.word);
  note_ended(flow);
  return true;
}

// The program always completes what it claimed. Should a slot stay claimed nevertheless, two sweeps on it is freed, so
// that it is not lost for ever.
void Sweeper::visit_claimed(const Bucket& bucket, std::size_t number, unsigned slot, std::uint64_t word) {
  constexpr unsigned kPatience = 2;
  const std::uint64_t place = number * LVS_OVERFLOW_SLOTS4 + slot;
  const auto before = claims_.find(place);
  const unsigned sweeps = before != claims_.end() && before->second.word == word ? before->second.sweeps + 1 : 0;
  if (sweeps < kPatience) {
    claims_now_[place] = {word, sweeps};
  } else if (cas_word(bucket.state_word(slot), __u64{word}, __u64{0})) {
    spdlog::error("flow table: slot {} of bucket {} was claimed and never written; freed", slot, number);
  }
}

bool Sweeper::must_end(std::uint64_t word) const {
  const std::uint32_t backend = LVS_WORD_BACKEND(word);
  const std::uint32_t listener = LVS_WORD_LISTENER(word);
  if (backend == 0 || backend >= maps_->backends.size() || listener == 0 || listener >= maps_->vips.size()) return true;
  if ((load_word(maps_->backends[backend].flags) & LVS_BACKEND_VALID) == 0) return true;
  if (load_word(maps_->vips[listener].family) == 0) return true;
  if (has_drained(word)) return true;
  return slot_age(word, now_) > load_word(maps_->control().timeout[LVS_WORD_STATE(word)]);
}

// A client that goes on sending keeps a UDP flow for ever: on a server that takes no new flows it has one timeout more.
bool Sweeper::has_drained(std::uint64_t word) const {
  const std::uint32_t drained = load_word(maps_->loads[LVS_WORD_BACKEND(word)].drained);
  if (drained == 0 || !LVS_STATE_IS_UDP(LVS_WORD_STATE(word))) return false;
  const std::chrono::nanoseconds timeout(std::int64_t{load_word(maps_->control().timeout[LVS_STATE_UDP])}
                                         << LVS_TICK_SHIFT);
  return drained_for(drained) >= timeout;
}

void Sweeper::end_flow(const Bucket& bucket, std::uint64_t word) {
  ++expired_;
  const std::uint32_t backend = LVS_WORD_BACKEND(word);
  if (backend != 0 && backend < maps_->loads.size()) {
    lvs_load& load = maps_->loads[backend];
    std::atomic_ref<__u32>(counts_as_active(LVS_WORD_STATE(word)) ? load.active : load.inactive).fetch_sub(1);
  }
  if (bucket.overflow) {
    lvs_control& control = maps_->control();
    std::atomic_ref<__u32>(bucket.ipv6 ? control.overflow_used6 : control.overflow_used4).fetch_sub(1);
  }
}

void Sweeper::count(const Bucket& bucket, std::uint64_t word) {
  const std::uint32_t backend = LVS_WORD_BACKEND(word);
  const std::uint32_t listener = LVS_WORD_LISTENER(word);
  if (backend < backend_seen_.size()) {
    backend_seen_[backend] = true;
    ++(counts_as_active(LVS_WORD_STATE(word)) ? recount_[backend].active : recount_[backend].inactive);
  }
  if (listener < listener_seen_.size()) listener_seen_[listener] = true;
  gateway_seen_[LVS_WORD_GATEWAY(word)] = true;
  if (!bucket.overflow) ++(bucket.ipv6 ? counting6_ : counting4_);
}

void Sweeper::finish() {
  ++completed_;
  used4_ = counting4_;
  used6_ = counting6_;
  claims_ = std::move(claims_now_);
  compare_counts();
  free_gateways();
}

void Sweeper::compare_counts() {
  for (std::uint32_t id = 1; id < maps_->backends.size(); ++id) {
    const lvs_load& load = maps_->loads[id];
    const Load kept{load_word(load.active), load_word(load.inactive)};
    const auto known = differences_.find(id);
    if (known == differences_.end() && kept == recount_[id]) continue;
    Difference& difference = known == differences_.end() ? differences_[id] : known->second;
    const std::uint64_t created = maps_->counters(id).flows;
    const bool still = difference.kept == kept && difference.counted == recount_[id] &&
                       difference.flows_created == created && difference.steady > 0;
    difference.steady = still ? difference.steady + 1 : 1;
    difference.kept = kept;
    difference.counted = recount_[id];
    difference.flows_created = created;
    if (difference.steady < kSteadySweeps) continue;
    const auto apart = [](std::uint32_t a, std::uint32_t b) { return a > b ? a - b : b - a; };
    const std::uint64_t total =
        std::uint64_t{apart(kept.active, recount_[id].active)} + apart(kept.inactive, recount_[id].inactive);
    if (total != 0 && total != difference.reported)
      spdlog::error("backend id {}: kept counts {}/{} (active/inactive), but the flow table holds {}/{}", id,
                    kept.active, kept.inactive, recount_[id].active, recount_[id].inactive);
    difference.reported = total;
    if (total == 0) differences_.erase(id);
  }
}

std::uint64_t Sweeper::drift() const {
  std::uint64_t sum = 0;
  for (const auto& [id, difference] : differences_) sum += difference.reported;
  return sum;
}

// A gateway that two whole sweeps saw no flow use is forgotten, unless it was learned anew meanwhile.
void Sweeper::free_gateways() {
  for (std::uint32_t i = 1; i < LVS_MAX_GATEWAYS; ++i) {
    Gateway& gateway = gateways_[i];
    __u64& entry = maps_->control().gateway[i];
    const __u64 hop = load_word(entry);
    // The mark: a flow got it since the sweep began, and may be where the sweep had been already.
    if (hop == 0 || gateway_seen_[i] || hop != gateway.hop) {
      gateway = {hop & LVS_HOP_MASK, 0};
      continue;
    }
    if (++gateway.unused_sweeps >= 2 && cas_word(entry, hop, __u64{0})) gateway = {};
  }
}

}  // namespace xlvs::dataplane
