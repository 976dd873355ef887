// SPDX-License-Identifier: Apache-2.0
// What a watch does when the network changes under it.
#include <fmt/format.h>

#include "tests/net/lab.h"

namespace xlvs::net::test {
namespace {

using namespace std::chrono_literals;

constexpr auto kPeerMac = "02:00:00:00:00:02";
constexpr auto kOtherMac = "02:00:00:00:00:99";

class WatchChangesTest : public WatchTest {
 protected:
  void follow_peer(const std::string& address = "10.1.0.2") {
    open_watch();
    watch_->follow({ip(address)});
    expect_hop(address, kPeerMac);
  }
  // The kernel's own rhythm (15 to 45 s until stale, 5 s of delay) at a test's pace. The delay is 0: were it longer
  // than the time until stale, the kernel would take its own probes for use and never let an entry go stale.
  void hurry() {
    for (const char* family : {"ipv4", "ipv6"}) {
      here(
          fmt::format("cd /proc/sys/net/{}/neigh/wan0 && echo 500 >base_reachable_time_ms && "
                      "echo 0 >delay_first_probe_time && echo 200 >retrans_time_ms",
                      family));
    }
  }
};

TEST_F(WatchChangesTest, FollowsAnAnnouncedMacChange) {
  follow_peer();
  set_peer_mac(kOtherMac);
  on_peer("ping -q -c 1 -W 2 10.1.0.1 >/dev/null || ping -q -c 1 -W 2 10.1.0.1 >/dev/null");  // its ARP request tells
  expect_hop("10.1.0.2", kOtherMac);
  EXPECT_EQ(reports_.size(), 2U) << "never lost in between";
}

TEST_F(WatchChangesTest, FindsASilentlyMovedMac) {
  hurry();
  follow_peer();
  run_for(4s);  // by now the entry would be stale for good, if nobody used it
  set_peer_mac(kOtherMac);
  expect_hop("10.1.0.2", kOtherMac);
}

TEST_F(WatchChangesTest, FindsASilentlyMovedMacIpv6) {
  hurry();
  follow_peer("2001:db8:1::2");
  run_for(4s);
  set_peer_mac(kOtherMac);
  expect_hop("2001:db8:1::2", kOtherMac);
}

TEST_F(WatchChangesTest, AnEntryThatGoesStaleIsConfirmedAndKeepsItsHop) {
  hurry();
  follow_peer();
  run_for(6s);  // several rounds of stale, delay, probe
  EXPECT_EQ(reports_.size(), 1U);
  here("ip -statistics neigh show 10.1.0.2 dev wan0 | grep -Eq \"used [0-3]/[0-9]+/[0-3]\"");  // used/confirmed/updated
}

TEST_F(WatchChangesTest, LosesANeighbourThatStopsAnsweringAndFindsItAgain) {
  hurry();
  follow_peer();
  on_peer("ip address flush dev eth0");
  expect_lost("10.1.0.2", "10.1.0.2 on wan0: does not answer ARP");
  on_peer("ip address add 10.1.0.2/16 dev eth0");
  expect_hop("10.1.0.2", kPeerMac);
}

TEST_F(WatchChangesTest, AFlushedEntryIsResolvedAgain) {
  follow_peer();
  here("ip neigh flush dev wan0");
  run_until("resolved by the kernel again", [&] {
    const bool there = std::system("ip neigh show 10.1.0.2 dev wan0 | grep -q lladdr") == 0;
    return there && watch_->hop(ip("10.1.0.2")).has_value();
  });
}

TEST_F(WatchChangesTest, LosesAndRegainsHopsWithTheLink) {
  follow_peer();
  on_peer("ip link set eth0 down");  // wan0 has no carrier any more
  expect_lost("10.1.0.2", "interface wan0 is down");
  on_peer("ip link set eth0 up");
  expect_hop("10.1.0.2", kPeerMac);
  here("ip link set wan0 down");  // takes the routes along
  expect_lost("10.1.0.2", "no route to 10.1.0.2");
  here("ip link set wan0 up");
  expect_hop("10.1.0.2", kPeerMac);
}

// What the kernel asked while the link was down it asks again only after its retransmission time, here a minute.
TEST_F(WatchChangesTest, AQuestionAskedOnADeadLinkIsAskedAgainAtOnce) {
  follow_peer();
  on_peer("ip link set eth0 down");
  expect_lost("10.1.0.2", "interface wan0 is down");
  here("echo 60000 >/proc/sys/net/ipv4/neigh/wan0/retrans_time_ms && ip neigh flush dev wan0 nud all");
  here("ping -q -c 1 -W 1 10.1.0.2 >/dev/null; ip neigh show 10.1.0.2 dev wan0 nud all | grep -q INCOMPLETE");
  on_peer("ip link set eth0 up");
  expect_hop("10.1.0.2", kPeerMac);
}

TEST_F(WatchChangesTest, FollowsARouteToAnotherGateway) {
  on_peer("ip address add 10.1.0.3/16 dev eth0");
  here("ip route add 192.0.2.0/24 via 10.1.0.2");
  open_watch();
  watch_->follow({ip("192.0.2.7"), ip("192.0.2.8")});
  expect_hop("192.0.2.7", kPeerMac, "10.1.0.2");
  here("ip route replace 192.0.2.0/24 via 10.1.0.3");
  expect_hop("192.0.2.7", kPeerMac, "10.1.0.3");
  expect_hop("192.0.2.8", kPeerMac, "10.1.0.3");
  here("ip route del 192.0.2.0/24");
  expect_lost("192.0.2.7", "no route");
  expect_lost("192.0.2.8", "no route");
  for (const Report& report : reports_) EXPECT_TRUE(report.hop || &report >= &reports_[reports_.size() - 2]);
}

TEST_F(WatchChangesTest, FollowsARuleAndANexthopObject) {
  on_peer("ip address add 10.1.0.3/16 dev eth0 && ip address add 10.1.0.4/16 dev eth0");
  here("ip nexthop add id 7 via 10.1.0.2 dev wan0 && ip route add 192.0.2.0/24 nhid 7");
  open_watch();
  watch_->follow({ip("192.0.2.7")});
  expect_hop("192.0.2.7", kPeerMac, "10.1.0.2");
  here("ip nexthop replace id 7 via 10.1.0.3 dev wan0");
  expect_hop("192.0.2.7", kPeerMac, "10.1.0.3");
  here("ip route add 192.0.2.0/24 via 10.1.0.4 table 100");
  here("ip rule add to 192.0.2.0/24 lookup 100");
  expect_hop("192.0.2.7", kPeerMac, "10.1.0.4");
}

TEST_F(WatchChangesTest, AMovedGatewayMovesEveryAddressBehindIt) {
  here("ip route add 192.0.2.0/24 via 10.1.0.2");
  std::set<IpAddress> addresses;
  for (int i = 1; i <= 100; ++i) addresses.insert(ip(fmt::format("192.0.2.{}", i)));
  open_watch();
  watch_->follow(addresses);
  run_until("all found", [&] { return reports_.size() == 100; });
  set_peer_mac(kOtherMac);
  on_peer("ping -q -c 1 -W 2 10.1.0.1 >/dev/null || ping -q -c 1 -W 2 10.1.0.1 >/dev/null");
  run_until("all moved", [&] { return reports_.size() == 200; });
  for (const IpAddress& address : addresses) EXPECT_EQ(watch_->hop(address)->mac, mac(kOtherMac));
}

TEST_F(WatchChangesTest, AnAddressThatBecomesTheHostsOwn) {
  follow_peer();
  here("ip address add 10.1.0.2/32 dev lo");
  run_until("local", [&] { return last("10.1.0.2")->hop && last("10.1.0.2")->hop->local; });
  here("ip address del 10.1.0.2/32 dev lo");
  expect_hop("10.1.0.2", kPeerMac);
}

TEST_F(WatchChangesTest, ForgetsWhatIsNotFollowedAnyMore) {
  open_watch();
  watch_->follow({ip("10.1.0.2"), ip("2001:db8:1::2")});
  expect_hop("10.1.0.2", kPeerMac);
  expect_hop("2001:db8:1::2", kPeerMac);
  watch_->follow({ip("2001:db8:1::2")});
  EXPECT_EQ(watch_->hop(ip("10.1.0.2")), std::nullopt);
  reports_.clear();
  here("ip neigh replace 10.1.0.2 lladdr 02:00:00:00:00:55 nud permanent dev wan0");
  here("ip neigh replace 2001:db8:1::2 lladdr 02:00:00:00:00:55 nud permanent dev wan0");
  expect_hop("2001:db8:1::2", "02:00:00:00:00:55");
  EXPECT_EQ(reports_.size(), 1U);
  watch_->follow({ip("10.1.0.2"), ip("2001:db8:1::2")});
  expect_hop("10.1.0.2", "02:00:00:00:00:55");
}

TEST_F(WatchChangesTest, LeavesNeighboursAloneThatItDoesNotNeedAnyMore) {
  on_peer("ip address add 10.1.0.3/16 dev eth0 && ip address add 10.1.0.4/16 dev eth0");
  here("ip route add 192.0.2.0/24 via 10.1.0.2");
  open_watch();
  watch_->follow({ip("192.0.2.7"), ip("10.1.0.4")});
  expect_hop("192.0.2.7", kPeerMac, "10.1.0.2");
  expect_hop("10.1.0.4", kPeerMac);
  here("ip route replace 192.0.2.0/24 via 10.1.0.3");
  expect_hop("192.0.2.7", kPeerMac, "10.1.0.3");
  watch_->follow({ip("192.0.2.7")});
  here("ip neigh flush dev wan0");
  run_for(2500ms);
  const auto known = [](const std::string& address) {
    return std::system(("ip neigh show " + address + " dev wan0 | grep -q lladdr").c_str()) == 0;
  };
  EXPECT_TRUE(known("10.1.0.3"));
  EXPECT_FALSE(known("10.1.0.2"));
  EXPECT_FALSE(known("10.1.0.4"));
}

TEST_F(WatchChangesTest, AnEventHandlerMayChangeWhatIsFollowed) {
  auto opened =
      Watch::open(loop_, {[this](const IpAddress& address, const std::optional<Hop>& hop, const std::string& reason) {
                            watch_->follow({ip("2001:db8:1::2")});
                            reports_.push_back({address, hop, reason});
                          },
                          {}});
  ASSERT_TRUE(opened);
  watch_ = std::move(*opened);
  watch_->follow({ip("10.1.0.2"), ip("10.1.0.1")});
  expect_hop("2001:db8:1::2", kPeerMac);
  EXPECT_EQ(reports_.size(), 2U);
}

TEST_F(WatchChangesTest, DestroyedWithEventsUnderWay) {
  follow_peer();
  here("ip route add 192.0.2.0/24 via 10.1.0.2 && ip link set wan0 mtu 1300");
  watch_->follow({ip("10.1.0.2"), ip("192.0.2.7")});
  watch_.reset();
  reports_.clear();
  run_for(100ms);
  EXPECT_TRUE(reports_.empty());
}

TEST_F(WatchChangesTest, ReadsEverythingAgainAfterLostEvents) {
  on_peer("ip address add 10.1.0.3/16 dev eth0");
  here("ip route add 192.0.2.0/24 via 10.1.0.2");
  open_watch({.receive_buffer = 1});  // the kernel makes it its minimum of about 2 KiB
  watch_->follow({ip("10.1.0.2"), ip("192.0.2.7")});
  expect_hop("10.1.0.2", kPeerMac);
  expect_hop("192.0.2.7", kPeerMac, "10.1.0.2");
  run_for(100ms);
  const auto overruns = watch_->overruns();
  std::string batch;
  for (int i = 0; i < 200; ++i) batch += fmt::format("route add 172.16.{}.0/24 via 10.1.0.3\n", i);
  here("ip -batch - <<'END'\n" + batch + "END\n");
  // These events find the buffer full.
  here("ip neigh replace 10.1.0.2 lladdr 02:00:00:00:00:55 nud permanent dev wan0");
  here("ip route replace 192.0.2.0/24 via 10.1.0.3 && ip link set wan0 mtu 1333");
  expect_hop("10.1.0.2", "02:00:00:00:00:55");
  expect_hop("192.0.2.7", kPeerMac, "10.1.0.3");
  run_until("the new MTU", [&] { return links_["wan0"].mtu == 1333; });
  EXPECT_GT(watch_->overruns(), overruns);
}

}  // namespace
}  // namespace xlvs::net::test
