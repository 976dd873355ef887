// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "tests/unit/health/servers.h"

namespace xlvs::health::test {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

class MonitorTest : public HealthTest {
 protected:
  static ServiceConfig service(const std::string& name, const CheckSpec& check, const std::vector<Endpoint>& backends) {
    ServiceConfig service;
    service.name = name;
    service.checks = {check};
    for (const Endpoint& backend : backends) {
      BackendConfig config;
      config.address = backend.address;
      config.port = backend.port;
      service.backends.push_back(config);
    }
    return service;
  }
  static Config config(std::vector<ServiceConfig> services) {
    Config config;
    config.services = std::move(services);
    return config;
  }
  static CheckSpec fast(const std::string& type, unsigned rise = 2, unsigned fall = 3) {
    CheckSpec check = spec(type);
    check.interval = 30ms;
    check.timeout = 30ms;
    check.rise = rise;
    check.fall = fall;
    return check;
  }
  // "web up", "web down": what was reported, in order.
  std::vector<std::string> events_;
  std::function<void()> on_event_;
  Monitor monitor_{loop_, [this](const BackendRef& backend, const Health& health, Life::Change) {
                     EXPECT_TRUE(health.checked);
                     EXPECT_TRUE(health.last.has_value());
                     events_.push_back(backend.service + (health.state == HealthState::up ? " up" : " down"));
                     if (on_event_) on_event_();
                   }};
};

using Events = std::vector<std::string>;

TEST_F(MonitorTest, FirstPassBringsUpAndFallFailuresTakeDown) {
  Server server(loop_, never_answer());
  const BackendRef backend{"web", server.endpoint()};
  monitor_.set(config({service("web", fast("tcp"), {backend.endpoint})}));
  EXPECT_FALSE(monitor_.is_up(backend));
  EXPECT_FALSE(monitor_.find(backend)->checked);
  run_until("up", [&] { return monitor_.is_up(backend); });
  EXPECT_EQ(monitor_.find(backend)->checks_passed, 1U);
  server.stop();
  run_until("down", [&] { return !monitor_.is_up(backend); });
  const Health& health = *monitor_.find(backend);
  EXPECT_EQ(health.failures, 3U);
  EXPECT_EQ(health.checks_failed, 3U);
  EXPECT_EQ(health.last->reason, "refused");
  EXPECT_LT(std::chrono::system_clock::now() - health.since, 1s);
  EXPECT_EQ(events_, (Events{"web up", "web down"}));
}

TEST_F(MonitorTest, RiseBringsBackUp) {
  int answers = 0;  // the first fails, then all pass
  Server server(loop_, [&](tcp::socket socket) -> awaitable<void> {
    const std::string reply = ++answers == 1 ? with_status(503) : ok();
    const Server::Script script = answer(reply);
    co_await script(std::move(socket));
  });
  const BackendRef backend{"web", server.endpoint()};
  CheckSpec check = fast("http", 3);
  check.timeout = 5s;
  monitor_.set(config({service("web", check, {backend.endpoint})}));
  run_until("down", [&] { return monitor_.find(backend)->checked; });
  EXPECT_EQ(monitor_.find(backend)->last->detail, "HTTP status 503, expected 200-299");
  run_until("up", [&] { return monitor_.is_up(backend); });
  EXPECT_EQ(answers, 4);
  EXPECT_EQ(events_, (Events{"web down", "web up"}));
}

TEST_F(MonitorTest, ASingleBackendIsCheckedAtOnceAndThenInItsRhythm) {
  std::vector<Clock::time_point> times;
  const Server server(loop_, [&](tcp::socket) -> awaitable<void> {
    times.push_back(Clock::now());
    co_return;
  });
  CheckSpec check = spec("tcp");
  check.interval = 100ms;
  const auto begin = Clock::now();
  monitor_.set(config({service("web", check, {server.endpoint()})}));
  run_until("six checks", [&] { return times.size() == 6; });
  EXPECT_LT(times.front() - begin, 95ms) << "not one interval later";
  EXPECT_GE(times.back() - times.front(), 450ms);
  EXPECT_LT(times.back() - times.front(), 750ms);
}

TEST_F(MonitorTest, TheRhythmGoesFromStartToStart) {
  // Each check takes its timeout of 80 ms; with an interval of 100 ms ten of them take one second, not two.
  const Server server(loop_, never_answer());
  CheckSpec check = spec("http");
  check.interval = 100ms;
  check.timeout = 80ms;
  const auto begin = Clock::now();
  const BackendRef backend{"web", server.endpoint()};
  monitor_.set(config({service("web", check, {backend.endpoint})}));
  run_until("ten checks", [&] { return monitor_.find(backend)->checks_failed == 10; });
  EXPECT_LT(Clock::now() - begin, 1500ms);
  EXPECT_EQ(monitor_.find(backend)->last->reason, "timeout");
}

TEST_F(MonitorTest, ChecksThatAreHeldUpAreNotStacked) {
  const Server server(loop_, answer(""));
  const BackendRef backend{"web", server.endpoint()};
  CheckSpec check = spec("tcp");
  check.interval = 50ms;
  monitor_.set(config({service("web", check, {backend.endpoint})}));
  run_until("up", [&] { return monitor_.is_up(backend); });
  const auto before = monitor_.find(backend)->checks_passed;
  const auto wake = Clock::now() + 500ms;
  while (Clock::now() < wake) {  // the event loop is held up for ten intervals
  }
  run_until("another check", [&] { return monitor_.find(backend)->checks_passed > before; });
  EXPECT_LE(monitor_.find(backend)->checks_passed, before + 2);
}

TEST_F(MonitorTest, ManyNewChecksAreSpread) {
  std::vector<Clock::time_point> times;
  const Server server(loop_, [&](tcp::socket) -> awaitable<void> {
    times.push_back(Clock::now());
    co_return;
  });
  std::vector<ServiceConfig> services;
  for (unsigned i = 0; i < 300; ++i) {
    CheckSpec check = spec("tcp");
    check.interval = 1h;
    check.rise = 1 + i;  // so that none is shared
    services.push_back(service("web" + std::to_string(i), check, {server.endpoint()}));
  }
  const auto begin = Clock::now();
  monitor_.set(config(services));
  run_until("all checked", [&] { return times.size() == 300; });
  // 300 uniform times in 300 ms: fewer than 60 in a half has a probability below 1e-25.
  const auto early = std::count_if(times.begin(), times.end(), [&](auto time) { return time < begin + 150ms; });
  EXPECT_LT(early, 240);
  EXPECT_GE(times.back() - begin, 150ms);
}

// The mark is left out, which needs rights: without it these ask the server itself.
TEST_F(MonitorTest, ChecksOfTwoVipsAreNotSharedAndSayWhichOneFailed) {
  int asked = 0;
  Server server(loop_, [&](tcp::socket) -> awaitable<void> {
    ++asked;
    co_return;
  });
  CheckSpec one = spec("tcp");
  one.via = IpAddress::v4({198, 51, 100, 10});
  CheckSpec other = one;
  other.via = IpAddress::v4({198, 51, 100, 11});
  const std::vector<Endpoint> backends{server.endpoint()};
  monitor_.set(config({service("a", one, backends), service("b", one, backends), service("c", other, backends)}));
  run_until("all up", [&] {
    return monitor_.is_up({"a", backends[0]}) && monitor_.is_up({"b", backends[0]}) &&
           monitor_.is_up({"c", backends[0]});
  });
  run_for(50ms);
  EXPECT_EQ(asked, 2);
  server.stop();
  CheckSpec third = fast("tcp");
  third.via = one.via;
  const BackendRef refused{"d", backends[0]};
  monitor_.set(config({service("d", third, backends)}));
  run_until("down", [&] { return monitor_.find(refused)->checked; });
  EXPECT_EQ(monitor_.find(refused)->last->detail,
            fmt::format("at VIP 198.51.100.10:{} on this server: connect: Connection refused", backends[0].port));
}

TEST_F(MonitorTest, TypeNoneIsUpWithoutAsking) {
  const BackendRef backend{"web", closed_port(loop_)};
  monitor_.set(config({service("web", spec("none"), {backend.endpoint})}));
  EXPECT_TRUE(monitor_.is_up(backend));
  run_for(50ms);
  EXPECT_EQ(monitor_.find(backend)->checks_failed, 0U);
  EXPECT_TRUE(events_.empty());
}

TEST_F(MonitorTest, ChecksTheCheckPort) {
  const Server server(loop_, never_answer());
  CheckSpec check = fast("tcp");
  check.port = server.endpoint().port;
  const BackendRef backend{"web", {server.endpoint().address, 1}};
  monitor_.set(config({service("web", check, {backend.endpoint})}));
  run_until("up", [&] { return monitor_.is_up(backend); });
}

TEST_F(MonitorTest, UnknownBackendsAreNeitherFoundNorUp) {
  const BackendRef backend{"web", closed_port(loop_)};
  EXPECT_EQ(monitor_.find(backend), nullptr);
  EXPECT_FALSE(monitor_.is_up(backend));
}

TEST_F(MonitorTest, AdoptedStatesHoldUntilTheChecksSayOtherwise) {
  const Server server(loop_, never_answer());
  const BackendRef fine{"fine", closed_port(loop_)};
  const BackendRef broken{"broken", server.endpoint()};
  const auto since = std::chrono::system_clock::now() - 24h;
  monitor_.set(config({service("fine", fast("tcp", 2, 3), {fine.endpoint}),
                       service("broken", fast("tcp", 3, 3), {broken.endpoint})}),
               {{fine, {LifeState::up, since}}, {broken, {LifeState::down, since}}});
  EXPECT_TRUE(monitor_.is_up(fine));
  EXPECT_FALSE(monitor_.is_up(broken));
  EXPECT_TRUE(monitor_.find(fine)->checked);
  EXPECT_EQ(monitor_.find(fine)->since, since);
  run_until("both turned", [&] { return events_.size() == 2; });
  EXPECT_EQ(monitor_.find(fine)->checks_failed, 3U);
  EXPECT_EQ(monitor_.find(broken)->checks_passed, 3U);
  EXPECT_FALSE(monitor_.is_up(fine));
  EXPECT_TRUE(monitor_.is_up(broken));
}

TEST_F(MonitorTest, ReloadKeepsWhatIsUnchangedAndStopsWhatIsGone) {
  const Server stays(loop_, never_answer());
  const Server goes(loop_, never_answer());
  const BackendRef first{"web", stays.endpoint()};
  const BackendRef second{"web", goes.endpoint()};
  monitor_.set(config({service("web", fast("tcp"), {first.endpoint, second.endpoint})}));
  run_until("both up", [&] { return monitor_.is_up(first) && monitor_.is_up(second); });
  const Health before = *monitor_.find(first);
  monitor_.set(config({service("web", fast("tcp"), {first.endpoint})}));
  EXPECT_TRUE(monitor_.is_up(first));
  EXPECT_EQ(monitor_.find(first)->checks_passed, before.checks_passed);
  EXPECT_EQ(monitor_.find(second), nullptr);
  const int connections = goes.connections();
  run_until("more checks", [&] { return monitor_.find(first)->checks_passed >= before.checks_passed + 3; });
  EXPECT_LE(goes.connections(), connections + 1) << "one may have been under way";
  EXPECT_EQ(events_.size(), 2U);
}

TEST_F(MonitorTest, AChangedCheckKeepsTheStateUntilItKnowsBetter) {
  Server server(loop_, answer(with_status(500)));
  const BackendRef backend{"web", server.endpoint()};
  monitor_.set(config({service("web", fast("tcp"), {backend.endpoint})}));
  run_until("up", [&] { return monitor_.is_up(backend); });
  const auto passed = monitor_.find(backend)->checks_passed;
  CheckSpec check = fast("http", 2, 2);
  check.timeout = 5s;
  monitor_.set(config({service("web", check, {backend.endpoint})}));
  EXPECT_TRUE(monitor_.is_up(backend));
  EXPECT_EQ(monitor_.find(backend)->checks_passed, passed) << "counters never go back";
  run_until("down", [&] { return !monitor_.is_up(backend); });
  EXPECT_EQ(monitor_.find(backend)->checks_failed, 2U);
  EXPECT_EQ(monitor_.find(backend)->last->reason, "status");
}

TEST_F(MonitorTest, SwitchingTheCheckOffBringsUp) {
  const BackendRef backend{"web", closed_port(loop_)};
  monitor_.set(config({service("web", fast("tcp"), {backend.endpoint})}));
  run_until("down", [&] { return !events_.empty(); });
  monitor_.set(config({service("web", spec("none"), {backend.endpoint})}));
  EXPECT_TRUE(monitor_.is_up(backend));
}

TEST_F(MonitorTest, ServicesWithTheSameCheckShareIt) {
  const Server server(loop_, never_answer());
  CheckSpec check = spec("tcp");
  check.interval = 1h;
  CheckSpec other = check;
  other.rise = 7;
  monitor_.set(config({service("a", check, {server.endpoint()}), service("b", check, {server.endpoint()}),
                       service("c", other, {server.endpoint()})}));
  run_until("three up", [&] { return events_.size() == 3; });
  run_for(50ms);
  EXPECT_EQ(server.connections(), 2);
  std::sort(events_.begin(), events_.end());
  EXPECT_EQ(events_, (Events{"a up", "b up", "c up"}));
  // One user goes; the other's check goes on, and a new one joins with the state there is.
  monitor_.set(config({service("b", check, {server.endpoint()}), service("d", check, {server.endpoint()})}));
  EXPECT_TRUE(monitor_.is_up({"d", server.endpoint()}));
  EXPECT_EQ(monitor_.find({"a", server.endpoint()}), nullptr);
  run_for(50ms);
  EXPECT_EQ(server.connections(), 2);
}

TEST_F(MonitorTest, AReportMayChangeTheConfiguration) {
  const Server server(loop_, never_answer());
  on_event_ = [&] { monitor_.set(Config{}); };
  monitor_.set(
      config({service("a", fast("tcp"), {server.endpoint()}), service("b", fast("tcp"), {server.endpoint()})}));
  run_until("a report", [&] { return !events_.empty(); });
  run_for(100ms);
  EXPECT_EQ(events_.size(), 1U);
}

TEST_F(MonitorTest, AllChecksOfABackendMustPass) {
  Server fine(loop_, never_answer());
  Server other(loop_, never_answer());
  ServiceConfig web = service("web", fast("tcp"), {fine.endpoint()});
  web.checks.push_back(fast("tcp"));
  web.checks[1].port = other.endpoint().port;
  const BackendRef backend{"web", fine.endpoint()};
  monitor_.set(config({web}));
  run_until("up", [&] { return monitor_.is_up(backend); });
  other.stop();
  run_until("down", [&] { return !monitor_.is_up(backend); });
  const Health& health = *monitor_.find(backend);
  ASSERT_EQ(health.checks.size(), 2U);
  EXPECT_EQ(health.checks[0].state, HealthState::up);
  EXPECT_EQ(health.checks[1].state, HealthState::down);
  EXPECT_EQ(health.checks[1].results.at("refused"), 3U);
  EXPECT_EQ(health.deciding, "tcp:" + std::to_string(*web.checks[1].port));
  EXPECT_EQ(health.last->reason, "refused") << "passes of the other check do not hide it";
  EXPECT_EQ(events_, (Events{"web up", "web down"}));
}

TEST_F(MonitorTest, ABackendMayHaveChecksOfItsOwn) {
  Server server(loop_, never_answer());
  ServiceConfig web = service("web", fast("tcp"), {closed_port(loop_), server.endpoint()});
  web.backends[0].checks = CheckList{};
  monitor_.set(config({web}));
  EXPECT_TRUE(monitor_.is_up({"web", web.backends[0].endpoint()}));
  run_until("the other up", [&] { return monitor_.is_up({"web", server.endpoint()}); });
  EXPECT_EQ(events_, (Events{"web up"}));
}

TEST_F(MonitorTest, AsksFasterWhileUndecided) {
  Server server(loop_, never_answer());
  CheckSpec check = spec("tcp");
  check.interval = 1h;
  check.fast_interval = 30ms;
  check.fall = 1;
  check.rise = 3;
  const BackendRef backend{"web", server.endpoint()};
  monitor_.set(config({service("web", check, {backend.endpoint})}),
               {{backend, {LifeState::down, std::chrono::system_clock::now()}}});
  run_until("up", [&] { return monitor_.is_up(backend); });
  run_until("the server has seen all", [&] { return server.connections() == 3; });
  run_for(150ms);
  EXPECT_EQ(server.connections(), 3) << "decided: an hour to go";
}

TEST_F(MonitorTest, SlowStartIsReportedStepByStepAndRemembered) {
  Server server(loop_, never_answer());
  ServiceConfig web = service("web", fast("tcp", 1, 1), {server.endpoint()});
  web.life.slow_start = 400ms;
  const BackendRef backend{"web", server.endpoint()};
  std::vector<std::uint32_t> shares;
  on_event_ = [&] { shares.push_back(monitor_.find(backend)->permille); };
  monitor_.set(config({web}), {{backend, {LifeState::down, std::chrono::system_clock::now()}}});
  run_until("slow start", [&] { return monitor_.is_up(backend); });
  EXPECT_EQ(monitor_.find(backend)->life, LifeState::slow_start);
  const auto memory = monitor_.memory(backend);
  ASSERT_TRUE(memory);
  EXPECT_LT(std::chrono::system_clock::now() - memory->mark, 1s);
  run_until("up", [&] { return monitor_.find(backend)->life == LifeState::up; });
  EXPECT_EQ(shares, (std::vector<std::uint32_t>{250, 500, 750, 1000, 1000})) << "the last one is the change to up";

  Monitor next(loop_, [](const BackendRef&, const Health&, Life::Change) {});
  web.life.slow_start = 1h;
  next.set(config({web}), {{backend, *memory}});
  EXPECT_EQ(next.find(backend)->life, LifeState::slow_start) << "goes on where the earlier one was";
}

TEST_F(MonitorTest, OnlyABackendThatJoinsARunningServiceStartsSlowly) {
  Server first(loop_, never_answer());
  Server second(loop_, never_answer());
  ServiceConfig web = service("web", fast("tcp"), {first.endpoint()});
  web.life.slow_start = 1h;
  monitor_.set(config({web}));
  run_until("up", [&] { return monitor_.is_up({"web", first.endpoint()}); });
  EXPECT_EQ(monitor_.find({"web", first.endpoint()})->life, LifeState::up);
  web = service("web", fast("tcp"), {first.endpoint(), second.endpoint()});
  web.life.slow_start = 1h;
  monitor_.set(config({web}));
  run_until("the second", [&] { return monitor_.is_up({"web", second.endpoint()}); });
  EXPECT_EQ(monitor_.find({"web", second.endpoint()})->life, LifeState::slow_start);
  EXPECT_EQ(monitor_.find({"web", second.endpoint()})->permille, 50U);
}

TEST_F(MonitorTest, DestroyedInTheMiddle) {
  const Server server(loop_, never_answer());
  int reports = 0;
  {
    Monitor monitor(loop_, [&](const BackendRef&, const Health&, Life::Change) { ++reports; });
    monitor.set(
        config({service("a", fast("http"), {server.endpoint()}), service("b", fast("tcp"), {server.endpoint()})}));
    run_until("a connection", [&] { return server.connections() > 0; });
    reports = 0;
  }
  run_for(100ms);
  EXPECT_EQ(reports, 0);
}

}  // namespace
}  // namespace xlvs::health::test
