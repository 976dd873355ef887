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
#include <utility>
#include <vector>

#include <boost/asio/post.hpp>

#include "agent/host.h"
#include "tests/support/fake_dataplane.h"

namespace xlvs::agent {

struct FakeMachine {
  std::vector<net::Link> links = {{"lo", 1, {}, 65536, true},
                                  {"lan0", 2, {{2, 0, 0, 0, 0, 1}}, 1500, true},
                                  {"wan0", 3, {{2, 0, 0, 0, 0, 2}}, 1500, true}};
  std::string boot = "boot-1";
  bool pinned = false;
  dataplane::FakeDataplane maps;                    // outlives the lvsd that has it open, as pinned maps and links do
  std::map<std::string, std::set<IpAddress>> vips;  // by interface
  std::map<std::uint32_t, std::set<IpAddress>> vip_routes;  // by table
  std::set<IpAddress> followed;
  std::vector<dataplane::LostFlow> solicited;
  std::map<std::string, NameReply> dns;  // what it says; other names are not known
  unsigned questions = 0;                // that DNS was asked
  net::Watch::Events events;

  ha::Speaker::RoleChanged role_changed;  // of the speaker that runs, or is about to
  std::vector<std::string> speaker_log;   // what speakers were told
  ha::SpeakerReport speaker_report;
  ha::RouterFacts speaker_facts;    // that it was told last
  bool speaker_leaves_role = true;  // what leave() answers
  bool speaker_hangs = false;       // its thread takes no turns

  std::optional<Error> open_error, vip_error, route_error, watch_error, speaker_error;  // what shall fail next

  [[nodiscard]] Desired desired() const { return maps.applied.empty() ? Desired{} : maps.desired(); }
  [[nodiscard]] std::set<std::string> attached() const {
    std::set<std::string> names;
    for (const auto& [name, request] : maps.requests) names.insert(name);
    return names;
  }
  [[nodiscard]] std::optional<DesiredBackend> find(const std::string& service, const std::string& endpoint) const {
    for (const DesiredService& s : desired().services) {
      for (const DesiredBackend& b : s.backends) {
        if (s.name == service && b.endpoint.to_string() == endpoint) return b;
      }
    }
    return std::nullopt;
  }
};

// One lvsd's hold on the machine's maps.
class OpenDataplane final : public dataplane::Dataplane {
 public:
  explicit OpenDataplane(dataplane::FakeDataplane& maps) : maps_(maps) {}
  Result<dataplane::ApplySummary> apply(const Desired& desired) override { return maps_.apply(desired); }
  Result<dataplane::PortStatus> attach(const dataplane::PortRequest& port) override { return maps_.attach(port); }
  void detach(const std::string& name) override { maps_.detach(name); }
  void update_port(const dataplane::PortRequest& port) override { maps_.update_port(port); }
  [[nodiscard]] std::vector<dataplane::PortStatus> ports() const override { return maps_.ports(); }
  void set_next_hop(const IpAddress& address, const std::optional<dataplane::NextHop>& hop) override {
    maps_.set_next_hop(address, hop);
  }
  Result<void> set_via_checks(const std::set<ViaCheck>& checks) override { return maps_.set_via_checks(checks); }
  dataplane::Upkeep upkeep() override { return maps_.upkeep(); }
  Result<void> set_fenced(const std::set<IpAddress>& addresses) override { return maps_.set_fenced(addresses); }
  [[nodiscard]] FenceWord fence() override { return maps_.fence(); }
  bool sweep_step(std::size_t buckets) override { return maps_.sweep_step(buckets); }
  [[nodiscard]] std::size_t bucket_count() const override { return maps_.bucket_count(); }
  [[nodiscard]] const std::vector<dataplane::LostFlow>& lost_flows() const override { return maps_.lost_flows(); }
  [[nodiscard]] dataplane::Stats stats() const override { return maps_.stats(); }
  [[nodiscard]] std::vector<dataplane::Flow> flows(const dataplane::FlowFilter& filter, std::size_t limit,
                                                   std::uint64_t* total) const override {
    return maps_.flows(filter, limit, total);
  }
  [[nodiscard]] FlowExchange flow_exchange() override { return maps_.flow_exchange(); }
  [[nodiscard]] std::vector<BackendRef> installed() const override { return maps_.installed(); }

 private:
  dataplane::FakeDataplane& maps_;
};

class FakeWatch final : public net::Watch {
 public:
  explicit FakeWatch(FakeMachine& machine) : machine_(machine) {}
  ~FakeWatch() override { machine_.events = {}; }
  void follow(const std::set<IpAddress>& addresses) override { machine_.followed = addresses; }
  [[nodiscard]] std::optional<net::Hop> hop(const IpAddress& address) const override {
    const auto found = machine_.maps.next_hops.find(address);
    if (found == machine_.maps.next_hops.end()) return std::nullopt;
    return net::Hop{found->second.local, found->second.mac, found->second.ifindex, address};
  }
  [[nodiscard]] std::uint64_t overruns() const override { return 0; }

