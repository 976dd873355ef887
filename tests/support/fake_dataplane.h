// SPDX-License-Identifier: Apache-2.0
// A data plane in memory, for tests of what is above it: remembers what it was told, reports what a test puts in.
#pragma once

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "dataplane/dataplane.h"

namespace xlvs::dataplane {

// A flow table towards another router: tells what it is given, remembers what it is told.
class FakeFlows final : public FlowSource, public FlowSink {
 public:
  // ---- for the test
  std::vector<FlowTarget> targets;  // numbered from 0
  std::vector<FlowRecord> to_tell;  // by every walk that tell_all() began, and then no more
  std::vector<FlowRecord> young;    // told when that does not matter
  std::map<std::uint32_t, FlowTarget> told_targets;
  std::vector<FlowRecord> told;
  bool replaced = false;

  void tell_all() override { left_ = to_tell; }
  bool collect(std::size_t& looks, std::size_t limit, std::chrono::milliseconds after,
               std::vector<FlowRecord>& out) override {
    if (after == after.zero()) left_.insert(left_.end(), young.begin(), young.end());
    if (after == after.zero()) young.clear();
    const std::size_t count = std::min(limit, left_.size());
    looks -= std::min(looks, bucket_count());
    out.insert(out.end(), left_.begin(), left_.begin() + static_cast<std::ptrdiff_t>(count));
    left_.erase(left_.begin(), left_.begin() + static_cast<std::ptrdiff_t>(count));
    return left_.empty();
  }
  [[nodiscard]] std::size_t bucket_count() const override { return 100; }
  [[nodiscard]] const FlowTarget& target(std::uint32_t number) const override { return targets.at(number); }
  void rest() override { left_.clear(); }

  void forget_targets() override { told_targets.clear(); }
  void set_target(std::uint32_t number, const FlowTarget& target) override { told_targets[number] = target; }
  FlowImports import(std::span<const FlowRecord> flows, bool replace) override {
    told.insert(told.end(), flows.begin(), flows.end());
    replaced = replace;
    FlowImports out;
    out.created = flows.size();
    return out;
  }

 private:
  std::vector<FlowRecord> left_;
};

class FakeDataplane : public Dataplane {
 public:
  // ---- for the test: what calls answer
  std::optional<Error> apply_error;                // apply() fails and changes nothing
  std::optional<Error> via_error;                  // set_via_checks() fails and changes nothing
  std::map<std::string, Error> attach_errors;      // by interface
  std::map<std::string, std::string> generic;      // interfaces that take generic mode only, and why
  std::map<BackendRef, TrafficCounters> traffic;   // of installed backends
  std::map<std::string, TrafficCounters> retired;  // of a service's removed backends
  std::map<BackendRef, std::pair<std::uint32_t, std::uint32_t>> connections;  // active, inactive
  std::vector<ReasonStats> reasons;
  std::vector<Flow> flow_table;
  std::vector<LostFlow> lost;  // what every step of a sweep meets
  FakeFlows exchange;
  std::size_t buckets = 100;
  std::uint32_t program_id = 1;
  Upkeep taken_away;  // what the next upkeep() finds

  // ---- for the test: what was asked
  std::vector<Desired> applied;  // every successful apply(), oldest first
  std::map<IpAddress, NextHop> next_hops;
  std::map<std::string, PortRequest> requests;  // of attached ports, as last updated
  std::vector<std::string> detached;
  std::set<ViaCheck> via_checks;
  std::set<IpAddress> fenced;
  FenceWord::Word fence_until = 0, fence_role = 0;
  std::uint64_t sweeps = 0;
  [[nodiscard]] const Desired& desired() const { return applied.back(); }

  // An earlier lvsd's: installed() and ports() have it from the start.
  void preinstall(Desired desired) { applied.push_back(std::move(desired)); }
  void preattach(const PortRequest& request) {
    requests[request.name] = request;
    ports_[request.name] = {request.name, request.ifindex, true, "", program_id, true};
  }

  Result<ApplySummary> apply(const Desired& wanted) override {
    if (apply_error) return tl::make_unexpected(*apply_error);
    const ApplySummary summary = compare(applied.empty() ? Desired{} : applied.back(), wanted);
    applied.push_back(wanted);
    return summary;
  }

  Result<PortStatus> attach(const PortRequest& port) override {
    if (const auto error = attach_errors.find(port.name); error != attach_errors.end())
      return tl::make_unexpected(error->second);
    const bool adopted = ports_.contains(port.name);
    const auto reason = generic.find(port.name);
    PortStatus status{port.name, port.ifindex, true, "", program_id, adopted};
    if (port.mode == XdpMode::generic || reason != generic.end()) {
      if (port.mode == XdpMode::native) return fail(ErrorKind::unsupported, "{}: {}", port.name, reason->second);
      status.native = false;
      status.mode_reason = port.mode == XdpMode::generic ? "configured" : reason->second;
    }
    requests[port.name] = port;
    return ports_[port.name] = status;
  }

  void detach(const std::string& name) override {
    requests.erase(name);
    if (ports_.erase(name) > 0) detached.push_back(name);
  }

  void update_port(const PortRequest& port) override {
    if (requests.contains(port.name)) requests[port.name] = port;
  }

  [[nodiscard]] std::vector<PortStatus> ports() const override {
    std::vector<PortStatus> out;
    for (const auto& [name, status] : ports_) out.push_back(status);
    return out;
  }

