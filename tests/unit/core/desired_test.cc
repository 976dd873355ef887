// SPDX-License-Identifier: Apache-2.0
#include "core/desired.h"

#include "core/maintenance.h"

#include <gtest/gtest.h>

namespace xlvs {
namespace {

Endpoint endpoint(const char* text) {
  return *Endpoint::parse(text);
}

BackendConfig backend(const char* text, std::uint32_t weight = 1) {
  const Endpoint where = endpoint(text);
  return {where.address, where.port, weight, ForwardMethod::nat};
}

Config two_services() {
  Config config;
  config.hash_seed = 7;
  config.timeouts.udp = std::chrono::seconds{30};
  ServiceConfig web;
  web.name = "web";
  web.listeners = {*Listener::parse("198.51.100.10:80/tcp")};
  web.scheduler = Scheduler::mh;
  web.hash_port = web.hash_fallback = web.sloppy_tcp = true;
  web.no_flow = NoFlowPolicy::drop;
  web.flows_on_failure = FlowsOnFailure::drop;
  web.backends = {backend("10.0.0.11:8080", 3), backend("10.0.0.12:8080"), backend("10.0.0.13:8080", 0)};
  web.backends[1].forward = ForwardMethod::dr;
  ServiceConfig empty;
  empty.name = "empty";
  empty.listeners = {*Listener::parse("198.51.100.10:81/tcp")};
  config.services = {web, empty};
  return config;
}

Fitness always_up(const BackendRef& /*ref*/) {
  return {};
}

TEST(Desired, CarriesTheConfiguration) {
  const Config config = two_services();
  const Desired desired = compute_plan(config, {}, always_up).desired;
  EXPECT_EQ(desired.hash_seed, 7U);
  EXPECT_EQ(desired.timeouts, config.timeouts);
  ASSERT_EQ(desired.services.size(), 2U);
  const DesiredService& web = desired.services[0];
  EXPECT_EQ(web.name, "web");
  EXPECT_EQ(web.listeners, config.services[0].listeners);
  EXPECT_EQ(web.scheduler, Scheduler::mh);
  EXPECT_TRUE(web.hash_port && web.hash_fallback && web.sloppy_tcp);
  EXPECT_EQ(web.no_flow, NoFlowPolicy::drop);
  EXPECT_EQ(web.flows_on_failure, FlowsOnFailure::drop);
  ASSERT_EQ(web.backends.size(), 3U);
  EXPECT_EQ(web.backends[0], (DesiredBackend{endpoint("10.0.0.11:8080"), ForwardMethod::nat, 3, true, 0}));
  EXPECT_EQ(web.backends[1], (DesiredBackend{endpoint("10.0.0.12:8080"), ForwardMethod::dr, 1, true, 0}));
  EXPECT_EQ(web.backends[2].weight, 0U);
  EXPECT_TRUE(desired.services[1].backends.empty());
}

TEST(Desired, HealthIsAskedOncePerBackend) {
  std::map<BackendRef, int> asked;
  const Desired desired = compute_plan(two_services(), {}, [&](const BackendRef& ref) {
                            ++asked[ref];
                            return Fitness{ref.endpoint != endpoint("10.0.0.12:8080"), 1000, {}};
                          }).desired;
  EXPECT_EQ(asked.size(), 3U);
  for (const auto& [ref, times] : asked) EXPECT_EQ(times, 1) << ref.endpoint.to_string();
  EXPECT_TRUE(desired.services[0].backends[0].up);
  EXPECT_FALSE(desired.services[0].backends[1].up);
  EXPECT_EQ(desired.services[0].backends[1].weight, 1U) << "a failed check is not a drain";
}

struct OverrideCase {
  const char* name;
  std::uint32_t configured;
  Override change;
  std::uint32_t weight;
  std::uint32_t before_drain;
};

TEST(Desired, OverridesWin) {
  const std::vector<OverrideCase> cases{
      {"none", 3, {}, 3, 0},
      {"weight", 3, {false, 10}, 10, 0},
      {"drained", 3, {true, std::nullopt}, 0, 3},
      {"drained, with another weight", 3, {true, 10}, 0, 10},
      {"weight 0", 3, {false, 0}, 0, 3},
      {"configured 0", 0, {}, 0, 0},
      {"configured 0, raised", 0, {false, 5}, 5, 0},
  };
  for (const OverrideCase& c : cases) {
    SCOPED_TRACE(c.name);
    Config config = two_services();
    config.services[0].backends[0].weight = c.configured;
    const Desired desired = compute_plan(config, {{{"web", endpoint("10.0.0.11:8080")}, c.change}}, always_up).desired;
    EXPECT_EQ(desired.services[0].backends[0].weight, c.weight);
    EXPECT_EQ(desired.services[0].backends[0].weight_before_drain, c.before_drain);
    EXPECT_EQ(desired.services[0].backends[1].weight, 1U);
  }
}

TEST(Desired, OverridesOfAbsentBackendsAreIgnored) {
  const Overrides overrides{{{"web", endpoint("10.0.0.99:8080")}, {true, std::nullopt}},
                            {{"gone", endpoint("10.0.0.11:8080")}, {true, std::nullopt}},
                            {{"web", endpoint("10.0.0.11:81")}, {true, std::nullopt}}};
  EXPECT_EQ(compute_plan(two_services(), overrides, always_up).desired,
            compute_plan(two_services(), {}, always_up).desired);
}

// What the data plane gets for "web" when each backend is as fit as `fit` says.
std::vector<DesiredBackend> backends_of(const Config& config, const std::map<std::string, Fitness>& fit,
                                        const Overrides& overrides = {}) {
  return compute_plan(config, overrides,
                      [&](const BackendRef& ref) {
                        const auto found = fit.find(ref.endpoint.to_string());
                        return found == fit.end() ? Fitness{} : found->second;
                      })
      .desired.services.at(0)
      .backends;
}

std::vector<std::uint32_t> weights(const std::vector<DesiredBackend>& backends) {
  std::vector<std::uint32_t> result;
  for (const DesiredBackend& backend : backends) result.push_back(backend.up ? backend.weight : 0);
  return result;
}

TEST(Desired, SharesScaleAllWeightsOfTheService) {
  using Weights = std::vector<std::uint32_t>;
  Config config = two_services();
  config.services[0].backends[2].weight = 2;
  EXPECT_EQ(weights(backends_of(config, {{"10.0.0.12:8080", {true, 50, {}}}})), (Weights{300, 5, 200}));
  EXPECT_EQ(weights(backends_of(config, {{"10.0.0.12:8080", {true, 1, {}}}})), (Weights{300, 1, 200})) << "never 0";
  EXPECT_EQ(weights(backends_of(config, {{"10.0.0.12:8080", {true, 0, {}}}})), (Weights{3, 0, 2})) << "but asked for";
  EXPECT_EQ(weights(backends_of(config, {{"10.0.0.12:8080", {true, 1000, 7}}})), (Weights{3, 7, 2}));
  EXPECT_EQ(weights(backends_of(config, {{"10.0.0.12:8080", {true, 2500, {}}}})), (Weights{300, 250, 200}));
  config.services[0].backends[0].weight = 65535;
  EXPECT_EQ(weights(backends_of(config, {{"10.0.0.12:8080", {true, 500, {}}}})), (Weights{65535, 1, 2}));
}

TEST(Desired, TheOperatorsWeightGoesBeforeTheServers) {
  const Overrides overrides{{{"web", endpoint("10.0.0.12:8080")}, {false, 5}}};
  EXPECT_EQ(backends_of(two_services(), {{"10.0.0.12:8080", {true, 1000, 7}}}, overrides)[1].weight, 5U);
}

TEST(Desired, AFailedBackendMayBeQuiesced) {
  Config config = two_services();
  config.services[0].life.on_failure = OnFailure::drain;
  const auto backends = backends_of(config, {{"10.0.0.11:8080", {false, 1000, {}}}});
  EXPECT_TRUE(backends[0].up);
  EXPECT_TRUE(backends[0].failed);
  EXPECT_EQ(backends[0].weight, 0U);
  EXPECT_EQ(backends[0].weight_before_drain, 3U) << "a hash scheduler keeps its slots";
  EXPECT_EQ(backends[1].weight, 1U);
}

TEST(Desired, TheOperatorsWordOnHealth) {
  const Overrides overrides{{{"web", endpoint("10.0.0.11:8080")}, {.forced = Forced::up}},
                            {{"web", endpoint("10.0.0.12:8080")}, {.disabled = true}}};
  const auto backends = backends_of(two_services(), {{"10.0.0.11:8080", {false, 1000, {}}}}, overrides);
  EXPECT_TRUE(backends[0].up);
  EXPECT_FALSE(backends[0].failed);
  EXPECT_FALSE(backends[1].up);
  EXPECT_TRUE(backends[1].failed);
}

// N2: the sorry server is one of the backends.
TEST(Desired, ABackendThatSaysSorryIsTheLastResortWhateverItsChecksSay) {
  Config config = two_services();
  config.services[0].backends.pop_back();
  config.services[0].backends[1].sorry = true;
  const auto plan = [&](bool first, Fitness second, const Overrides& overrides = {}) {
    return compute_plan(config, overrides, [=](const BackendRef& ref) {
      return ref.endpoint == endpoint("10.0.0.11:8080") ? Fitness{first, 1000, {}} : second;
    });
  };
  const Fitness dead{false, 1000, {}};
  for (const OnFailure action : {OnFailure::remove, OnFailure::drain}) {
    config.services[0].life.on_failure = action;
    Plan now = plan(true, dead);
    EXPECT_EQ(now.pools.at("web").tier, 0U);
    EXPECT_TRUE(now.desired.services[0].backends[1].failed);
    now = plan(false, dead);
    EXPECT_EQ(now.pools.at("web").tier, kSorryTier);
    const DesiredBackend& sorry = now.desired.services[0].backends[1];
    EXPECT_TRUE(sorry.up);
    EXPECT_EQ(sorry.weight, 1U);
    EXPECT_FALSE(sorry.failed) << "its flows are not ended, new ones go to it";
    EXPECT_TRUE(now.desired.services[0].backends[0].failed);
  }
  // Its own word on its weight does not count, nor does weight 0: then it is nothing else.
  EXPECT_EQ(plan(false, {true, 0, {}}).desired.services[0].backends[1].weight, 1U);
  config.services[0].backends[1].weight = 0;
  EXPECT_EQ(plan(true, {}).pools.at("web").tier, 0U);
  EXPECT_EQ(plan(true, {}).desired.services[0].backends[1].weight, 0U);
  EXPECT_EQ(plan(false, {}).desired.services[0].backends[1].weight, 1U);
  // The operator's word does.
  const BackendRef ref{"web", endpoint("10.0.0.12:8080")};
  EXPECT_FALSE(plan(false, dead, {{ref, {.drained = true}}}).pools.at("web").tier);
  EXPECT_FALSE(plan(false, dead, {{ref, {.disabled = true}}}).pools.at("web").tier);
  EXPECT_FALSE(plan(false, dead, {{ref, {.forced = Forced::down}}}).pools.at("web").tier);
}

// Otherwise the panic would reset or mute every connection of the servers that it uses.
TEST(Desired, APanicDoesNotFailTheServersThatItUses) {
  Config config = two_services();
  config.services[0].pool.panic = 50;
  const BackendRef out{"web", endpoint("10.0.0.12:8080")};
  const Plan plan =
      compute_plan(config, {{out, {.disabled = true}}}, [](const BackendRef&) { return Fitness{false, 1000, {}}; });
  ASSERT_TRUE(plan.pools.at("web").panic);
  for (const DesiredBackend& backend : plan.desired.services[0].backends)
    EXPECT_EQ(backend.failed, !backend.up) << backend.endpoint.to_string();
  EXPECT_TRUE(plan.desired.services[0].backends[0].up);
  EXPECT_TRUE(plan.desired.services[0].backends[1].failed) << "the operator took it out";
}

TEST(Maintenance, NamesAnAddressAnEndpointOrAService) {
  const Config config = two_services();
  const auto disabled = [&](const char* name) {
    std::string result;
    for (const auto& [ref, change] : with_maintenance(config, {}, {{name, ""}}))
      if (change.disabled) result += ref.endpoint.to_string() + " ";
    return result;
  };
  EXPECT_EQ(disabled("10.0.0.11"), "10.0.0.11:8080 ");
  EXPECT_EQ(disabled("10.0.0.12:8080"), "10.0.0.12:8080 ");
  EXPECT_EQ(disabled("10.0.0.12:80"), "");
  EXPECT_EQ(disabled("web"), "10.0.0.11:8080 10.0.0.12:8080 10.0.0.13:8080 ");
  EXPECT_EQ(disabled("README"), "");
}

TEST(Maintenance, KeepsWhatTheOperatorSaid) {
  const Overrides before{{{"web", endpoint("10.0.0.11:8080")}, {false, 9}}};
  const Overrides after = with_maintenance(two_services(), before, {{"10.0.0.11", "new disk"}});
  EXPECT_EQ(after.at({"web", endpoint("10.0.0.11:8080")}).weight, 9U);
  EXPECT_TRUE(after.at({"web", endpoint("10.0.0.11:8080")}).disabled);
}

}  // namespace
}  // namespace xlvs
