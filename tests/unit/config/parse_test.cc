// SPDX-License-Identifier: Apache-2.0
#include <chrono>

#include "core/check_type.h"
#include "tests/unit/config/support.h"

namespace xlvs::config {
namespace {

using std::chrono::seconds;

TEST(Parse, LeastDocumentHasTheModelsDefaults) {
  Config expected;
  expected.interfaces = {{"wan0", XdpMode::automatic}};
  EXPECT_EQ(load("interfaces: [wan0]").config, expected);
}

TEST(Parse, EveryGlobalKey) {
  const Config config = load(R"(
interfaces: [wan0, {name: lan0, mode: native}, {name: dmz0, mode: generic}]
manage_vips: false
vip_interface: wan0
hash_seed: 7
log_level: debug
metrics: {listen: "[::1]:9000"}
timeouts:
  tcp_established: 1s
  tcp_syn_sent: 2s
  tcp_syn_recv: 3s
  tcp_fin_wait: 4s
  tcp_time_wait: 5s
  tcp_close: 6s
  tcp_close_wait: 7s
  tcp_last_ack: 8s
  udp: 2m
limits: {flows_ipv4: 3000, flows_ipv6: 4096, services: 10, listeners: 20, backends: 30}
)")
                            .config;
  Config expected;
  expected.interfaces = {{"wan0", XdpMode::automatic}, {"lan0", XdpMode::native}, {"dmz0", XdpMode::generic}};
  expected.manage_vips = false;
  expected.vip_interface = "wan0";
  expected.hash_seed = 7;
  expected.log_level = "debug";
  expected.metrics = *Endpoint::parse("[::1]:9000");
  expected.timeouts = {seconds{1}, seconds{2}, seconds{3}, seconds{4},  seconds{5},
                       seconds{6}, seconds{7}, seconds{8}, seconds{120}};
  expected.limits = {4096, 4096, 10, 20, 30};  // flows are rounded up to a power of two
  EXPECT_EQ(config, expected);
}

TEST(Parse, AnycastWithdrawsTheAddressesOfEveryService) {
  const Config config = load(R"(
interfaces: [eth0]
ha: {mode: anycast, table: 100}
services:
  - {name: web, listen: ["198.51.100.10:80/tcp"]}
  - {name: dns, listen: ["198.51.100.10:53/udp"], withdraw_vip: true}
)")
                            .config;
  ASSERT_TRUE(config.ha);
  EXPECT_EQ(config.ha->mode, HaMode::anycast);
  EXPECT_EQ(config.ha->table, 100U);
  EXPECT_TRUE(config.ha->instances.empty());
  for (const ServiceConfig& service : config.services) EXPECT_TRUE(service.pool.withdraw_vip) << service.name;
}

constexpr const char* kEveryServiceKey = R"(
interfaces: [wan0]
services:
  - name: web
    listen: ["198.51.100.10:80/tcp", "198.51.100.11:80/udp"]
    forward: dr
    scheduler: mh
    hash_port: true
    hash_fallback: true
    sloppy_tcp: true
    no_flow: drop
    flows_on_failure: reset
    check:
      type: https
      interval: 5s
      timeout: 250ms
      fast_interval: 500ms
      rise: 4
      fall: 5
      port: 8443
      path: /health
      method: HEAD
      host: example.com
      headers: {X-One: "1", x-two: two}
      status: ["300-399", 200]
      sni: sni.example.com
      verify: false
    start: up
    on_failure: drain
    reentry_delay: 15s
    slow_start: 1m
    flap: {changes: 4, within: 30s, hold: 5m}
    backends:
      - {address: 10.0.0.11}
      - {address: 10.0.0.12, port: 8080, weight: 65535, forward: nat, tier: 1, check: {type: none}}
)";

TEST(Parse, EveryServiceKey) {
  const Config config = load(kEveryServiceKey).config;
  ServiceConfig web;
  web.name = "web";
  web.listeners = {*Listener::parse("198.51.100.10:80/tcp"), *Listener::parse("198.51.100.11:80/udp")};
  web.forward = ForwardMethod::dr;
  web.scheduler = Scheduler::mh;
  web.hash_port = web.hash_fallback = web.sloppy_tcp = true;
  web.no_flow = NoFlowPolicy::drop;
  web.flows_on_failure = FlowsOnFailure::reset;
  web.checks.resize(1);
  web.checks[0].type = "https";
  web.checks[0].interval = Milliseconds{5000};
  web.checks[0].timeout = Milliseconds{250};
  web.checks[0].fast_interval = Milliseconds{500};
  web.checks[0].rise = 4;
  web.checks[0].fall = 5;
  web.checks[0].port = 8443;
  web.checks[0].params = {{"path", "/health"},
                          {"method", "HEAD"},
                          {"host", "example.com"},
                          {"headers", std::map<std::string, std::string>{{"X-One", "1"}, {"x-two", "two"}}},
                          {"status", std::vector<StatusRange>{{200, 200}, {300, 399}}},
                          {"sni", "sni.example.com"},
                          {"http2", false},
                          {"verify", false},
                          {"min_days", std::int64_t{0}}};
  web.backends = {{*IpAddress::parse("10.0.0.11"), 80, 1, ForwardMethod::dr},
                  {*IpAddress::parse("10.0.0.12"), 8080, 65535, ForwardMethod::nat, 1, CheckList{CheckSpec{}}}};
  web.backends[1].checks->at(0).type = "none";
  web.life = {StartState::up, OnFailure::drain, Milliseconds{15'000}, Milliseconds{60'000},
              FlapRule{4, Milliseconds{30'000}, Milliseconds{300'000}}};
  ASSERT_EQ(config.services.size(), 1U);
  EXPECT_EQ(config.services[0], web);
}

Config service_with(const std::string& keys) {
  return load("interfaces: [wan0]\nservices:\n  - name: web\n" + keys).config;
}

TEST(Parse, CheckDefaultsFollowTheListeners) {
  EXPECT_EQ(service_with("    listen: [\"198.51.100.10:80/tcp\"]\n").services[0].checks[0].type, "tcp");
  EXPECT_EQ(service_with("    listen: [\"198.51.100.10:53/udp\"]\n").services[0].checks[0].type, "none");
  EXPECT_EQ(
      service_with("    listen: [\"198.51.100.10:53/udp\", \"198.51.100.10:53/tcp\"]\n").services[0].checks[0].type,
      "tcp");
  EXPECT_EQ(service_with("    listen: [\"198.51.100.10:53/udp\"]\n    check: {type: tcp}\n").services[0].checks[0].type,
            "tcp");
}

TEST(Parse, EveryParameterWithADefaultIsFilledIn) {
  const std::map<std::string_view, std::string> needed{
      {"send_expect", "expect: x"}, {"dns", "query: x"}, {"exec", "command: [/x]"}};
  for (const CheckType& type : check_types()) {
    const auto key = needed.find(type.name);
    const std::string more = key == needed.end() ? "" : ", " + key->second;
    const CheckSpec check =
        service_with("    listen: [\"198.51.100.10:80/tcp\"]\n    check: {type: " + std::string(type.name) + more +
                     "}\n")
            .services[0]
            .checks.at(0);
    for (const CheckParam& param : type.params) {
      if (more.starts_with(", " + std::string(param.name) + ":")) continue;
      const auto found = check.params.find(std::string(param.name));
      ASSERT_EQ(found != check.params.end(), param.default_value.has_value()) << param.name;
      if (param.default_value) {
        EXPECT_EQ(found->second, *param.default_value) << param.name;
      }
    }
  }
}

TEST(Parse, AProgramAndItsExitStatuses) {
  const CheckSpec check = service_with(
                              "    listen: [\"198.51.100.10:80/tcp\"]\n    check: {type: exec, command: [/bin/a, "
                              "\"80\"], expect_exit: [3-4, 0]}\n")
                              .services[0]
                              .checks.at(0);
  EXPECT_EQ(std::get<std::vector<std::string>>(check.params.at("command")), (std::vector<std::string>{"/bin/a", "80"}));
  EXPECT_EQ(std::get<std::vector<StatusRange>>(check.params.at("expect_exit")),
            (std::vector<StatusRange>{{0, 0}, {3, 4}}));
}

TEST(Parse, TimeoutIsNeverLongerThanAShortInterval) {
  const CheckSpec check =
      service_with("    listen: [\"198.51.100.10:80/tcp\"]\n    check: {interval: 300ms}\n").services[0].checks.at(0);
  EXPECT_EQ(check.timeout, Milliseconds{300});
}

TEST(Parse, BackendsInheritThePort) {
  const std::string listen = "    listen: [\"198.51.100.10:80/tcp\", \"198.51.100.11:443/tcp\"]\n";
  EXPECT_EQ(
      service_with(listen + "    forward: dr\n    backends: [{address: 10.0.0.1}]\n").services[0].backends[0].port, 80);
  EXPECT_EQ(service_with("    listen: [\"198.51.100.10:53/udp\", \"198.51.100.10:53/tcp\"]\n"
                         "    backends: [{address: 10.0.0.1}]\n")
                .services[0]
                .backends[0]
                .port,
            53);
}

// ---- several sources -----------------------------------------------------------------------------------------------

TEST(Sources, ServicesAddUp) {
  const std::vector<Source> sources{
      {"lvs.yaml", "interfaces: [wan0]\nservices: [{name: a, listen: [\"198.51.100.10:80/tcp\"]}]\n"},
      {"conf.d/empty.yaml", "# nothing\n"},
      {"conf.d/b.yaml", "services: [{name: b, listen: [\"198.51.100.10:81/tcp\"]}]\ntimeouts: {udp: 30s}\n"}};
  const auto loaded = parse(sources);
  ASSERT_TRUE(loaded) << all(loaded.error());
  ASSERT_EQ(loaded->config.services.size(), 2U);
  EXPECT_EQ(loaded->config.services[1].name, "b");
  EXPECT_EQ(loaded->config.timeouts.udp, seconds{30});
}

TEST(Sources, OtherKeysOnlyOnce) {
  const std::vector<Source> sources{{"lvs.yaml", "interfaces: [wan0]\nlog_level: info\n"},
                                    {"conf.d/b.yaml", "log_level: info\ninterfaces: [lan0]\n"}};
  const auto loaded = parse(sources);
  ASSERT_FALSE(loaded);
  EXPECT_EQ(all(loaded.error()),
            "conf.d/b.yaml:1:1: key 'log_level' is repeated: it was given at lvs.yaml:2:1 already\n"
            "conf.d/b.yaml:2:1: key 'interfaces' is repeated: it was given at lvs.yaml:1:1 already\n");
}

TEST(Sources, ErrorsOfAllFilesTogetherEachWithItsName) {
  const std::vector<Source> sources{
      {"lvs.yaml", "interfaces: [wan0]\nlog_level: loud\n"},
      {"conf.d/a.yaml", "services: [\n"},
      {"conf.d/b.yaml", "services:\n  - {name: b, listen: [\"198.51.100.10:81/tcp\"]}\n"},
      {"conf.d/c.yaml", "services:\n  - {name: c, listen: [\"198.51.100.10:81/tcp\"]}\n"}};
  const auto loaded = parse(sources);
  ASSERT_FALSE(loaded);
  const std::string text = all(loaded.error());
  ASSERT_EQ(loaded.error().size(), 3U) << text;
  EXPECT_NE(text.find("lvs.yaml:2:12: log_level: unknown value 'loud'"), std::string::npos) << text;
  EXPECT_NE(text.find("conf.d/a.yaml:2:1: YAML syntax"), std::string::npos) << text;
  EXPECT_NE(text.find("conf.d/c.yaml:2:24: service c: listener 198.51.100.10:81/tcp is taken by service b at "
                      "conf.d/b.yaml:2:24"),
            std::string::npos)
      << text;
}

TEST(Sources, NoSourceAtAll) {
  const auto loaded = parse({});
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().size(), 1U);
}

