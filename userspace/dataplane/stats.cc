// SPDX-License-Identifier: Apache-2.0
// What has been counted, and the flows: reading only.
#include <algorithm>
#include <array>

#include "dataplane/encode.h"
#include "dataplane/xdp_dataplane.h"

namespace xlvs::dataplane {
namespace {

void add(TrafficCounters& sum, const TrafficCounters& more) {
  sum.flows += more.flows;
  sum.in_packets += more.in_packets;
  sum.in_bytes += more.in_bytes;
  sum.out_packets += more.out_packets;
  sum.out_bytes += more.out_bytes;
}

TrafficCounters decode(const lvs_counters& record) {
  return {record.flows, record.in_packets, record.in_bytes, record.out_packets, record.out_bytes};
}

struct ReasonText {
  std::string_view name, verdict, text;
};

#define LVS_REASON_DROP "drop"
#define LVS_REASON_PASS "pass"
#define LVS_REASON_COUNT "count"
#define LVS_REASON_RESET "reset"
#define LVS_REASON_TEXT(name, verdict, text) ReasonText{#name, LVS_REASON_##verdict, text},
constexpr std::array kReasons{LVS_REASONS(LVS_REASON_TEXT)};
#undef LVS_REASON_TEXT
static_assert(kReasons.size() == LVS_REASON_MAX);

}  // namespace

BackendStats XdpDataplane::backend_stats(std::uint32_t id) const {
  const lvs_backend& record = maps_.backends[id];
  const lvs_load& load = maps_.loads[id];
  BackendStats out;
  out.endpoint = registry_.backends().at(id).endpoint;
  out.traffic = maps_.counters(id);
  out.active = load_word(load.active);
  out.inactive = load_word(load.inactive);
  const std::uint64_t hop = load_word(record.hop);
  if (record.method == LVS_METHOD_LOCAL)
    out.next_hop = NextHop{true, {}, 0};
  else if (hop != 0)
    out.next_hop = NextHop{false, hop_mac(hop), port_numbers_.ifindex(LVS_HOP_PORT(hop))};
  return out;
}

ServiceStats XdpDataplane::service_stats(std::uint32_t id, const InstalledService& service) const {
  ServiceStats out;
  out.name = service.name;
  out.traffic = decode(maps_.retired[id]);
  for (const std::uint32_t backend : service.backends) {
    out.backends.push_back(backend_stats(backend));
    add(out.traffic, out.backends.back().traffic);
  }
  for (const auto& [backend, owner] : registry_.resting_backends())
    if (owner == id) add(out.traffic, maps_.counters(backend));
  return out;
}

Stats XdpDataplane::stats() const {
  Stats out;
  for (const auto& [id, service] : registry_.services()) out.services.push_back(service_stats(id, service));
  for (std::uint32_t reason = 0; reason < LVS_REASON_MAX; ++reason) {
    const ReasonText& text = kReasons[reason];
    out.reasons.push_back(
        {std::string(text.name), std::string(text.verdict), std::string(text.text), maps_.reason(reason)});
  }
  const lvs_control& control = maps_.control();
  out.flows_ipv4 = {std::uint64_t{maps_.buckets4.size()} * LVS_SLOTS4, sweeper_.used4(),
                    std::uint64_t{maps_.overflow4.size()} * LVS_OVERFLOW_SLOTS4, load_word(control.overflow_used4)};
  out.flows_ipv6 = {std::uint64_t{maps_.buckets6.size()} * LVS_SLOTS6, sweeper_.used6(),
                    std::uint64_t{maps_.overflow6.size()} * LVS_OVERFLOW_SLOTS6, load_word(control.overflow_used6)};
  out.flows_expired = sweeper_.expired();
  out.count_drift = sweeper_.drift();
  out.sweeps = sweeper_.completed();
  return out;
}

namespace {

bool matches(const std::optional<Endpoint>& wanted, const Endpoint& found) {
  return !wanted || (wanted->address == found.address && (wanted->port == 0 || wanted->port == found.port));
}

bool matches(const FlowFilter& filter, const Flow& flow) {
  return (!filter.service || *filter.service == flow.service) && matches(filter.backend, flow.backend) &&
         matches(filter.client, flow.client) && (!filter.state || *filter.state == flow.state) &&
         (!filter.protocol || *filter.protocol == flow.protocol);
}

std::chrono::seconds to_seconds(std::uint32_t ticks) {
  return std::chrono::round<std::chrono::seconds>(std::chrono::nanoseconds(std::int64_t{ticks} << LVS_TICK_SHIFT));
}

// Names for what slots hold only as ids.
class FlowDecoder {
 public:
  FlowDecoder(const Maps& maps, const Registry& registry) : maps_(maps), registry_(registry), now_(tick_now()) {}

