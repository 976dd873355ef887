// SPDX-License-Identifier: Apache-2.0
#include "dataplane/flow_teller.h"

#include <algorithm>

#include "dataplane/encode.h"

namespace xlvs::dataplane {
namespace {

// A flow that packets keep alive is told again when the copy has used up this part of its timeout.
constexpr std::uint32_t kRefreshPart = 4;
constexpr std::chrono::milliseconds kStep{64};

std::uint16_t steps_now() {
  return static_cast<std::uint16_t>(std::chrono::steady_clock::now().time_since_epoch() / kStep);
}

// 0: not told of.
std::uint8_t told_state(std::uint32_t state) {
  switch (state) {
    case LVS_STATE_ESTABLISHED:
    case LVS_STATE_ESTABLISHED_NEW:
      return static_cast<std::uint8_t>(FlowState::established);
    case LVS_STATE_FIN_WAIT:
      return static_cast<std::uint8_t>(FlowState::fin_wait);
    case LVS_STATE_TIME_WAIT:
      return static_cast<std::uint8_t>(FlowState::time_wait);
    case LVS_STATE_CLOSE:
      return static_cast<std::uint8_t>(FlowState::close);
    case LVS_STATE_CLOSE_WAIT:
      return static_cast<std::uint8_t>(FlowState::close_wait);
    case LVS_STATE_LAST_ACK:
      return static_cast<std::uint8_t>(FlowState::last_ack);
    case LVS_STATE_UDP:
    case LVS_STATE_UDP_SHORT:
    case LVS_STATE_UDP_BURST:
      return static_cast<std::uint8_t>(FlowState::udp);
    default:
      return 0;
  }
}

// Who is in a slot: two flows that share a fingerprint and follow each other in one slot are taken for one, and the
// second is told when its state or its age asks for it; one in 2^32.
std::uint32_t fingerprint(const Bucket& bucket, unsigned slot, std::uint64_t word) {
  constexpr std::uint64_t kMultiplier = 0x9e3779b97f4a7c15ULL;
  std::uint64_t sum = (word >> 28) * kMultiplier;  // listener and backend
  for (unsigned k = 0; k + 1 < bucket.stride; ++k) {
    sum ^= load_word(bucket.words[slot * bucket.stride + k]);
    sum = (sum ^ (sum >> 29)) * kMultiplier;
  }
  return std::max<std::uint32_t>(static_cast<std::uint32_t>(sum >> 32), 1);
}

std::uint16_t to_seconds(std::uint32_t ticks) {
  return static_cast<std::uint16_t>(
      std::min<std::uint64_t>((std::uint64_t{ticks} << LVS_TICK_SHIFT) / 1'000'000'000, 65535));
}

}  // namespace

void FlowTeller::tell_all() {
  if (told_.empty()) {
    std::size_t slots = 0;
    for (std::size_t number = 0; number < table_.bucket_count(); ++number) slots += table_.bucket(number).slots;
    told_.resize(slots);
  }
  if (++round_ == 0) {
    for (Told& told : told_) told.state = 0;
    round_ = 1;
  }
  all_ = true;
  position_ = next_slot_ = 0;
  numbers_.clear();
  targets_.clear();
  numbers_by_ids_.clear();
}

void FlowTeller::rest() {
  told_ = {};
  numbers_.clear();
  targets_.clear();
  numbers_by_ids_.clear();
}

bool FlowTeller::collect(std::size_t& buckets, std::size_t limit, std::chrono::milliseconds after,
                         std::vector<FlowRecord>& out) {
  if (told_.empty()) return true;
  tick_ = tick_now();
  now_ = steps_now();
  after_ =
      static_cast<std::uint16_t>(std::min<std::int64_t>((after + kStep - std::chrono::milliseconds(1)) / kStep, 32767));
  const std::size_t full = out.size() + limit;
  for (; position_ < table_.bucket_count(); ++position_) {
    const Bucket bucket = table_.bucket(position_);
    if (buckets == 0 || out.size() + bucket.slots > full) return false;
    for (unsigned slot = 0; slot < bucket.slots; ++slot) visit(bucket, slot, told_[next_slot_ + slot], out);
    next_slot_ += bucket.slots;
    --buckets;
  }
  position_ = next_slot_ = 0;
  all_ = false;
  return true;
}

void FlowTeller::visit(const Bucket& bucket, unsigned slot, Told& told, std::vector<FlowRecord>& out) {
  const std::uint64_t glance = load_word(bucket.state_word(slot));
  if (told_state(LVS_WORD_STATE(glance)) == 0) {
    if (told.flow != 0) told = {};
    return;
  }
  const std::uint32_t flow = fingerprint(bucket, slot, glance);
  if (told.flow != flow) {
    told = {};
    told.flow = flow;
    told.since = now_;
    told.first = static_cast<std::uint16_t>(LVS_WORD_TIME(glance));
  }
  if (!worth_telling(told, glance)) return;
  const auto copy = FlowTable::read(bucket, slot);
  if (!copy || ((copy->word ^ glance) >> 28) != 0) return;
  const std::uint32_t state = LVS_WORD_STATE(copy->word);
  const auto number = number_of(copy->word);
  if (told_state(state) == 0 || !number) return;
  told.time = static_cast<std::uint16_t>(LVS_WORD_TIME(copy->word));
  told.state = told_state(state);
  told.round = round_;
  out.push_back({copy->client, *number, static_cast<FlowState>(told.state),
                 std::chrono::duration<std::uint16_t>(to_seconds(slot_age(copy->word, tick_)))});
}

bool FlowTeller::worth_telling(const Told& told, std::uint64_t word) const {
  const std::uint32_t state = LVS_WORD_STATE(word);
  const std::uint32_t timeout = load_word(maps_.control().timeout[state]);
  if (slot_age(word, tick_) > timeout) return false;
  if (told.state != 0 && told.round == round_) {
    const auto since_told = static_cast<std::uint16_t>(LVS_WORD_TIME(word) - told.time);
    return told.state != told_state(state) || since_told >= std::max(timeout / kRefreshPart, 1U);
  }
  if (!LVS_STATE_IS_ACTIVE(state) && !LVS_STATE_IS_UDP(state) && state != LVS_STATE_FIN_WAIT &&
      state != LVS_STATE_CLOSE_WAIT)
    return false;
  if (all_) return true;
  if (static_cast<std::uint16_t>(now_ - told.since) < after_) return false;
  // A question and its answer are no conversation: without this every DNS query would be told.
  return !LVS_STATE_IS_UDP(state) || told.first != LVS_WORD_TIME(word);
}

std::optional<std::uint32_t> FlowTeller::number_of(std::uint64_t word) {
  const std::uint32_t listener = LVS_WORD_LISTENER(word);
  const std::uint64_t ids = word >> 28;
  if (const auto known = numbers_by_ids_.find(ids); known != numbers_by_ids_.end()) return known->second;
  const auto backend = registry_.backends().find(LVS_WORD_BACKEND(word));
  if (backend == registry_.backends().end() || listener == 0 || listener >= maps_.vips.size()) return std::nullopt;
  if (load_word(maps_.vips[listener].family) == 0 || targets_.size() == kMaxFlowTargets) return std::nullopt;
  const auto [entry, added] = numbers_.try_emplace({registry_.services().at(backend->second.service).name,
                                                    decode_vip(maps_.vips[listener]), backend->second.endpoint},
                                                   static_cast<std::uint32_t>(targets_.size()));
  if (added) targets_.push_back(&entry->first);
  numbers_by_ids_[ids] = entry->second;
  return entry->second;
}

}  // namespace xlvs::dataplane
