// SPDX-License-Identifier: Apache-2.0
// Flows that another router told of, in the real table, by the real program.
#include <barrier>
#include <thread>

#include "tests/datapath/dataplane_exchange_fixture.h"
#include "tests/support/xdp_harness.h"

namespace xlvs::dataplane {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

FlowImports expect(std::uint64_t FlowImports::* what, std::uint64_t count = 1) {
  FlowImports out;
  out.*what = count;
  return out;
}

class Import : public ExchangeTest {
 protected:
  void SetUp() override {
    ExchangeTest::SetUp();
    learn_targets();
  }
};

TEST_F(Import, AFlowIsWhatItWasThere) {
  EXPECT_EQ(import({record("203.0.113.1:40000", 1, FlowState::established, 100)}), expect(&FlowImports::created));
  const auto found = flows();
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_EQ(found[0].client, endpoint("203.0.113.1:40000"));
  EXPECT_EQ(found[0].destination, endpoint("198.51.100.10:80"));
  EXPECT_EQ(found[0].backend, endpoint("10.0.0.12:8080"));
  EXPECT_EQ(found[0].state, "ESTABLISHED");
  EXPECT_NEAR(static_cast<double>(found[0].expires_in.count()), 800, 3) << "it was idle for 100 s already";
  EXPECT_EQ(maps().loads[two].active, 1U);
  EXPECT_EQ(drift(), 0U);
}

TEST_F(Import, FlowsOfBothFamiliesAndProtocolsAndManyAtOnce) {
  std::vector<FlowRecord> told{record("[2001:db8:c::1]:40000", 3), record("203.0.113.1:5353", 2, FlowState::udp)};
  for (unsigned i = 0; i < 250; ++i) told.push_back(record("203.0.113.2:" + std::to_string(1000 + i), i % 2));
  EXPECT_EQ(import(told), expect(&FlowImports::created, 252));
  EXPECT_THAT(flows(), SizeIs(252));
  EXPECT_EQ(maps().loads[one].active, 125U);
  EXPECT_EQ(maps().loads[backend_id("dns", "10.0.0.13:53")].inactive, 1U) << "UDP counts as inactive, as ever";
  EXPECT_EQ(import(told).created, 0U);
  EXPECT_THAT(flows(), SizeIs(252)) << "told again, there is still one of each";
  EXPECT_EQ(drift(), 0U);
}

TEST_F(Import, AnImportedNatFlowGoesOnInBothDirections) {
  import({record("203.0.113.1:40000", 1)});
  test::Bytes sent;
  EXPECT_TRUE(send("203.0.113.1:40000", "198.51.100.10:80", test::kAck, &sent)) << "no SYN came here, ever";
  EXPECT_EQ(sent[33], 12) << "to the backend that it had";
  test::Bytes reply;
  EXPECT_TRUE(send("10.0.0.12:8080", "203.0.113.1:40000", test::kAck, &reply)) << "by the gateway it has learned";
  EXPECT_EQ(dp->stats().reasons[LVS_REASON_hop_by_fib].packets, 0U);
  EXPECT_EQ(reply[29], 10) << "from the VIP";
  EXPECT_EQ(drift(), 0U);
}

TEST_F(Import, AReplyThatComesFirstAsksTheFib) {
  run("ip addr add 203.0.113.254/24 dev dp0 && ip neigh add 203.0.113.1 lladdr 02:00:00:00:00:07 dev dp0 && "
      "sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.dp0.forwarding=1 && ip link set dp0p up");
  import({record("203.0.113.1:40000", 0)});
  EXPECT_TRUE(send("10.0.0.11:8080", "203.0.113.1:40000", test::kAck));
  EXPECT_EQ(dp->stats().reasons[LVS_REASON_hop_by_fib].packets, 1U);
}

TEST_F(Import, WhatWasToldReplacesWhatABackupKnew) {
  import({record("203.0.113.1:40000", 0, FlowState::established, 50)});
  EXPECT_EQ(import({record("203.0.113.1:40000", 0, FlowState::time_wait)}), expect(&FlowImports::updated));
  EXPECT_EQ(flows().at(0).state, "TIME_WAIT");
  EXPECT_EQ(maps().loads[one].active, 0U);
  EXPECT_EQ(maps().loads[one].inactive, 1U);
  EXPECT_EQ(import({record("203.0.113.1:40000", 1)}), expect(&FlowImports::created)) << "another backend";
  ASSERT_THAT(flows(), SizeIs(1));
  EXPECT_EQ(flows()[0].backend, endpoint("10.0.0.12:8080"));
  EXPECT_EQ(drift(), 0U);
}

TEST_F(Import, ACopyIsMadeYoungerAndNeverOlder) {
  import({record("203.0.113.1:40000", 0, FlowState::established, 600)});
  import({record("203.0.113.1:40000", 0, FlowState::established, 60)});
  EXPECT_NEAR(static_cast<double>(flows().at(0).expires_in.count()), 840, 3);
  import({record("203.0.113.1:40000", 0, FlowState::established, 700)});
  EXPECT_NEAR(static_cast<double>(flows().at(0).expires_in.count()), 840, 3);
}

TEST_F(Import, ARouterThatGetsThePacketsKeepsWhatItKnows) {
  import({record("203.0.113.1:40000", 0)});
  EXPECT_EQ(import({record("203.0.113.1:40000", 0, FlowState::time_wait)}, false), expect(&FlowImports::kept));
  EXPECT_EQ(import({record("203.0.113.1:40000", 1)}, false), expect(&FlowImports::conflict));
  ASSERT_THAT(flows(), SizeIs(1));
  EXPECT_EQ(flows()[0].state, "ESTABLISHED");
  EXPECT_EQ(flows()[0].backend, endpoint("10.0.0.11:8080"));
  EXPECT_EQ(import({record("203.0.113.1:40001", 1)}, false), expect(&FlowImports::created)) << "new here";
}

TEST_F(Import, WhatIsOverIsNotCreated) {
  for (const FlowState state : {FlowState::time_wait, FlowState::close, FlowState::last_ack})
    EXPECT_EQ(import({record("203.0.113.1:40000", 0, state)}), expect(&FlowImports::ended));
  EXPECT_EQ(import({record("203.0.113.1:40000", 0, FlowState::established, 2000)}), expect(&FlowImports::ended))
      << "expired here, where timeouts may be shorter";
  EXPECT_THAT(flows(), IsEmpty());
  EXPECT_EQ(import({record("203.0.113.1:40000", 0, FlowState::close_wait)}), expect(&FlowImports::created))
      << "half closed: data may come";
  EXPECT_EQ(maps().loads[one].inactive, 1U);
}

TEST_F(Import, AnExpiredFlowInTheWayIsNone) {
  put_flow4(0, 0, "203.0.113.1:40000", kWebVip, two, LVS_STATE_ESTABLISHED, 5000);
  const std::uint64_t put = maps().buckets4[0].slot[0].word;
  EXPECT_EQ(import({record("203.0.113.1:40000", 0)}, false), expect(&FlowImports::created)) << put;
  ASSERT_THAT(flows(), SizeIs(1));
  EXPECT_EQ(flows()[0].backend, endpoint("10.0.0.11:8080"));
  EXPECT_EQ(drift(), 0U);
}

TEST_F(Import, AnotherConfigurationIsCountedByWhatIsMissing) {
  FlowSink& sink = dp->flow_exchange().sink;
  sink.set_target(4, {"mail", listener("198.51.100.10:25/tcp"), endpoint("10.0.0.11:25")});
  sink.set_target(5, {"web", listener("198.51.100.10:81/tcp"), endpoint("10.0.0.11:8080")});
  sink.set_target(6, {"web", listener(kDnsVip), endpoint("10.0.0.11:8080")});
  sink.set_target(7, {"web", listener(kWebVip), endpoint("10.0.0.99:8080")});
  EXPECT_EQ(import({record("203.0.113.1:1", 4), record("203.0.113.1:2", 99)}), expect(&FlowImports::no_service, 2));
  EXPECT_EQ(import({record("203.0.113.1:1", 5), record("203.0.113.1:2", 6)}), expect(&FlowImports::no_listener, 2));
  EXPECT_EQ(import({record("203.0.113.1:1", 7)}), expect(&FlowImports::no_backend));
  EXPECT_EQ(import({record("[2001:db8:c::1]:1", 0), record("203.0.113.1:1", 0, FlowState::udp)}),
            expect(&FlowImports::no_listener, 2))
      << "not of that listener's family or protocol";
  EXPECT_THAT(flows(), IsEmpty());
  DesiredService more = web();
  more.backends.push_back(backend("10.0.0.99:8080"));
  apply(desired({more, dns(), six()}));
  EXPECT_EQ(import({record("203.0.113.1:1", 7)}), expect(&FlowImports::created)) << "now there is one";
  apply(desired({web(), dns(), six()}));
  EXPECT_EQ(import({record("203.0.113.1:2", 7)}), expect(&FlowImports::no_backend)) << "and now there is none";
}

TEST_F(Import, AFullTableRefuses) {
  std::vector<FlowRecord> told;
  for (unsigned i = 0; i < 3000; ++i) told.push_back(record("203.0.113.2:" + std::to_string(1000 + i)));
  const FlowImports done = import(told);
  EXPECT_EQ(done.created + done.no_room, 3000U);
  EXPECT_GT(done.created, 900U) << "of 1024 slots and 64 in overflow";
  EXPECT_GT(done.no_room, 1900U);
  EXPECT_EQ(dp->stats().reasons[LVS_REASON_flow_table_full].packets, 0U) << "that reason is for packets";
  EXPECT_EQ(drift(), 0U);
}

TEST_F(Import, PinsOfABuildWithoutItAreUpgraded) {
  maps().control().object_hash[0] ^= 0xff;
  dp.reset();
  std::filesystem::remove(root() + "/v1/import_program");
  open();
  learn_targets();
  EXPECT_EQ(import({record("203.0.113.1:40000")}), expect(&FlowImports::created));
}

// Packets and imports of the same flows on two CPUs, with expiry and eviction all the while: counts stay exact and no
// flow is there twice. Flows, and rounds of imports: many flows fill the table, few are hit by both at once.
class ImportRace : public Import, public ::testing::WithParamInterface<std::pair<unsigned, unsigned>> {};
INSTANTIATE_TEST_SUITE_P(ManyAndFew, ImportRace, ::testing::Values(std::pair(1500U, 150U), std::pair(3U, 90'000U)));

TEST_P(ImportRace, WithPackets) {
  if (std::thread::hardware_concurrency() < 2) GTEST_SKIP() << "needs two CPUs";
  const auto [flow_count, rounds] = GetParam();
  maps().control().timeout[LVS_STATE_ESTABLISHED] = 3;
  std::vector<std::string> clients;
  for (unsigned i = 0; i < flow_count; ++i) clients.push_back("203.0.113.3:" + std::to_string(2000 + i));
  std::atomic<bool> running = true;
  std::atomic<std::uint64_t> forwarded = 0;
  std::thread packets([&, flow_count = flow_count] {
    const test::OnCpu pinned(0);
    constexpr std::array<std::uint8_t, 4> kFlags{test::kSyn, test::kAck, test::kFin | test::kAck, test::kRst};
    for (unsigned i = 0; running; ++i)
      forwarded += send(clients[(i * 7) % flow_count], "198.51.100.10:80", kFlags[(i / flow_count) % 4]);
  });
  std::thread imports([&, flow_count = flow_count, rounds = rounds] {
    const test::OnCpu pinned(1);
    constexpr std::array kStates{FlowState::established, FlowState::close, FlowState::fin_wait, FlowState::time_wait};
    for (unsigned round = 0; round < rounds; ++round) {
      std::vector<FlowRecord> told;
      for (unsigned i = 0; i < flow_count; ++i)
        told.push_back(
            record(clients[i], (round + i) % 2, kStates[(round + i / 3) % 4], static_cast<std::uint16_t>(i % 5)));
      import(told, round % 3 != 0);
      if (round % (rounds / 150) == 0) dp->sweep_step(dp->bucket_count());
    }
    running = false;
  });
  imports.join();
  packets.join();
  EXPECT_GT(forwarded.load(), 1000U) << "too few packets to race with";
  EXPECT_EQ(drift(), 0U);
  std::map<Endpoint, unsigned> seen;
  for (const Flow& flow : flows()) ++seen[flow.client];
  for (const auto& [client, times] : seen) EXPECT_EQ(times, 1U) << client.to_string();
  maps().control().timeout[LVS_STATE_ESTABLISHED] = 0;
  std::vector<FlowRecord> over;
  for (const std::string& client : clients) over.push_back(record(client, 0, FlowState::close));
  import(over);
  for (std::uint16_t& timeout : maps().control().timeout) timeout = 0;
  const auto empty = [&] {
    return maps().loads[one].active + maps().loads[one].inactive + maps().loads[two].active == 0;
  };
  for (unsigned i = 0; i < 50 && !empty(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    sweep();
  }
  EXPECT_TRUE(empty()) << "all have expired: nobody counts any more";
  EXPECT_EQ(maps().control().overflow_used4, 0U);
}

}  // namespace
}  // namespace xlvs::dataplane
