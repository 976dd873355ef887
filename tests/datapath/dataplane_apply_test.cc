// SPDX-License-Identifier: Apache-2.0
// A description becomes maps, and a changed description only what changed.
#include "tests/datapath/dataplane_fixture.h"

namespace xlvs::dataplane {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

class Apply : public DataplaneTest {
 protected:
  void SetUp() override {
    DataplaneTest::SetUp();
    open();
  }
  // The listener entry's service, or -1.
  [[nodiscard]] int service_at(const std::string& text) const {
    const Listener wanted = listener(text);
    const auto protocol = static_cast<std::uint8_t>(wanted.protocol);
    if (wanted.address.is_v4()) return find<lvs_key4>("listeners4", key4(wanted.address, wanted.port, protocol));
    return find<lvs_key6>("listeners6", key6(wanted.address, wanted.port, protocol));
  }
  [[nodiscard]] bool is_vip(const std::string& text) const {
    const IpAddress wanted = address(text);
    return wanted.is_v4() ? find<lvs_key4>("listeners4", key4(wanted, 0, 0)) == 0
                          : find<lvs_key6>("listeners6", key6(wanted, 0, 0)) == 0;
  }
  [[nodiscard]] std::vector<std::uint32_t> table(const std::string& name) const {
    return maps().table(service_id(name));
  }
  [[nodiscard]] const lvs_backend& record(const std::string& name, const std::string& where) const {
    return maps().backends[backend_id(name, where)];
  }
  [[nodiscard]] std::optional<lvs_real> real(const std::string& where, Protocol protocol) const {
    const Endpoint wanted = endpoint(where);
    const lvs_key4 key = key4(wanted.address, wanted.port, static_cast<std::uint8_t>(protocol));
    for (const auto& [found, value] : maps().entries<lvs_key4, lvs_real>("reals4"))
      if (std::memcmp(&found, &key, sizeof(key)) == 0) return value;
    return std::nullopt;
  }

