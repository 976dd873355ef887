// SPDX-License-Identifier: Apache-2.0
#include "dataplane/carry_over.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "dataplane/encode.h"
#include "dataplane/import_run.h"

namespace xlvs::dataplane {
namespace {

bool is_closing(std::uint64_t word) {
  const std::uint32_t state = LVS_WORD_STATE(word);
  return state == LVS_STATE_TIME_WAIT || state == LVS_STATE_CLOSE || state == LVS_STATE_LAST_ACK;
}

// Listener and backend agree: most likely it is the same client, too.
bool same_flow(std::uint64_t a, std::uint64_t b) {
  return ((a ^ b) >> 28) == 0;
}

}  // namespace

// Ids stay what they are: flows, listeners and scheduler tables refer to them.
template <typename Record, typename Used>
Result<void> CarryOver::copy_records(const MappedArray<Record>& from, const MappedArray<Record>& to, const char* limit,
                                     const Used& used) {
  for (std::uint32_t id = 0; id < from.size(); ++id) {
    if (!used(from[id])) continue;
    if (id >= to.size())
      return fail(
          ErrorKind::conflict,
          "limits.{} is too small for what is installed; restore it, or remove some, wait a minute and try again",
          limit);
    to_.store_record(to[id], from[id]);
  }
  return {};
}

template <typename Key, typename Value>
Result<void> CarryOver::copy_hash(const char* map, const char* limit) {
  if (!from_.has(map)) return {};  // of an earlier build
  for (const auto& [key, value] : from_.entries<Key, Value>(map))
    if (auto done = to_.put(map, &key, &value); !done) return tl::make_unexpected(done.error().in(limit));
  return {};
}

Result<void> CarryOver::copy_tables() {
  std::vector<std::pair<std::uint32_t, TableEntries>> tables;
  for (std::uint32_t id = 1; id < std::min(from_.services.size(), to_.services.size()); ++id)
    if (from_.has_table(id)) tables.emplace_back(id, from_.table(id));
  return to_.swap_tables(tables);
}

// But for what belongs to the table itself: its masks, its seed, its gateways' numbers.
void CarryOver::copy_control() {
  const lvs_control& from = from_.control();
  lvs_control& to = to_.control();
  to.schedule_seed = from.schedule_seed;
  std::copy(std::begin(from.timeout), std::end(from.timeout), to.timeout);
  std::copy(std::begin(from.port), std::end(from.port), to.port);
  std::copy(std::begin(from.port_of_ifindex), std::end(from.port_of_ifindex), to.port_of_ifindex);
}

void CarryOver::arrived() {
  to_.store_word(to_.services[0].flags, 0);
}

Result<void> CarryOver::state() {
  copy_control();
  to_.store_word(to_.services[0].flags, LVS_SERVICE_MOVING);
  const auto first_error = [](std::initializer_list<Result<void>> results) {
    for (const Result<void>& result : results)
      if (!result) return result;
    return Result<void>();
  };
  const auto weight_only = [&] {
    for (std::uint32_t id = 0; id < std::min(from_.loads.size(), to_.loads.size()); ++id)
      to_.store_word(to_.loads[id].weight, load_word(from_.loads[id].weight));  // flows count themselves
    return Result<void>();
  };
  return first_error({
      copy_records(from_.names, to_.names, "services", [](const lvs_name& name) { return !decode_name(name).empty(); }),
      copy_records(from_.services, to_.services, "services",
                   [](const lvs_service& service) { return service.pick != LVS_PICK_NONE; }),
      copy_records(from_.retired, to_.retired, "services",
                   [](const lvs_counters& counters) { return counters.flows + counters.in_packets != 0; }),
      copy_records(from_.vips, to_.vips, "listeners", [](const lvs_vip& vip) { return vip.protocol != 0; }),
      copy_records(from_.backends, to_.backends, "backends",
                   [](const lvs_backend& backend) { return backend.method != LVS_METHOD_NONE; }),
      weight_only(),
      copy_tables(),
      copy_hash<lvs_key4, lvs_listener>("listeners4", "limits.listeners"),
      copy_hash<lvs_key6, lvs_listener>("listeners6", "limits.listeners"),
      copy_hash<lvs_key4, lvs_real>("reals4", "limits.backends"),
      copy_hash<lvs_key6, lvs_real>("reals6", "limits.backends"),
      copy_hash<std::uint32_t, lvs_via>("via", "checks with via: vip"),
      copy_hash<lvs_check_flow, lvs_check_origin>("check_origins", "checks with via: vip"),
      copy_hash<lvs_address, std::uint32_t>("fenced", "the fence"),
      copy_hash<std::uint32_t, std::uint32_t>("ports", "interfaces"),
      copy_hash<lvs_direct, std::uint32_t>("direct", "conversations past the VIPs"),
  });
}

void CarryOver::counters() {
  to_.copy_per_cpu(from_, "counters", sizeof(lvs_counters));
  to_.copy_per_cpu(from_, "reasons", sizeof(std::uint64_t));
  to_.copy_per_cpu(from_, "cursors", sizeof(std::uint32_t));
  if (from_.fence.size() == 0 || to_.fence.size() == 0) return;
  to_.store_word(to_.fence[0].role, load_word(from_.fence[0].role));
  to_.store_word(to_.fence[0].until, load_word(from_.fence[0].until));
}

// `slot`: the flow's, as `hops` counts them.
__u64 CarryOver::hop_of(const SlotCopy& flow, std::size_t slot) const {
  const std::uint32_t gateway = LVS_WORD_GATEWAY(flow.word);
  const bool own = gateway == LVS_GATEWAY_OWN && slot < from_.hops.size();
  return (own ? load_word(from_.hops[slot]) : load_word(from_.control().gateway[gateway])) & LVS_HOP_MASK;
}

lvs_import CarryOver::encode(const SlotCopy& flow, std::size_t slot, bool ipv6, bool replace) const {
  lvs_import out{};
  out.hop = hop_of(flow, slot);
  encode_address(flow.client.address, out.client);
  out.client_port = htons(flow.client.port);
  out.port = htons(flow.destination_port);
  out.listener = static_cast<__u16>(LVS_WORD_LISTENER(flow.word));
  out.protocol = from_.vips[out.listener].protocol;
  out.flags = static_cast<__u8>(LVS_IMPORT_EVERY | (ipv6 ? LVS_IMPORT_IPV6 : 0) | (replace ? LVS_IMPORT_REPLACE : 0));
  out.state = static_cast<__u8>(LVS_WORD_STATE(flow.word));
  out.tag = from_.vips[out.listener].tag;
  out.backend = LVS_WORD_BACKEND(flow.word);
  out.age = static_cast<__u16>(std::min<std::uint32_t>(slot_age(flow.word, tick_now()), 65535));
  return out;
}

Result<CarryOver::Flows> CarryOver::flows(Walk walk) {
  const FlowTable table(from_);
  Flows out;
  std::vector<lvs_import> batch;
  batch.reserve(LVS_IMPORT_MAX);
  std::size_t place = 0;
  for (std::size_t number = 0; number < table.bucket_count(); ++number) {
    const Bucket bucket = table.bucket(number);
    if (carried_.size() < place + bucket.slots) carried_.resize(place + bucket.slots);
    for (unsigned slot = 0; slot < bucket.slots; ++slot, ++place) {
      const std::uint64_t glance = load_word(bucket.state_word(slot));
      if (glance == carried_[place] || LVS_WORD_STATE(glance) <= LVS_STATE_CLAIMED) continue;
      if (is_closing(glance) != (walk == Walk::closing)) continue;
      const auto copy = FlowTable::read(bucket, slot);
      if (!copy || LVS_WORD_LISTENER(copy->word) >= from_.vips.size()) continue;
      const bool known = same_flow(copy->word, carried_[place]);
      carried_[place] = copy->word;
      batch.push_back(encode(*copy, place, bucket.ipv6, walk == Walk::open || known == (walk == Walk::closing)));
      if (batch.size() < LVS_IMPORT_MAX) continue;
      if (auto done = run(batch, out); !done) return tl::make_unexpected(done.error());
    }
  }
  if (auto done = run(batch, out); !done) return tl::make_unexpected(done.error());
  return out;
}

Result<void> CarryOver::run(std::vector<lvs_import>& batch, Flows& out) const {
  if (batch.empty()) return {};
  if (!run_import(program_, batch))
    return fail(ErrorKind::unavailable, "flows can not be carried over: {}", std::strerror(errno));
  out.carried += batch.size();
  for (const lvs_import& flow : batch) out.no_room += flow.result == LVS_IMPORT_NO_ROOM;
  batch.clear();
  return {};
}

}  // namespace xlvs::dataplane
