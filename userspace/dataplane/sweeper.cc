// SPDX-License-Identifier: Apache-2.0
#include "dataplane/sweeper.h"

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
  const std::size_t end = std::min(position_ + std::max<std::size_t>(buckets, 1), table_.bucket_count());
  for (; position_ < end; ++position_) visit(table_.bucket(position_), position_);
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
      if (cas_word(target, word, __u64{0})) {
        end_flow(bucket, word);
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
  if (lost_.size() >= kMaxLost) return;
  const auto copy = FlowTable::read(bucket, slot);
  const std::uint32_t listener = LVS_WORD_LISTENER(word);
  if (!copy || copy->word != word || listener >= maps_->vips.size()) return;
  lost_.push_back({copy->client, {decode_vip(maps_->vips[listener]).address, copy->destination_port}});
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
  return slot_age(word, now_) > load_word(maps_->control().timeout[LVS_WORD_STATE(word)]);
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
    if (hop == 0 || gateway_seen_[i] || hop != gateway.hop) {
      gateway = {hop, 0};
      continue;
    }
    if (++gateway.unused_sweeps >= 2 && cas_word(entry, hop, __u64{0})) gateway = {};
  }
}

}  // namespace xlvs::dataplane