 private:
  FakeMachine& machine_;
};

class FakeSpeaker final : public ha::Speaker {
 public:
  FakeSpeaker(FakeMachine& machine, std::size_t instances) : machine_(machine), instances_(instances) {}
  FakeSpeaker(const FakeSpeaker&) = delete;
  FakeSpeaker& operator=(const FakeSpeaker&) = delete;
  ~FakeSpeaker() override {
    if (running_) machine_.speaker_log.emplace_back("stopped");
  }
  void run(bool take_up) override {
    running_ = true;
    machine_.speaker_log.push_back(
        fmt::format("{} with {} instances", take_up ? "took up the role" : "started", instances_));
  }
  bool leave() override {
    running_ = false;
    machine_.speaker_log.emplace_back("left");
    return machine_.speaker_leaves_role;
  }
  void release() override { machine_.speaker_log.emplace_back("released"); }
  void resume() override { machine_.speaker_log.emplace_back("resumed"); }
  void hold(bool held) override { machine_.speaker_log.emplace_back(held ? "held" : "not held"); }
  void set_facts(ha::RouterFacts facts) override { machine_.speaker_facts = std::move(facts); }
  void set_link(const std::string& interface, bool up) override {
    machine_.speaker_log.push_back(interface + (up ? " up" : " down"));
  }
  void set_tracked(unsigned penalty, bool fault, const std::string& why) override {
    machine_.speaker_log.push_back(fmt::format("penalty {}{}: {}", penalty, fault ? " and fault" : "", why));
  }
  [[nodiscard]] ha::SpeakerReport report() const override {
    ha::SpeakerReport report = machine_.speaker_report;
    if (!machine_.speaker_hangs) report.last_turn = ha::Clock::now();
    return report;
  }

 private:
  FakeMachine& machine_;
  std::size_t instances_;
  bool running_ = false;
};

class FakeResolver final : public net::Resolver {
 public:
  FakeResolver(boost::asio::io_context& loop, FakeMachine& machine) : loop_(loop), machine_(machine) {}
  FakeResolver(const FakeResolver&) = delete;
  FakeResolver& operator=(const FakeResolver&) = delete;
  ~FakeResolver() override { *alive_ = false; }
  void resolve(const Name& name, std::function<void(const Result<NameReply>&)> done) override {
    ++machine_.questions;
    const auto known = machine_.dns.find(name.host);
    Result<NameReply> reply = fail(ErrorKind::not_found, "{} is not known", name.host);
    if (known != machine_.dns.end()) reply = known->second;
    boost::asio::post(loop_, [done = std::move(done), reply, alive = alive_] {
      if (*alive) done(reply);
    });
  }
  void use_servers(const std::vector<Endpoint>&) override {}

 private:
  boost::asio::io_context& loop_;
  FakeMachine& machine_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

class FakeHost final : public Host {
 public:
  explicit FakeHost(FakeMachine& machine) : machine_(machine) {}

  Result<std::unique_ptr<dataplane::Dataplane>> open_dataplane(const dataplane::OpenOptions&) override {
    if (machine_.open_error) return tl::make_unexpected(*machine_.open_error);
    machine_.pinned = true;
    return std::make_unique<OpenDataplane>(machine_.maps);
  }
  Result<void> remove_pins(const dataplane::OpenOptions&) override {
    machine_.pinned = false;
    machine_.maps = {};
    return {};
  }
  Result<std::vector<net::Link>> links() override { return machine_.links; }
  Result<std::unique_ptr<ha::Speaker>> open_speaker(const HaConfig& config, FenceWord,
                                                    ha::Speaker::RoleChanged changed) override {
    if (machine_.speaker_error) return tl::make_unexpected(*std::exchange(machine_.speaker_error, std::nullopt));
    machine_.role_changed = std::move(changed);
    return std::make_unique<FakeSpeaker>(machine_, config.instances.size());
  }
  Result<std::unique_ptr<net::Watch>> open_watch(boost::asio::io_context&, net::Watch::Events events) override {
    if (machine_.watch_error) return tl::make_unexpected(*machine_.watch_error);
    machine_.events = std::move(events);
    return std::make_unique<FakeWatch>(machine_);
  }
  Result<void> set_vips(const std::string& interface, const std::set<IpAddress>& wanted, std::set<IpAddress>& owned,
                        net::VipFacts& facts) override {
    const auto link = std::find_if(machine_.links.begin(), machine_.links.end(),
                                   [&](const net::Link& known) { return known.name == interface; });
    if (link == machine_.links.end()) return fail(ErrorKind::not_found, "interface {}: there is none", interface);
    return place(machine_.vips[interface], machine_.vip_error, wanted, owned, facts);
  }
  Result<void> set_vip_routes(std::uint32_t table, const std::set<IpAddress>& wanted, std::set<IpAddress>& owned,
                              net::VipFacts& facts) override {
    return place(machine_.vip_routes[table], machine_.route_error, wanted, owned, facts);
  }
  std::unique_ptr<net::Resolver> make_resolver(boost::asio::io_context& loop) override {
    return std::make_unique<FakeResolver>(loop, machine_);
  }
  void solicit(const Endpoint& server, const Endpoint& client) override {
    machine_.solicited.push_back({client, server});
  }
  Result<std::string> boot_id() override { return machine_.boot; }

 private:
  static Result<void> place(std::set<IpAddress>& present, std::optional<Error>& error,
                            const std::set<IpAddress>& wanted, std::set<IpAddress>& owned, net::VipFacts& facts) {
    for (const IpAddress& address : wanted) {
      if (present.insert(address).second && !owned.insert(address).second) facts.restored.insert(address);
      facts.present.insert(address);
      if (error) return tl::make_unexpected(*std::exchange(error, std::nullopt));
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

  FakeMachine& machine_;
};

}  // namespace xlvs::agent