 private:
  template <typename Key>
  [[nodiscard]] int find(const char* map, const Key& key) const {
    for (const auto& [found, value] : maps().entries<Key, lvs_listener>(map))
      if (std::memcmp(&found, &key, sizeof(Key)) == 0) return static_cast<int>(value.service);
    return -1;
  }
};

DesiredService web() {
  return service("web", {"198.51.100.10:80/tcp", "198.51.100.11:80/tcp"},
                 {backend("10.0.0.11:8080"), backend("10.0.0.12:8080")}, Scheduler::rr);
}
DesiredService dns() {
  return service("dns", {"[2001:db8::10]:53/udp"}, {backend("[2001:db8:1::1]:53"), backend("[2001:db8:1::2]:53")},
                 Scheduler::wlc);
}

TEST_F(Apply, WritesAllThatAPacketNeeds) {
  apply(desired({web(), dns()}));
  EXPECT_EQ(summary.services_added, 2U);
  EXPECT_EQ(summary.backends_added, 4U);

  const std::uint32_t id = service_id("web");
  EXPECT_EQ(service_at("198.51.100.10:80/tcp"), static_cast<int>(id));
  EXPECT_EQ(service_at("198.51.100.11:80/tcp"), static_cast<int>(id));
  EXPECT_EQ(service_at("198.51.100.10:80/udp"), -1);
  EXPECT_TRUE(is_vip("198.51.100.10"));
  EXPECT_TRUE(is_vip("2001:db8::10"));
  EXPECT_EQ(maps().services[id].pick, LVS_PICK_CURSOR);
  EXPECT_EQ(decode_name(maps().names[id]), "web");
  EXPECT_THAT(table("web"),
              UnorderedElementsAre(backend_id("web", "10.0.0.11:8080"), backend_id("web", "10.0.0.12:8080")));

  const lvs_backend& one = record("web", "10.0.0.11:8080");
  EXPECT_EQ(one.flags, LVS_BACKEND_VALID);
  EXPECT_EQ(one.method, LVS_METHOD_NAT);
  EXPECT_EQ(one.service, id);
  EXPECT_EQ(one.port, htons(8080));
  EXPECT_EQ(one.sum, address_sum(address("10.0.0.11"), 8080));
  EXPECT_EQ(one.hop, 0U) << "not resolved yet";

  const lvs_vip& vip = maps().vips[listener_id("[2001:db8::10]:53/udp")];
  EXPECT_EQ(vip.family, AF_INET6);
  EXPECT_EQ(vip.sum, address_sum(address("2001:db8::10"), 53));
}

TEST_F(Apply, TheSameAgainWritesNothing) {
  apply(desired({web(), dns()}));
  const std::uint64_t before = maps().writes();
  apply(desired({web(), dns()}));
  EXPECT_FALSE(summary.changed());
  EXPECT_EQ(maps().writes(), before);
}

TEST_F(Apply, AnotherServiceIsNotTouchedByAChange) {
  apply(desired({web()}));
  const std::uint64_t alone = maps().writes();
  DesiredService changed = web();
  changed.backends[0].weight = 3;
  apply(desired({changed}));
  const std::uint64_t cost = maps().writes() - alone;

  apply(desired({web(), dns()}));
  const std::uint64_t before = maps().writes();
  apply(desired({changed, dns()}));
  EXPECT_EQ(maps().writes() - before, cost) << "the same change costs the same, whatever else there is";
  EXPECT_EQ(summary.backends_changed, 1U);
  EXPECT_EQ(summary.services_changed, 0U);
}

TEST_F(Apply, ANewWeightKeepsTheIdAndChangesTheTable) {
  DesiredService weighted = web();
  weighted.scheduler = Scheduler::wrr;
  apply(desired({weighted}));
  const std::uint32_t id = backend_id("web", "10.0.0.11:8080");
  weighted.backends[0].weight = 3;
  apply(desired({weighted}));
  EXPECT_EQ(backend_id("web", "10.0.0.11:8080"), id);
  EXPECT_EQ(maps().loads[id].weight, 3U);
  EXPECT_EQ(std::ranges::count(table("web"), id), 3);
  EXPECT_THAT(table("web"), SizeIs(4));
}

TEST_F(Apply, AWeightOnlyChangeOfLeastConnectionsSwapsNoTable) {
  DesiredService least = web();
  least.scheduler = Scheduler::wlc;
  apply(desired({least}));
  const std::uint64_t before = maps().writes();
  least.backends[1].weight = 9;
  apply(desired({least}));
  EXPECT_EQ(maps().writes() - before, 1U) << "one store";
}

TEST_F(Apply, AFailedOrDrainedBackendKeepsItsRecordAndLeavesTheTable) {
  apply(desired({web()}));
  const std::uint32_t failed = backend_id("web", "10.0.0.11:8080");
  const std::uint32_t other = backend_id("web", "10.0.0.12:8080");
  DesiredService changed = web();
  changed.backends[0].up = false;
  apply(desired({changed}));
  EXPECT_THAT(table("web"), ElementsAre(other));
  EXPECT_EQ(maps().backends[failed].flags, LVS_BACKEND_VALID) << "its flows go on";
  EXPECT_EQ(maps().loads[failed].weight, 0U);
  EXPECT_TRUE(real("10.0.0.11:8080", Protocol::tcp)) << "and its replies";
  EXPECT_EQ(summary.backends_changed, 1U);

  changed = web();
  changed.backends[1].weight = 0;
  apply(desired({changed}));
  EXPECT_THAT(table("web"), ElementsAre(failed));
  EXPECT_EQ(maps().backends[other].flags, LVS_BACKEND_VALID);
}

TEST_F(Apply, TheRecordOfAFailedBackendSaysWhatBecomesOfItsFlows) {
  struct Row {
    FlowsOnFailure policy;
    int up, down, removed;
  };
  for (const Row& row : {Row{FlowsOnFailure::keep, LVS_BACKEND_VALID, LVS_BACKEND_VALID, 0},
                         Row{FlowsOnFailure::reset, LVS_BACKEND_VALID | LVS_BACKEND_RESET,
                             LVS_BACKEND_VALID | LVS_BACKEND_RESET | LVS_BACKEND_DOWN, LVS_BACKEND_RESET},
                         Row{FlowsOnFailure::drop, LVS_BACKEND_VALID | LVS_BACKEND_DROP,
                             LVS_BACKEND_VALID | LVS_BACKEND_DROP | LVS_BACKEND_DOWN, LVS_BACKEND_DROP}}) {
    SCOPED_TRACE(to_string(row.policy));
    DesiredService service = web();
    service.flows_on_failure = row.policy;
    apply(desired({service}));
    const std::uint32_t id = backend_id("web", "10.0.0.11:8080");
    EXPECT_EQ(maps().backends[id].flags, row.up);
    service.backends[0].up = false;
    service.backends[0].failed = true;
    apply(desired({service}));
    EXPECT_EQ(maps().backends[id].flags, row.down);
    service.backends[0].up = true;
    service.backends[0].failed = false;
    apply(desired({service}));
    EXPECT_EQ(maps().backends[id].flags, row.up);
    service.backends.erase(service.backends.begin());
    apply(desired({service}));
    EXPECT_EQ(maps().backends[id].flags, row.removed);
  }
}

TEST_F(Apply, NobodyUpIsAnEmptyTable) {
  DesiredService down = web();
  for (auto& member : down.backends) member.up = false;
  apply(desired({down}));
  EXPECT_TRUE(maps().has_table(service_id("web")));
  EXPECT_THAT(table("web"), IsEmpty());
}

TEST_F(Apply, ARemovedBackendIsInvalidAtOnceAndItsIdRests) {
  apply(desired({web()}));
  const std::uint32_t removed = backend_id("web", "10.0.0.11:8080");
  DesiredService changed = web();
  changed.backends.erase(changed.backends.begin());
  apply(desired({changed}));
  EXPECT_EQ(summary.backends_removed, 1U);
  EXPECT_EQ(maps().backends[removed].flags & LVS_BACKEND_VALID, 0);
  EXPECT_FALSE(real("10.0.0.11:8080", Protocol::tcp));

  changed.backends.push_back(backend("10.0.0.13:8080"));
  apply(desired({changed}));
  EXPECT_NE(backend_id("web", "10.0.0.13:8080"), removed);
  sweep();
  EXPECT_EQ(maps().backends[removed].method, LVS_METHOD_NONE);
  changed.backends.push_back(backend("10.0.0.14:8080"));
  apply(desired({changed}));
  EXPECT_EQ(backend_id("web", "10.0.0.14:8080"), removed) << "free after the sweep";
}

TEST_F(Apply, AnIdThatRestsDoesSoAcrossARestart) {
  apply(desired({web()}));
  const std::uint32_t removed = backend_id("web", "10.0.0.11:8080");
  const std::uint32_t gone = listener_id("198.51.100.11:80/tcp");
  DesiredService changed = web();
  changed.backends.erase(changed.backends.begin());
  changed.listeners.pop_back();
  apply(desired({changed}));
  open();
  changed.backends.push_back(backend("10.0.0.13:8080"));
  changed.listeners.push_back(listener("198.51.100.12:80/tcp"));
  apply(desired({changed}));
  EXPECT_NE(backend_id("web", "10.0.0.13:8080"), removed);
  EXPECT_NE(listener_id("198.51.100.12:80/tcp"), gone);
}

TEST_F(Apply, ARemovedServiceLeavesNothing) {
  apply(desired({web(), dns()}));
  const std::uint32_t id = service_id("web");
  apply(desired({dns()}));
  EXPECT_EQ(summary.services_removed, 1U);
  EXPECT_EQ(summary.backends_removed, 2U);
  EXPECT_EQ(service_at("198.51.100.10:80/tcp"), -1);
  EXPECT_FALSE(is_vip("198.51.100.10"));
  EXPECT_TRUE(is_vip("2001:db8::10"));
  EXPECT_EQ(maps().services[id].pick, LVS_PICK_NONE);
  EXPECT_EQ(decode_name(maps().names[id]), "");
  EXPECT_FALSE(maps().has_table(id));
  EXPECT_FALSE(real("10.0.0.11:8080", Protocol::tcp));
}

TEST_F(Apply, AnAddressStaysAVipWhileAnyListenerHasIt) {
  DesiredService both = web();
  both.listeners = {listener("198.51.100.10:80/tcp"), listener("198.51.100.10:443/tcp")};
  apply(desired({both}));
  both.listeners.pop_back();
  apply(desired({both}));
  EXPECT_EQ(summary.services_changed, 1U);
  EXPECT_TRUE(is_vip("198.51.100.10"));
  EXPECT_EQ(service_at("198.51.100.10:443/tcp"), -1);
}

TEST_F(Apply, AListenerMovesToAnotherServiceWithItsId) {
  apply(desired({web()}));
  const std::uint32_t id = listener_id("198.51.100.11:80/tcp");
  DesiredService from = web();
  from.listeners.pop_back();
  const DesiredService to = service("new", {"198.51.100.11:80/tcp"}, {backend("10.0.0.20:80")});
  apply(desired({from, to}));
  EXPECT_EQ(listener_id("198.51.100.11:80/tcp"), id);
  EXPECT_EQ(service_at("198.51.100.11:80/tcp"), static_cast<int>(service_id("new")));
  EXPECT_EQ(maps().vips[id].service, service_id("new"));
}

TEST_F(Apply, AForwardingMethodChangesInPlace) {
  DesiredService changed = web();
  for (auto& one : changed.backends) one.endpoint.port = 80;
  apply(desired({changed}));
  const std::uint32_t id = backend_id("web", "10.0.0.11:80");
  changed.backends[0].forward = ForwardMethod::dr;
  apply(desired({changed}));
  EXPECT_EQ(backend_id("web", "10.0.0.11:80"), id);
  EXPECT_EQ(maps().backends[id].method, LVS_METHOD_DR);
  EXPECT_EQ(maps().backends[id].flags, LVS_BACKEND_VALID);
  EXPECT_FALSE(real("10.0.0.11:80", Protocol::tcp)) << "its replies no longer come back through us";
  EXPECT_TRUE(real("10.0.0.12:80", Protocol::tcp));
}

TEST_F(Apply, RealsTellWhichListenerAReplyBelongsTo) {
  const DesiredService mixed =
      service("mixed", {"198.51.100.10:53/udp", "198.51.100.10:53/tcp"}, {backend("10.0.0.11:5353")});
  apply(desired({mixed}));
  const auto udp = real("10.0.0.11:5353", Protocol::udp);
  ASSERT_TRUE(udp);
  EXPECT_EQ(udp->backend, backend_id("mixed", "10.0.0.11:5353"));
  EXPECT_EQ(udp->listener, listener_id("198.51.100.10:53/udp"));
  EXPECT_EQ(udp->vip_port, htons(53));
  EXPECT_EQ(udp->sum, address_sum(address("198.51.100.10"), 53));
  EXPECT_EQ(udp->flags, 0);

  const DesiredService other = service("other", {"198.51.100.11:53/udp"}, {backend("10.0.0.11:5353")});
  apply(desired({mixed, other}));
  EXPECT_EQ(real("10.0.0.11:5353", Protocol::udp)->flags, LVS_REAL_SHARED);
  EXPECT_EQ(real("10.0.0.11:5353", Protocol::tcp)->flags, 0);
  apply(desired({other}));
  EXPECT_EQ(real("10.0.0.11:5353", Protocol::udp)->flags, 0);
  EXPECT_EQ(real("10.0.0.11:5353", Protocol::udp)->backend, backend_id("other", "10.0.0.11:5353"));
  EXPECT_FALSE(real("10.0.0.11:5353", Protocol::tcp));
}

TEST_F(Apply, AnErrorHasChangedNothing) {
  apply(desired({web()}));
  const std::uint64_t before = maps().writes();
  DesiredService big = dns();
  big.scheduler = Scheduler::rr;
  for (int i = 3; i < 100; ++i) big.backends.push_back(backend(fmt::format("[2001:db8:1::{}]:53", i)));
  Desired wanted = desired({big});
  wanted.timeouts.udp = std::chrono::seconds(5);
  const auto refused = dp->apply(wanted);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, ::testing::HasSubstr("limits.backends"));
  EXPECT_EQ(maps().writes(), before);
  EXPECT_THAT(dp->installed(), SizeIs(2));
}

