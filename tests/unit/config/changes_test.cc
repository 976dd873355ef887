// SPDX-License-Identifier: Apache-2.0
// The two that must notice every change: the hash and the description.
#include <functional>
#include <set>

#include "config/hash.h"
#include "config/ownership.h"
#include "config/sections.h"
#include "tests/unit/config/support.h"

namespace xlvs::config {
namespace {

Config base() {
  return load(R"(
interfaces: [wan0, lan0]
services:
  - name: web
    listen: ["198.51.100.10:80/tcp", "198.51.100.11:80/tcp"]
    check: {type: http}
    backends: [{address: 10.0.0.11}, {address: 10.0.0.12}]
  - name: dns
    listen: ["198.51.100.10:53/udp"]
)")
      .config;
}

struct Change {
  std::function<void(Config&)> make;
  std::string line;  // of the description
};

const std::vector<Change>& changes() {
  static const std::vector<Change> list{
      {[](Config& c) { c.interfaces.pop_back(); }, "interface lan0 removed"},
      {[](Config& c) { c.interfaces.push_back({"dmz0", XdpMode::native}); }, "interface dmz0 added"},
      {[](Config& c) { c.interfaces[0].mode = XdpMode::generic; }, "interface wan0: mode auto -> generic"},
      {[](Config& c) { c.timeouts.tcp_established = std::chrono::seconds{1}; }, "timeouts.tcp_established 15m -> 1s"},
      {[](Config& c) { c.timeouts.tcp_syn_sent = std::chrono::seconds{1}; }, "timeouts.tcp_syn_sent 2m -> 1s"},
      {[](Config& c) { c.timeouts.tcp_syn_recv = std::chrono::seconds{1}; }, "timeouts.tcp_syn_recv 1m -> 1s"},
      {[](Config& c) { c.timeouts.tcp_fin_wait = std::chrono::seconds{1}; }, "timeouts.tcp_fin_wait 2m -> 1s"},
      {[](Config& c) { c.timeouts.tcp_time_wait = std::chrono::seconds{1}; }, "timeouts.tcp_time_wait 2m -> 1s"},
      {[](Config& c) { c.timeouts.tcp_close = std::chrono::seconds{1}; }, "timeouts.tcp_close 10s -> 1s"},
      {[](Config& c) { c.timeouts.tcp_close_wait = std::chrono::seconds{1}; }, "timeouts.tcp_close_wait 1m -> 1s"},
      {[](Config& c) { c.timeouts.tcp_last_ack = std::chrono::seconds{1}; }, "timeouts.tcp_last_ack 30s -> 1s"},
      {[](Config& c) { c.timeouts.udp = std::chrono::seconds{90}; }, "timeouts.udp 5m -> 90s"},
      {[](Config& c) { c.limits.flows_ipv4 = 1024; },
       "limits.flows_ipv4 1048576 -> 1024 (to change it restart lvsd (`systemctl restart lvsd`), which carries all "
       "flows over into tables of the new sizes)"},
      {[](Config& c) { c.limits.flows_ipv6 = 1024; },
       "limits.flows_ipv6 262144 -> 1024 (to change it restart lvsd (`systemctl restart lvsd`), which carries all "
       "flows over into tables of the new sizes)"},
      {[](Config& c) { c.limits.services = 1; },
       "limits.services 1024 -> 1 (to change it restart lvsd (`systemctl restart lvsd`), which carries all flows over "
       "into tables of the new sizes)"},
      {[](Config& c) { c.limits.listeners = 1; },
       "limits.listeners 4096 -> 1 (to change it restart lvsd (`systemctl restart lvsd`), which carries all flows over "
       "into tables of the new sizes)"},
      {[](Config& c) { c.limits.backends = 1; },
       "limits.backends 16384 -> 1 (to change it restart lvsd (`systemctl restart lvsd`), which carries all flows over "
       "into tables of the new sizes)"},
      {[](Config& c) { c.manage_vips = false; }, "manage_vips true -> false"},
      {[](Config& c) { c.vip_interface = "wan0"; }, "vip_interface lo -> wan0"},
      {[](Config& c) { c.hash_seed = 1; }, "hash_seed 0 -> 1"},
      {[](Config& c) { c.metrics.reset(); }, "metrics.listen 127.0.0.1:9539 -> off"},
      {[](Config& c) { c.log_level = "debug"; }, "log_level info -> debug"},
      {[](Config& c) { c.socket_group = "wheel"; }, "socket_group unset -> wheel"},
      {[](Config& c) { c.interfaces[0].optional = true; }, "interface wan0: optional"},
      {[](Config& c) { c.ha.emplace().mode = HaMode::anycast; }, "ha.mode unset -> anycast"},
      {[](Config& c) { c.services.pop_back(); }, "service dns removed"},
      {[](Config& c) { c.services.push_back(c.services[0]), c.services[2].name = "new"; },
       "service new added with 2 backends"},
      {[](Config& c) { c.services[0].listeners.pop_back(); },
       "service web: listen 198.51.100.10:80/tcp, 198.51.100.11:80/tcp -> 198.51.100.10:80/tcp"},
      {[](Config& c) { c.services[0].forward = ForwardMethod::dr; }, "service web: forward nat -> dr"},
      {[](Config& c) { c.services[0].scheduler = Scheduler::wrr; }, "service web: scheduler wlc -> wrr"},
      {[](Config& c) { c.services[0].hash_port = true; }, "service web: hash_port false -> true"},
      {[](Config& c) { c.services[0].hash_fallback = true; }, "service web: hash_fallback false -> true"},
      {[](Config& c) { c.services[0].sloppy_tcp = true; }, "service web: sloppy_tcp false -> true"},
      {[](Config& c) { c.services[0].no_flow = NoFlowPolicy::drop; }, "service web: no_flow pass -> drop"},
      {[](Config& c) { c.services[0].flows_on_failure = FlowsOnFailure::reset; },
       "service web: flows_on_failure keep -> reset"},
      {[](Config& c) { c.services[0].checks[0].type = "https"; }, "service web: check.type http -> https"},
      {[](Config& c) { c.services[0].checks[0].interval = Milliseconds{1500}; },
       "service web: check.interval 2s -> 1500ms"},
      {[](Config& c) { c.services[0].checks[0].timeout = Milliseconds{500}; },
       "service web: check.timeout 1s -> 500ms"},
      {[](Config& c) { c.services[0].checks[0].rise = 9; }, "service web: check.rise 2 -> 9"},
      {[](Config& c) { c.services[0].checks[0].fall = 9; }, "service web: check.fall 3 -> 9"},
      {[](Config& c) { c.services[0].checks[0].fast_interval = Milliseconds{200}; },
       "service web: check.fast_interval the interval -> 200ms"},
      {[](Config& c) { c.services[0].life.start = StartState::up; }, "service web: start down -> up"},
      {[](Config& c) { c.services[0].life.on_failure = OnFailure::drain; }, "service web: on_failure remove -> drain"},
      {[](Config& c) { c.services[0].life.reentry_delay = Milliseconds{15'000}; },
       "service web: reentry_delay 0ms -> 15s"},
      {[](Config& c) { c.services[0].life.slow_start = Milliseconds{60'000}; }, "service web: slow_start 0ms -> 1m"},
      {[](Config& c) { c.services[0].backends[0].tier = 1; }, "service web: backend 10.0.0.11:80: tier 0 -> 1"},
      {[](Config& c) { c.services[0].checks[0].port = 81; }, "service web: check.port the backend's -> 81"},
      {[](Config& c) { c.services[0].checks[0].params.insert_or_assign("path", std::string("/x")); },
       "service web: check.path \"/\" -> \"/x\""},
      {[](Config& c) { c.services[0].checks[0].params.emplace("host", std::string("x")); },
       "service web: check.host unset -> \"x\""},
      {[](Config& c) {
         c.services[0].checks[0].params.insert_or_assign("status", std::vector<StatusRange>{{200, 200}, {300, 399}});
       },
       "service web: check.status 200-299 -> 200, 300-399"},
      {[](Config& c) {
         c.services[0].checks[0].params.emplace("headers", std::map<std::string, std::string>{{"A", "b"}});
       },
       "service web: check.headers unset -> \"A\": \"b\""},
      {[](Config& c) { c.services[0].backends.pop_back(); }, "service web: backend 10.0.0.12:80 removed"},
      {[](Config& c) {
         c.services[0].backends.push_back({*IpAddress::parse("10.0.0.13"), 8080, 1, ForwardMethod::nat});
       },
       "service web: backend 10.0.0.13:8080 added"},
      {[](Config& c) { c.services[0].backends[0].weight = 3; }, "service web: backend 10.0.0.11:80: weight 1 -> 3"},
      {[](Config& c) { c.services[0].backends[0].forward = ForwardMethod::dr; },
       "service web: backend 10.0.0.11:80: forward nat -> dr"},
      {[](Config& c) { std::swap(c.services[0].backends[0], c.services[0].backends[1]); },
       "service web: backends in another order"},
  };
  return list;
}

TEST(Describe, EachChangeInOneLine) {
  for (const Change& change : changes()) {
    Config after = base();
    change.make(after);
    EXPECT_EQ(describe_changes(base(), after), std::vector<std::string>{change.line});
  }
}

TEST(Describe, TheTableOfAnycast) {
  Config before = base();
  before.ha.emplace().mode = HaMode::anycast;
  Config after = before;
  after.ha->table = 100;
  EXPECT_EQ(describe_changes(before, after), std::vector<std::string>{"ha.table unset -> 100"});
  EXPECT_NE(meaning_hash(before), meaning_hash(after));
}

TEST(Describe, NothingChanged) {
  EXPECT_TRUE(describe_changes(base(), base()).empty());
}

TEST(Describe, OrderOfServicesAndListenersIsNoChange) {
  Config after = base();
  std::swap(after.services[0], after.services[1]);
  std::swap(after.interfaces[0], after.interfaces[1]);
  std::swap(after.services[1].listeners[0], after.services[1].listeners[1]);
  EXPECT_TRUE(describe_changes(base(), after).empty());
}

TEST(Describe, SeveralChanges) {
  Config after = base();
  after.services[0].backends = {{*IpAddress::parse("10.0.0.12"), 80, 5, ForwardMethod::nat},
                                {*IpAddress::parse("10.0.0.13"), 80, 1, ForwardMethod::nat}};
  after.services.erase(after.services.begin() + 1);
  EXPECT_EQ(describe_changes(base(), after),
            (std::vector<std::string>{"service web: backend 10.0.0.12:80: weight 1 -> 5",
                                      "service web: backend 10.0.0.13:80 added",
                                      "service web: backend 10.0.0.11:80 removed", "service dns removed"}));
}

TEST(Hash, EveryChangeChangesIt) {
  std::set<std::string> seen{meaning_hash(base())};
  for (const Change& change : changes()) {
    Config after = base();
    change.make(after);
    EXPECT_TRUE(seen.insert(meaning_hash(after)).second) << change.line;
  }
}

// Two routers of a pair: what may differ between them, and what may not.
TEST(Hash, OfAPairLeavesOutWhatBelongsToEach) {
  const std::string one = R"(
interfaces: [eth0]
vip_interface: eth0
log_level: debug
metrics: {listen: "192.168.7.1:9539"}
maintenance_dir: /etc/lvs/maintenance
limits: {flows_ipv4: 4096}
ha:
  instances: [{name: outside, interface: eth0, vrid: 51, priority: 150, peers: [198.51.100.2]}]
  peer: {local: 192.168.7.1, address: 192.168.7.2, key_file: /etc/lvs/peer.key}
services: [{name: web, listen: ["198.51.100.10:80/tcp"]}]
)";
  const std::string other = R"(
interfaces: [wan0, lan0]
max_programs: 7
ha:
  instances: [{name: outside, interface: wan0, vrid: 51, priority: 100, peers: [198.51.100.1]}]
  peer: {local: 192.168.7.2, address: 192.168.7.1, key_file: credential:key, accept_config: true}
services: [{name: web, listen: ["198.51.100.10:80/tcp"]}]
)";
  EXPECT_EQ(load(one).shared_hash, load(other).shared_hash);
  EXPECT_NE(load(one).hash, load(other).hash);
  for (const auto& [text, instead] :
       std::vector<std::pair<std::string, std::string>>{{"198.51.100.10:80", "198.51.100.10:81"},
                                                        {"vrid: 51", "vrid: 52"},
                                                        {"name: web,", "name: web, scheduler: rr,"},
                                                        {"vrid: 51,", "vrid: 51, advert_interval: 100ms,"},
                                                        {"key_file", "takeover: vrrp, key_file"},
                                                        {"max_programs: 7", "hash_seed: 7"}}) {
    std::string changed = other;
    changed.replace(changed.find(text), text.size(), instead);
    EXPECT_NE(load(changed).shared_hash, load(one).shared_hash) << instead;
  }
}

TEST(Ownership, IsToldByTheKeysOfTheTopLevel) {
  struct Case {
    const char* text;
    const char* router_key;
    const char* pair_key;
  };
  for (const Case& c : std::vector<Case>{{"interfaces: [lan0]\nha: {mode: anycast}\n", "interfaces", ""},
                                         {"timeouts: {udp: 1m}\nservices: []\n", "", "timeouts"},
                                         {"services: []\nhooks: []\nmetrics: {}\n", "hooks", "services"},
                                         {"no_such_key: 1\n", "", "no_such_key"},
                                         {"# nothing\n", "", ""},
                                         {"[1, 2]\n", "", ""},
                                         {"services: [", "", ""}}) {
    const Ownership found = ownership({"x.yaml", c.text});
    EXPECT_EQ(found.router_key, c.router_key) << c.text;
    EXPECT_EQ(found.pair_key, c.pair_key) << c.text;
  }
}

// A key that the shared hash leaves out is a router's own, and none else but `ha`.
TEST(Ownership, GoesWithTheSharedHash) {
  const std::string base = "services: [{name: web, listen: [\"198.51.100.10:80/tcp\"], check: {type: none}}]\n";
  const std::map<std::string, std::string> values{
      {"check_mark", "77"},         {"hash_seed", "9"},          {"hooks", "[{path: /run/x}]"},
      {"interfaces", "[eth1]"},     {"limits", "{services: 9}"}, {"log_level", "debug"},
      {"maintenance_dir", "/x"},    {"manage_vips", "false"},    {"max_programs", "9"},
      {"metrics", "{listen: off}"}, {"names", "{drain: 9s}"},    {"timeouts", "{udp: 9s}"},
      {"socket_group", "wheel"},    {"vip_interface", "eth0"}};
  for (const std::string& key : known_keys()) {
    if (key.find('.') != std::string::npos || key == "services" || key == "ha") continue;
    ASSERT_TRUE(values.contains(key)) << key << ": add a value other than the default";
    const std::string line = key + ": " + values.at(key) + "\n";
    const std::string interfaces = key == "interfaces" ? "" : "interfaces: [eth0]\n";
    const bool shared = load(interfaces + line + base).shared_hash != load("interfaces: [eth0]\n" + base).shared_hash;
    EXPECT_EQ(ownership({"x.yaml", line}).pair_key == key, shared) << key;
  }
}

TEST(Hash, HowItIsWrittenDoesNotMatter) {
  const Loaded one = load(R"(
interfaces: [wan0, lan0]
services:
  - {name: a, listen: ["[2001:db8::10]:80/tcp", "[2001:db8::11]:80/tcp"], backends: [{address: "2001:db8:1::1"}]}
  - {name: b, listen: ["198.51.100.10:81/tcp"], check: {type: http, status: [300-399, 200]}}
timeouts: {udp: 60s}
limits: {flows_ipv4: 1025}
)");
  const Loaded other = load(R"(
limits: {flows_ipv4: 2048}
timeouts: {udp: 1m, tcp_close: 10s}
interfaces:
  - name: lan0
  - name: wan0
    mode: auto
services:
  - name: b
    scheduler: wlc
    listen: ["198.51.100.10:81/tcp"]
    check: {type: http, path: "/", status: ["200", "300-399"]}
  - name: a
    listen: ["[2001:DB8:0::11]:80/tcp", "[2001:DB8:0::10]:80/tcp"]
    backends: [{address: "2001:0db8:0001:0::1", port: 80, weight: 1, forward: nat}]
)");
  EXPECT_EQ(one.hash, other.hash);
}

TEST(Hash, IsTheSameInEveryVersion) {
  const std::string hash = load("interfaces: [wan0]\n").hash;
  EXPECT_EQ(hash.size(), 64U);
  EXPECT_EQ(hash, "94826bf59ce5c32196d8df717d5247176647f4e5e048406fd94e3816d162ee63");
}

}  // namespace
}  // namespace xlvs::config
