// SPDX-License-Identifier: Apache-2.0
#include "dataplane/registry.h"

#include <gmock/gmock.h>

#include <deque>

namespace xlvs::dataplane {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

Endpoint endpoint(const char* text) {
  return Endpoint::parse(text).value();
}
Listener listener(const char* text) {
  return Listener::parse(text).value();
}

DesiredBackend backend(const char* text, ForwardMethod forward = ForwardMethod::nat) {
  DesiredBackend out;
  out.endpoint = endpoint(text);
  out.forward = forward;
  return out;
}

DesiredService service(const char* name, std::vector<Listener> listeners, std::vector<DesiredBackend> backends) {
  DesiredService out;
  out.name = name;
  out.listeners = std::move(listeners);
  out.backends = std::move(backends);
  return out;
}

DesiredService web() {
  return service("web", {listener("198.51.100.10:80/tcp")}, {backend("10.0.0.11:80"), backend("10.0.0.12:80")});
}

class RegistryTest : public ::testing::Test {
 protected:
  // What XdpDataplane::apply does, without the maps.
  Plan apply(Desired desired, std::uint64_t sweep = 1) {
    auto plan = plan_of(std::move(desired));
    EXPECT_TRUE(plan.has_value()) << plan.error().message;
    if (!plan) return {};
    registry.add(*plan);
    registry.remove(*plan, sweep);
    return *std::move(plan);
  }
  // The plan borrows from what it was made of: kept as long as the test.
  Result<Plan> plan_of(Desired desired) {
    described.push_back(std::move(desired));
    return registry.plan(described.back(), limits);
  }
  std::uint32_t id_of(const char* name, const char* where) {
    for (const auto& [id, installed] : registry.backends())
      if (installed.endpoint == endpoint(where) && registry.services().at(installed.service).name == name) return id;
    return 0;
  }