// ---- limits --------------------------------------------------------------------------------------------------------

TEST(Limits, TooLongIsRefusedBeforeReading) {
  const auto loaded = parse_text(std::string((16U << 20) + 1, '#'));
  ASSERT_FALSE(loaded);
  EXPECT_EQ(all(loaded.error()), "lvs.yaml: the configuration is longer than 16 MiB\n");
  EXPECT_EQ(load("interfaces: [wan0] " + std::string(1U << 20, '#')).config.interfaces.size(), 1U);
}

TEST(Limits, ErrorsAreCountedWhenThereAreTooMany) {
  std::string text = "interfaces: [wan0]\n";
  for (int i = 0; i < 1500; ++i) text += "k" + std::to_string(i) + ": 1\n";
  const auto loaded = parse_text(text);
  ASSERT_FALSE(loaded);
  ASSERT_EQ(loaded.error().size(), 1001U);
  EXPECT_EQ(loaded.error().back().to_string(), "lvs.yaml: stopped after 1000 errors");
}

TEST(Limits, MessagesAreFitForATerminal) {
  const auto loaded = parse_text("interfaces: [wan0]\n\"\\e[31m" + std::string(200, 'x') + "\": 1\n");
  ASSERT_FALSE(loaded);
  for (const Diagnostic& diagnostic : loaded.error()) {
    EXPECT_EQ(diagnostic.message.find('\x1b'), std::string::npos);
    EXPECT_LT(diagnostic.message.size(), 400U);
  }
}

TEST(Limits, MoreBackendsThanLcCanCompare) {
  std::string text =
      "interfaces: [wan0]\nservices:\n  - name: web\n    listen: [\"198.51.100.10:80/tcp\"]\n"
      "    scheduler: SCHEDULER\n    backends:\n";
  for (int i = 0; i < 4097; ++i)
    text += "      - {address: 10.0." + std::to_string(i / 256) + "." + std::to_string(i % 256) + ", weight: 2}\n";
  const auto with = [&](const std::string& scheduler) {
    std::string copy = text;
    return parse_text(copy.replace(copy.find("SCHEDULER"), 9, scheduler));
  };
  EXPECT_TRUE(with("mh"));
  for (const char* scheduler : {"lc", "wlc"}) {
    const auto loaded = with(scheduler);
    ASSERT_FALSE(loaded);
    EXPECT_NE(all(loaded.error()).find("4097 backends are more than the scheduler"), std::string::npos);
  }
}

}  // namespace
}  // namespace xlvs::config