  // nullopt: a flow that has ended, though no sweep has come by yet.
  [[nodiscard]] std::optional<Flow> decode(const SlotCopy& slot) const {
    const std::uint32_t state = LVS_WORD_STATE(slot.word);
    const std::uint32_t timeout = load_word(maps_.control().timeout[state]);
    const std::uint32_t age = slot_age(slot.word, now_);
    const std::uint32_t listener = LVS_WORD_LISTENER(slot.word);
    const auto backend = registry_.backends().find(LVS_WORD_BACKEND(slot.word));
    if (age > timeout || backend == registry_.backends().end() || listener == 0 || listener >= maps_.vips.size())
      return std::nullopt;
    const lvs_vip& vip = maps_.vips[listener];
    if (vip.family == 0) return std::nullopt;
    const Listener described = decode_vip(vip);
    Flow flow;
    flow.client = slot.client;
    flow.destination = {described.address, slot.destination_port};
    flow.protocol = described.protocol;
    flow.service = registry_.services().at(backend->second.service).name;
    flow.backend = backend->second.endpoint;
    flow.state = state_name(state);
    flow.expires_in = to_seconds(timeout - age);
    return flow;
  }

 private:
  const Maps& maps_;
  const Registry& registry_;
  std::uint32_t now_;
};

}  // namespace

template <typename Visit>
void XdpDataplane::each_flow(const FlowFilter& filter, const Visit& visit) const {
  const FlowTable table(maps_);
  const FlowDecoder decoder(maps_, registry_);
  for (std::size_t number = 0; number < table.bucket_count(); ++number) {
    const Bucket bucket = table.bucket(number);
    for (unsigned slot = 0; slot < bucket.slots; ++slot) {
      if (load_word(bucket.state_word(slot)) == 0) continue;
      const auto copy = FlowTable::read(bucket, slot);
      if (!copy) continue;
      auto flow = decoder.decode(*copy);
      if (!flow || !matches(filter, *flow)) continue;
      if (!visit(bucket, slot, *copy, *flow)) return;
    }
  }
}

std::vector<Flow> XdpDataplane::flows(const FlowFilter& filter, std::size_t limit, std::uint64_t* total) const {
  std::vector<Flow> out;
  std::uint64_t matching = 0;
  each_flow(filter, [&](const Bucket&, unsigned, const SlotCopy&, Flow& flow) {
    ++matching;
    if (out.size() < limit) out.push_back(std::move(flow));
    return out.size() < limit || total != nullptr;
  });
  if (total != nullptr) *total = matching;
  return out;
}

std::uint64_t XdpDataplane::end_flows(const FlowFilter& filter) {
  std::uint64_t ended = 0;
  each_flow(filter, [&](const Bucket& bucket, unsigned slot, const SlotCopy& copy, const Flow&) {
    SlotCopy now = copy;  // a packet may just have changed its state or time
    for (int i = 0; i < 4; ++i) {
      if (sweeper_.end(bucket, slot, now)) {
        ++ended;
        break;
      }
      const auto again = FlowTable::read(bucket, slot);
      if (!again || again->client != copy.client || ((again->word ^ copy.word) >> 28) != 0) break;
      now = *again;
    }
    return true;
  });
  return ended;
}

std::vector<BackendRef> XdpDataplane::installed() const {
  std::vector<BackendRef> out;
  for (const auto& [id, service] : registry_.services())
    for (const std::uint32_t backend : service.backends)
      out.push_back({service.name, registry_.backends().at(backend).endpoint});
  return out;
}

}  // namespace xlvs::dataplane