  std::deque<Desired> described;
  LimitConfig limits;
  Registry registry{20, 20, 20};
};

TEST_F(RegistryTest, PlansNothingForWhatIsInstalled) {
  const Desired desired{{web()}, {}, 0};
  const Plan first = apply(desired);
  ASSERT_THAT(first.services, SizeIs(1));
  EXPECT_TRUE(first.services[0].added);
  const auto second = plan_of(desired);
  ASSERT_TRUE(second);
  EXPECT_TRUE(second->empty());
}

TEST_F(RegistryTest, PlansOnlyTheServiceThatDiffers) {
  DesiredService other = service("dns", {listener("198.51.100.10:53/udp")}, {backend("10.0.0.13:53")});
  apply({{web(), other}, {}, 0});
  other.backends[0].weight = 5;
  const auto plan = plan_of({{web(), other}, {}, 0});
  ASSERT_TRUE(plan);
  ASSERT_THAT(plan->services, SizeIs(1));
  EXPECT_EQ(plan->services[0].desired->name, "dns");
  EXPECT_FALSE(plan->services[0].backends[0].added) << "a new weight keeps the id";
  EXPECT_THAT(plan->removed_backends, IsEmpty());
}

TEST_F(RegistryTest, PlansEverythingAgainWhenTheHashSeedChanges) {
  apply({{web()}, {}, 0});
  const auto plan = plan_of({{web()}, {}, 7});
  ASSERT_TRUE(plan);
  EXPECT_THAT(plan->services, SizeIs(1));
}

TEST_F(RegistryTest, KeepsIdsAndFollowsTheOperatorsOrder) {
  apply({{web()}, {}, 0});
  const std::uint32_t kept = id_of("web", "10.0.0.12:80");
  DesiredService changed = web();
  changed.backends = {backend("10.0.0.13:80"), backend("10.0.0.12:80")};
  apply({{changed}, {}, 0});
  EXPECT_EQ(id_of("web", "10.0.0.12:80"), kept);
  EXPECT_THAT(registry.services().begin()->second.backends, ElementsAre(id_of("web", "10.0.0.13:80"), kept));
  EXPECT_EQ(id_of("web", "10.0.0.11:80"), 0U);
}

TEST_F(RegistryTest, OneEndpointInTwoServicesHasTwoIds) {
  const DesiredService other = service("alt", {listener("198.51.100.11:80/tcp")}, {backend("10.0.0.11:80")});
  apply({{web(), other}, {}, 0});
  EXPECT_NE(id_of("web", "10.0.0.11:80"), id_of("alt", "10.0.0.11:80"));
  EXPECT_THAT(registry.backends_at(IpAddress::parse("10.0.0.11").value()),
              UnorderedElementsAre(id_of("web", "10.0.0.11:80"), id_of("alt", "10.0.0.11:80")));
}

TEST_F(RegistryTest, ARemovedBackendsIdRests) {
  apply({{web()}, {}, 0});
  const std::uint32_t removed = id_of("web", "10.0.0.11:80");
  DesiredService changed = web();
  changed.backends = {backend("10.0.0.12:80")};
  apply({{changed}, {}, 0}, /*sweep=*/4);
  EXPECT_THAT(registry.resting_backends(), ElementsAre(std::pair(removed, registry.services().begin()->first)));

  apply({{web()}, {}, 0});
  EXPECT_NE(id_of("web", "10.0.0.11:80"), removed) << "back before a sweep: flows of then are not flows of now";
  registry.release_backend(removed);
  EXPECT_THAT(registry.resting_backends(), IsEmpty());
}

TEST_F(RegistryTest, BackendsOfARemovedServiceRestWithoutOwner) {
  apply({{web()}, {}, 0});
  const Plan plan = apply({{}, {}, 0});
  EXPECT_THAT(plan.removed_services, SizeIs(1));
  EXPECT_THAT(plan.removed_backends, SizeIs(2));
  EXPECT_THAT(plan.removed_listeners, SizeIs(1));
  for (const auto& [id, owner] : registry.resting_backends()) EXPECT_EQ(owner, 0U) << id;
  EXPECT_TRUE(registry.services().empty());
  EXPECT_TRUE(registry.listeners().empty());
}

TEST_F(RegistryTest, AListenerThatMovesKeepsItsId) {
  apply({{web()}, {}, 0});
  const std::uint32_t id = registry.listeners().at(listener("198.51.100.10:80/tcp")).id;
  DesiredService from = web();
  from.listeners = {listener("198.51.100.10:81/tcp")};
  const DesiredService to = service("new", {listener("198.51.100.10:80/tcp")}, {backend("10.0.0.20:80")});
  const Plan plan = apply({{from, to}, {}, 0});
  EXPECT_THAT(plan.removed_listeners, IsEmpty());
  const InstalledListener& moved = registry.listeners().at(listener("198.51.100.10:80/tcp"));
  EXPECT_EQ(moved.id, id);
  EXPECT_EQ(registry.services().at(moved.service).name, "new");
}

TEST_F(RegistryTest, RealsAreTheNatBackendsByProtocol) {
  DesiredService mixed = service("dns", {listener("198.51.100.10:53/udp"), listener("198.51.100.10:53/tcp")},
                                 {backend("10.0.0.11:53"), backend("10.0.0.12:53", ForwardMethod::dr)});
  apply({{mixed}, {}, 0});
  const Reals reals = registry.reals();
  ASSERT_THAT(reals, SizeIs(2)) << "one backend by nat, two protocols";
  const Real& udp = reals.at({endpoint("10.0.0.11:53"), Protocol::udp});
  EXPECT_EQ(udp.vip, listener("198.51.100.10:53/udp"));
  EXPECT_EQ(udp.listener, registry.listeners().at(udp.vip).id);
  EXPECT_FALSE(udp.shared);
}

TEST_F(RegistryTest, ARealThatSeveralServicesUseIsShared) {
  const DesiredService other = service("alt", {listener("198.51.100.11:80/tcp")}, {backend("10.0.0.11:80")});
  apply({{web(), other}, {}, 0});
  EXPECT_TRUE(registry.reals().at({endpoint("10.0.0.11:80"), Protocol::tcp}).shared);
  EXPECT_FALSE(registry.reals().at({endpoint("10.0.0.12:80"), Protocol::tcp}).shared);
  apply({{web()}, {}, 0});
  EXPECT_FALSE(registry.reals().at({endpoint("10.0.0.11:80"), Protocol::tcp}).shared);
}

TEST_F(RegistryTest, RefusesWhatExceedsALimitAndNamesIt) {
  limits.backends = 1;
  auto plan = plan_of({{web()}, {}, 0});
  ASSERT_FALSE(plan);
  EXPECT_THAT(plan.error().message, HasSubstr("limits.backends"));
  limits = {};
  limits.services = 0;
  plan = plan_of({{web()}, {}, 0});
  ASSERT_FALSE(plan);
  EXPECT_THAT(plan.error().message, HasSubstr("limits.services"));
  limits = {};
  limits.listeners = 0;
  plan = plan_of({{web()}, {}, 0});
  ASSERT_FALSE(plan);
  EXPECT_THAT(plan.error().message, HasSubstr("limits.listeners"));
  EXPECT_TRUE(registry.services().empty());
}

TEST_F(RegistryTest, RefusesWhenAllFreeIdsRest) {
  registry = Registry(4, 4, 2);
  apply({{web()}, {}, 0});
  DesiredService changed = web();
  changed.backends = {backend("10.0.0.21:80")};
  const auto plan = plan_of({{changed}, {}, 0});
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().kind, ErrorKind::unavailable);
  EXPECT_NE(id_of("web", "10.0.0.11:80"), 0U) << "nothing has changed";
}

TEST_F(RegistryTest, RefusesMoreCandidatesThanLeastConnectionCanCompare) {
  DesiredService big = web();
  big.backends.clear();
  for (unsigned i = 0; i <= 4096; ++i)
    big.backends.push_back(backend(fmt::format("10.1.{}.{}:80", i / 256, i % 256).c_str()));
  auto plan = plan_of({{big}, {}, 0});
  ASSERT_FALSE(plan);
  EXPECT_THAT(plan.error().message, HasSubstr("4096"));
  big.scheduler = Scheduler::rr;
  registry = Registry(4, 4, 5000);
  EXPECT_TRUE(plan_of({{big}, {}, 0}));
}

TEST_F(RegistryTest, RefusesDuplicatesAndMixedFamilies) {
  EXPECT_FALSE(plan_of({{web(), web()}, {}, 0}));
  DesiredService other = web();
  other.name = "other";
  EXPECT_FALSE(plan_of({{web(), other}, {}, 0})) << "the same listener";
  DesiredService twice = web();
  twice.backends.push_back(twice.backends.front());
  EXPECT_FALSE(plan_of({{twice}, {}, 0}));
  DesiredService mixed = web();
  mixed.backends.push_back(backend("[2001:db8::1]:80"));
  EXPECT_FALSE(plan_of({{mixed}, {}, 0}));
}

}  // namespace
}  // namespace xlvs::dataplane