TEST_F(Apply, ReplacesEverythingAtTheLimitInOneStep) {
  std::vector<DesiredBackend> first, second;
  for (unsigned i = 0; i < options.limits.backends; ++i) {
    first.push_back(backend(fmt::format("10.0.1.{}:80", i + 1)));
    second.push_back(backend(fmt::format("10.0.2.{}:80", i + 1)));
  }
  apply(desired({service("web", {"198.51.100.10:80/tcp"}, first)}));
  apply(desired({service("web", {"198.51.100.10:80/tcp"}, second)}));
  EXPECT_EQ(summary.backends_added, options.limits.backends);
  EXPECT_EQ(summary.backends_removed, options.limits.backends);
  EXPECT_THAT(table("web"), SizeIs(options.limits.backends));
}

TEST_F(Apply, ManyServicesAtOnce) {
  dp.reset();
  ASSERT_TRUE(remove_pins(options));
  options.limits.services = 600;
  options.limits.listeners = 600;
  options.limits.backends = 1200;
  open();
  std::vector<DesiredService> many;
  for (int i = 0; i < 600; ++i)
    many.push_back(service(fmt::format("s{}", i), {fmt::format("198.51.{}.{}:80/tcp", i / 250, i % 250)},
                           {backend(fmt::format("10.1.{}.{}:80", i / 250, i % 250)), backend("10.0.0.1:80")}));
  apply(desired(many));
  EXPECT_EQ(summary.services_added, 600U);
  EXPECT_THAT(table("s599"), ElementsAre(backend_id("s599", "10.1.2.99:80"), backend_id("s599", "10.0.0.1:80")));
  EXPECT_EQ(real("10.0.0.1:80", Protocol::tcp)->flags, LVS_REAL_SHARED);
}