  void set_next_hop(const IpAddress& address, const std::optional<NextHop>& hop) override {
    if (hop)
      next_hops[address] = *hop;
    else
      next_hops.erase(address);
  }

  Result<void> set_via_checks(const std::set<ViaCheck>& checks) override {
    if (via_error) return tl::make_unexpected(*via_error);
    via_checks = checks;
    return {};
  }

  Upkeep upkeep() override { return std::exchange(taken_away, {}); }

  Result<void> set_fenced(const std::set<IpAddress>& addresses) override {
    fenced = addresses;
    return {};
  }
  [[nodiscard]] FenceWord fence() override { return FenceWord(fence_until, fence_role); }

  [[nodiscard]] const std::vector<LostFlow>& lost_flows() const override { return lost; }
  bool sweep_step(std::size_t step) override {
    position_ += step;
    if (position_ < buckets) return false;
    position_ = 0;
    ++sweeps;
    return true;
  }
  [[nodiscard]] std::size_t bucket_count() const override { return buckets; }

  [[nodiscard]] Stats stats() const override {
    Stats out;
    out.reasons = reasons;
    out.sweeps = sweeps;
    if (applied.empty()) return out;
    for (const DesiredService& service : applied.back().services) {
      ServiceStats& total = out.services.emplace_back();
      total.name = service.name;
      if (const auto old = retired.find(service.name); old != retired.end()) add(total.traffic, old->second);
      for (const DesiredBackend& backend : service.backends) {
        total.backends.push_back(backend_stats({service.name, backend.endpoint}));
        add(total.traffic, total.backends.back().traffic);
      }
    }
    return out;
  }

  [[nodiscard]] std::vector<Flow> flows(const FlowFilter& filter, std::size_t limit,
                                        std::uint64_t* total) const override {
    std::vector<Flow> out;
    std::copy_if(flow_table.begin(), flow_table.end(), std::back_inserter(out),
                 [&](const Flow& flow) { return matches(filter, flow); });
    if (total != nullptr) *total = out.size();
    if (out.size() > limit) out.resize(limit);
    return out;
  }

  [[nodiscard]] FlowExchange flow_exchange() override { return {exchange, exchange}; }

  [[nodiscard]] std::vector<BackendRef> installed() const override {
    std::vector<BackendRef> out;
    if (applied.empty()) return out;
    for (const DesiredService& service : applied.back().services)
      for (const DesiredBackend& backend : service.backends) out.push_back({service.name, backend.endpoint});
    return out;
  }

 private:
  static void add(TrafficCounters& sum, const TrafficCounters& more) {
    sum.flows += more.flows;
    sum.in_packets += more.in_packets;
    sum.in_bytes += more.in_bytes;
    sum.out_packets += more.out_packets;
    sum.out_bytes += more.out_bytes;
  }

  [[nodiscard]] BackendStats backend_stats(const BackendRef& ref) const {
    BackendStats out;
    out.endpoint = ref.endpoint;
    if (const auto found = traffic.find(ref); found != traffic.end()) out.traffic = found->second;
    if (const auto found = connections.find(ref); found != connections.end())
      std::tie(out.active, out.inactive) = found->second;
    if (const auto found = next_hops.find(ref.endpoint.address); found != next_hops.end()) out.next_hop = found->second;
    return out;
  }

  static bool matches(const std::optional<Endpoint>& wanted, const Endpoint& found) {
    return !wanted || (wanted->address == found.address && (wanted->port == 0 || wanted->port == found.port));
  }
  static bool matches(const FlowFilter& filter, const Flow& flow) {
    return (!filter.service || *filter.service == flow.service) && matches(filter.backend, flow.backend) &&
           matches(filter.client, flow.client) && (!filter.state || *filter.state == flow.state) &&
           (!filter.protocol || *filter.protocol == flow.protocol);
  }

  static ApplySummary compare(const Desired& before, const Desired& after) {
    ApplySummary out;
    for (const DesiredService& old : before.services) {
      const DesiredService* now = find(after, old.name);
      out.services_removed += now == nullptr;
      for (const DesiredBackend& backend : old.backends)
        out.backends_removed += now == nullptr || find(*now, backend.endpoint) == nullptr;
    }
    for (const DesiredService& now : after.services) {
      const DesiredService* old = find(before, now.name);
      out.services_added += old == nullptr;
      if (old != nullptr) {
        DesiredService settings = *old;
        settings.backends = now.backends;
        out.services_changed += settings != now;
      }
      for (const DesiredBackend& backend : now.backends) {
        const DesiredBackend* was = old == nullptr ? nullptr : find(*old, backend.endpoint);
        out.backends_added += was == nullptr;
        out.backends_changed += was != nullptr && *was != backend;
      }
    }
    return out;
  }
  static const DesiredService* find(const Desired& desired, const std::string& name) {
    for (const DesiredService& service : desired.services)
      if (service.name == name) return &service;
    return nullptr;
  }
  static const DesiredBackend* find(const DesiredService& service, const Endpoint& endpoint) {
    for (const DesiredBackend& backend : service.backends)
      if (backend.endpoint == endpoint) return &backend;
    return nullptr;
  }

  std::map<std::string, PortStatus> ports_;
  std::size_t position_ = 0;
};

}  // namespace xlvs::dataplane
