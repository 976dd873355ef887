// SPDX-License-Identifier: Apache-2.0
// A machine in memory: what the agent asks of data plane, netlink and kernel, kept as plain values that tests read and
// break.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/host.h"

namespace xlvs::agent {

// Outlives the FakeDataplane objects, as maps and links outlive lvsd.
struct FakeMachine {
  std::vector<net::Link> links = {{"lo", 1, {}, 65536, true}, {"lan0", 2, {{2, 0, 0, 0, 0, 1}}, 1500, true},
                                  {"wan0", 3, {{2, 0, 0, 0, 0, 2}}, 1500, true}};
  std::string boot = "boot-1";

  bool pinned = false;
  Desired desired;  // as the maps hold it
  unsigned applies = 0;
  std::map<std::string, dataplane::PortRequest> attached;
  std::map<IpAddress, std::optional<dataplane::NextHop>> hops;
  std::size_t swept = 0;
  std::map<std::string, std::set<IpAddress>> vips;  // by interface
  std::set<IpAddress> followed;
  net::Watch::Events events;
  std::vector<dataplane::Flow> flows;
  dataplane::FlowFilter last_filter;

  // What shall fail next.
  std::optional<Error> open_error, apply_error, vip_error, watch_error;
  std::map<std::string, Error> attach_errors;

  [[nodiscard]] const DesiredBackend* find(const std::string& service, const std::string& endpoint) const {
    for (const DesiredService& s : desired.services) {
      for (const DesiredBackend& b : s.backends) {
        if (s.name == service && b.endpoint.to_string() == endpoint) return &b;
      }
    }
    return nullptr;
  }
};

class FakeDataplane final : public dataplane::Dataplane {
 public:
  explicit FakeDataplane(FakeMachine& machine) : machine_(machine) {
    for (const auto& [name, request] : machine.attached) adopted_.insert(name);
  }

  Result<dataplane::ApplySummary> apply(const Desired& desired) override {
    if (machine_.apply_error) return tl::make_unexpected(*machine_.apply_error);
    machine_.applies++;
    dataplane::ApplySummary summary;
    summary.services_changed = machine_.desired == desired ? 0 : 1;
    machine_.desired = desired;
    return summary;
  }
  Result<dataplane::PortStatus> attach(const dataplane::PortRequest& port) override {
    if (const auto error = machine_.attach_errors.find(port.name); error != machine_.attach_errors.end()) {
      return tl::make_unexpected(error->second);
    }
    machine_.attached[port.name] = port;
    return status(port);
  }
  void detach(const std::string& name) override { machine_.attached.erase(name); }
  void update_port(const dataplane::PortRequest& port) override { machine_.attached[port.name] = port; }
  [[nodiscard]] std::vector<dataplane::PortStatus> ports() const override {
    std::vector<dataplane::PortStatus> ports;
    for (const auto& [name, request] : machine_.attached) ports.push_back(status(request));
    return ports;
  }
  void set_next_hop(const IpAddress& address, const std::optional<dataplane::NextHop>& hop) override {
    machine_.hops[address] = hop;
  }
  bool sweep_step(std::size_t buckets) override {
    machine_.swept += buckets;
    return false;
  }
  [[nodiscard]] std::size_t bucket_count() const override { return 1000; }
  [[nodiscard]] dataplane::Stats stats() const override {
    dataplane::Stats stats;
    for (const DesiredService& service : machine_.desired.services) {
      dataplane::ServiceStats s{service.name, {7, 70, 7000, 60, 6000}, {}};
      for (const DesiredBackend& backend : service.backends) {
        dataplane::BackendStats b{backend.endpoint, {3, 30, 3000, 20, 2000}, 2, 1, {}};
        if (const auto hop = machine_.hops.find(backend.endpoint.address); hop != machine_.hops.end()) {
          b.next_hop = hop->second;
        }
        s.backends.push_back(b);
      }
      stats.services.push_back(s);
    }
    stats.reasons = {{"no_backend", "drop", "no backend", 5}};
    return stats;
  }
  [[nodiscard]] std::vector<dataplane::Flow> flows(const dataplane::FlowFilter& filter, std::size_t limit,
                                                   std::uint64_t* total) const override {
    machine_.last_filter = filter;
    if (total != nullptr) *total = machine_.flows.size();
    const auto end = machine_.flows.begin() + static_cast<std::ptrdiff_t>(std::min(limit, machine_.flows.size()));
    return {machine_.flows.begin(), end};
  }
  [[nodiscard]] std::vector<BackendRef> installed() const override {
    std::vector<BackendRef> refs;
    for (const DesiredService& service : machine_.desired.services) {
      for (const DesiredBackend& backend : service.backends) refs.push_back({service.name, backend.endpoint});
    }
    return refs;
  }

 private:
  [[nodiscard]] dataplane::PortStatus status(const dataplane::PortRequest& port) const {
    return {port.name, port.ifindex, port.mode != XdpMode::generic, "", 42, adopted_.contains(port.name)};
  }
  FakeMachine& machine_;
  std::set<std::string> adopted_;
};

class FakeWatch final : public net::Watch {
 public:
  explicit FakeWatch(FakeMachine& machine) : machine_(machine) {}
  ~FakeWatch() override { machine_.events = {}; }
  void follow(const std::set<IpAddress>& addresses) override { machine_.followed = addresses; }
  [[nodiscard]] std::optional<net::Hop> hop(const IpAddress& address) const override {
    const auto found = machine_.hops.find(address);
    if (found == machine_.hops.end() || !found->second) return std::nullopt;
    return net::Hop{found->second->local, found->second->mac, found->second->ifindex, address};
  }
  [[nodiscard]] std::uint64_t overruns() const override { return 0; }

 private:
  FakeMachine& machine_;
};

class FakeHost final : public Host {
 public:
  explicit FakeHost(FakeMachine& machine) : machine_(machine) {}

  Result<std::unique_ptr<dataplane::Dataplane>> open_dataplane(const dataplane::OpenOptions&) override {
    if (machine_.open_error) return tl::make_unexpected(*machine_.open_error);
    machine_.pinned = true;
    return std::make_unique<FakeDataplane>(machine_);
  }
  Result<void> remove_pins(const dataplane::OpenOptions&) override {
    machine_.pinned = false;
    machine_.attached.clear();
    machine_.desired = {};
    return {};
  }
  Result<std::vector<net::Link>> links() override { return machine_.links; }
  Result<std::unique_ptr<net::Watch>> open_watch(boost::asio::io_context&, net::Watch::Events events) override {
    if (machine_.watch_error) return tl::make_unexpected(*machine_.watch_error);
    machine_.events = std::move(events);
    return std::make_unique<FakeWatch>(machine_);
  }
  Result<void> set_vips(const std::string& interface, const std::set<IpAddress>& wanted,
                        std::set<IpAddress>& owned) override {
    auto& present = machine_.vips[interface];
    for (const IpAddress& address : wanted) {
      if (present.insert(address).second) owned.insert(address);
      if (machine_.vip_error) return tl::make_unexpected(*std::exchange(machine_.vip_error, std::nullopt));
    }
    for (auto it = owned.begin(); it != owned.end();) {
      if (wanted.contains(*it)) {
        ++it;
        continue;
      }
      present.erase(*it);
      it = owned.erase(it);
    }
    return {};
  }
  Result<std::string> boot_id() override { return machine_.boot; }

 private:
  FakeMachine& machine_;
};

}  // namespace xlvs::agent