TEST_F(Apply, TimeoutsAndSeedAreWritten) {
  Desired wanted = desired({web()});
  wanted.timeouts.tcp_established = std::chrono::seconds(100);
  wanted.timeouts.udp = std::chrono::seconds(10);
  wanted.hash_seed = 77;
  apply(wanted);
  EXPECT_EQ(maps().control().timeout[LVS_STATE_ESTABLISHED], 94);  // 93.13
  EXPECT_EQ(maps().control().timeout[LVS_STATE_UDP], 10);
  EXPECT_EQ(maps().control().timeout[LVS_STATE_UDP_NEW], 10);
  EXPECT_EQ(maps().control().schedule_seed, 77U);
}

// ---- next hops -------------------------------------------------------------------------------------------------

TEST_F(Apply, ANextHopReachesEveryBackendOfTheAddressAlsoLaterOnes) {
  const PortRequest port = make_port("dp0");
  ASSERT_TRUE(dp->attach(port));
  const DesiredService other = service("alt", {"198.51.100.20:80/tcp"}, {backend("10.0.0.11:9090")});
  apply(desired({web()}));
  const NextHop hop{false, MacAddress{{2, 0, 0, 0, 0, 9}}, port.ifindex};
  dp->set_next_hop(address("10.0.0.11"), hop);
  apply(desired({web(), other}));
  EXPECT_EQ(hop_mac(record("web", "10.0.0.11:8080").hop), hop.mac);
  EXPECT_EQ(record("alt", "10.0.0.11:9090").hop, record("web", "10.0.0.11:8080").hop);
  EXPECT_EQ(record("web", "10.0.0.12:8080").hop, 0U);
  EXPECT_EQ(dp->stats().services[0].backends[0].next_hop, hop);

  dp->set_next_hop(address("10.0.0.11"), std::nullopt);
  EXPECT_EQ(record("web", "10.0.0.11:8080").hop, 0U);
  EXPECT_FALSE(dp->stats().services[0].backends[0].next_hop);
}

TEST_F(Apply, ANextHopSurvivesARestart) {
  const PortRequest port = make_port("dp0");
  ASSERT_TRUE(dp->attach(port));
  apply(desired({web()}));
  const NextHop hop{false, MacAddress{{2, 0, 0, 0, 0, 9}}, port.ifindex};
  dp->set_next_hop(address("10.0.0.11"), hop);
  open();
  ASSERT_TRUE(dp->attach(port));
  apply(desired({web()}));
  EXPECT_EQ(dp->stats().services[0].backends[0].next_hop, hop);
}

TEST_F(Apply, ANextHopThroughAnotherInterfaceIsUnresolved) {
  apply(desired({web()}));
  dp->set_next_hop(address("10.0.0.11"), NextHop{false, MacAddress{{2, 0, 0, 0, 0, 9}}, 4242});
  EXPECT_EQ(record("web", "10.0.0.11:8080").hop, 0U);
}

// A server that dies for real loses its neighbour entry, too: what becomes of its flows must outlast that.
TEST_F(Apply, AFailedBackendStaysFailedWhateverHappensToItsNextHop) {
  const PortRequest port = make_port("dp0");
  ASSERT_TRUE(dp->attach(port));
  for (const FlowsOnFailure policy : {FlowsOnFailure::reset, FlowsOnFailure::drop}) {
    DesiredService failing = web();
    failing.flows_on_failure = policy;
    failing.backends[0].up = false;
    failing.backends[0].failed = true;
    apply(desired({failing}));
    const std::uint8_t flags = encode_flags(true, policy);
    const NextHop hop{false, MacAddress{{2, 0, 0, 0, 0, 9}}, port.ifindex};
    EXPECT_EQ(record("web", "10.0.0.11:8080").flags, flags);
    dp->set_next_hop(address("10.0.0.11"), hop);
    EXPECT_EQ(record("web", "10.0.0.11:8080").flags, flags) << "learnt";
    dp->set_next_hop(address("10.0.0.11"), std::nullopt);
    EXPECT_EQ(record("web", "10.0.0.11:8080").flags, flags) << "lost";
    ASSERT_TRUE(dp->attach(make_port("dp1")));
    EXPECT_EQ(record("web", "10.0.0.11:8080").flags, flags) << "another interface was attached";
    dp->detach("dp1");
    run("ip link del dp1");
    open();
    EXPECT_EQ(record("web", "10.0.0.11:8080").flags, flags) << "after a restart, before the first apply";
    EXPECT_EQ(record("web", "10.0.0.12:8080").flags, encode_flags(false, policy)) << "a healthy one's policy stays";
    ASSERT_TRUE(dp->attach(port));
    apply(desired({web()}));
    EXPECT_EQ(record("web", "10.0.0.11:8080").flags, LVS_BACKEND_VALID);
  }
}

TEST_F(Apply, ALocalBackendAndBack) {
  apply(desired({web()}));
  dp->set_next_hop(address("10.0.0.11"), NextHop{true, {}, 0});
  EXPECT_EQ(record("web", "10.0.0.11:8080").method, LVS_METHOD_LOCAL);
  EXPECT_TRUE(dp->stats().services[0].backends[0].next_hop->local);
  apply(desired({web()}));
  EXPECT_EQ(record("web", "10.0.0.11:8080").method, LVS_METHOD_LOCAL);
  open();
  apply(desired({web()}));
  EXPECT_EQ(record("web", "10.0.0.11:8080").method, LVS_METHOD_LOCAL) << "known after a restart";
  EXPECT_FALSE(summary.changed());
  dp->set_next_hop(address("10.0.0.11"), std::nullopt);
  EXPECT_EQ(record("web", "10.0.0.11:8080").method, LVS_METHOD_NAT);
}

}  // namespace
}  // namespace xlvs::dataplane
