// SPDX-License-Identifier: Apache-2.0
// What a watch finds: neighbours, gateways, own addresses, and why there is no hop.
#include <fmt/format.h>

#include "tests/net/lab.h"

namespace xlvs::net::test {
namespace {

using namespace std::chrono_literals;

constexpr auto kPeerMac = "02:00:00:00:00:02";

TEST_F(WatchTest, ResolvesNeighboursThatTheHostNeverTalkedTo) {
  open_watch();
  watch_->follow({ip("10.1.0.2"), ip("2001:db8:1::2")});
  EXPECT_TRUE(reports_.empty()) << "events come from the event loop only";
  expect_hop("10.1.0.2", kPeerMac);
  expect_hop("2001:db8:1::2", kPeerMac);
  EXPECT_EQ(reports_.size(), 2U);
}

TEST_F(WatchTest, AnnouncesLinksAfterOpenAndTheirChanges) {
  open_watch();
  EXPECT_TRUE(links_.empty());
  run_until("the first links", [&] { return links_.size() == 2; });
  EXPECT_EQ(links_["wan0"], *find_link("wan0"));
  here("ip link set wan0 mtu 1300");
  run_until("the new MTU", [&] { return links_["wan0"].mtu == 1300; });
  here("ip link set wan0 down");
  run_until("down", [&] { return !links_["wan0"].up; });
  here("ip link add new0 type veth peer name new1");
  run_until("a new link", [&] { return links_.contains("new0"); });
  here("ip link del wan0");
  run_until("gone", [&] { return links_["wan0"].mtu == 0; });
}

TEST_F(WatchTest, FindsTheGateway) {
  here("ip route add 192.0.2.0/24 via 10.1.0.2 && ip -6 route add 2001:db8:99::/64 via 2001:db8:1::2");
  open_watch();
  watch_->follow({ip("192.0.2.7"), ip("2001:db8:99::7")});
  expect_hop("192.0.2.7", kPeerMac, "10.1.0.2");
  expect_hop("2001:db8:99::7", kPeerMac, "2001:db8:1::2");
}

TEST_F(WatchTest, FindsAnIpv6GatewayOfAnIpv4Route) {
  here("ip route add 192.0.2.0/24 via inet6 2001:db8:1::2 dev wan0");
  open_watch();
  watch_->follow({ip("192.0.2.7")});
  expect_hop("192.0.2.7", kPeerMac, "2001:db8:1::2");
}

TEST_F(WatchTest, KnowsTheHostsOwnAddresses) {
  open_watch();
  watch_->follow({ip("10.1.0.1"), ip("127.0.0.1"), ip("2001:db8:1::1")});
  run_until("three reports", [&] { return reports_.size() == 3; });
  for (const Report& report : reports_) {
    ASSERT_TRUE(report.hop) << report.reason;
    EXPECT_TRUE(report.hop->local);
    EXPECT_EQ(report.hop->via, report.address);
  }
}

TEST_F(WatchTest, SaysWhyThereIsNoHop) {
  here("ip route add unreachable 192.0.2.1 && ip route add blackhole 192.0.2.2 && ip route add prohibit 192.0.2.3");
  here("ip tuntap add tun9 mode tun && ip address add 10.9.0.1/24 dev tun9 && ip link set tun9 up");
  open_watch();
  watch_->follow({ip("203.0.113.1"), ip("192.0.2.1"), ip("192.0.2.2"), ip("192.0.2.3"), ip("10.9.0.2"),
                  ip("10.1.255.255"), ip("2001:db8:77::1"), ip("10.1.0.77")});
  expect_lost("203.0.113.1", "no route to 203.0.113.1");
  expect_lost("192.0.2.1", "no route to 192.0.2.1");
  expect_lost("192.0.2.2", "no route to 192.0.2.2");
  expect_lost("192.0.2.3", "no route to 192.0.2.3");
  expect_lost("10.9.0.2", "interface tun9 is not an Ethernet interface");
  expect_lost("10.1.255.255", "not a unicast route");
  expect_lost("2001:db8:77::1", "no route to 2001:db8:77::1");
  expect_lost("10.1.0.77", "10.1.0.77 on wan0: does not answer ARP");
}

TEST_F(WatchTest, KeepsAskingForASilentNeighbourWithoutRepeatingItself) {
  open_watch();
  watch_->follow({ip("10.1.0.77")});
  expect_lost("10.1.0.77", "does not answer ARP");
  run_for(5s);  // a second failed resolution takes 1 s of pause and 3 s of ARP
  EXPECT_EQ(reports_.size(), 1U);
  on_peer("sysctl -qw net.ipv4.conf.eth0.arp_notify=0 && ip address add 10.1.0.77/16 dev eth0");
  expect_hop("10.1.0.77", kPeerMac);
}

TEST_F(WatchTest, APermanentEntryStaysPermanent) {
  here("ip neigh add 10.1.0.77 lladdr 02:00:00:00:00:77 nud permanent dev wan0");
  open_watch();
  watch_->follow({ip("10.1.0.77")});
  expect_hop("10.1.0.77", "02:00:00:00:00:77");
  run_for(1500ms);
  here("ip neigh show 10.1.0.77 dev wan0 | grep -q PERMANENT");
}

TEST_F(WatchTest, AFailureFromBeforeIsNotReported) {
  here("ping -q -c 1 -W 4 10.1.0.77 >/dev/null || true");
  here("ip neigh show 10.1.0.77 dev wan0 | grep -q FAILED");
  on_peer("ip address add 10.1.0.77/16 dev eth0");
  open_watch();
  watch_->follow({ip("10.1.0.77")});
  expect_hop("10.1.0.77", kPeerMac);
  EXPECT_EQ(reports_.size(), 1U);
}

// 500 per family: the kernel's neighbour table holds 1024 of each, for all namespaces together.
TEST_F(WatchTest, FollowsAThousandNeighbours) {
  std::string batch;
  std::set<IpAddress> addresses;
  for (int i = 0; i < 500; ++i) {
    const std::string v4 = fmt::format("10.1.{}.{}", 10 + i / 250, 1 + i % 250);
    const std::string v6 = fmt::format("2001:db8:1::{:x}", 0x1000 + i);
    batch += fmt::format("address add {}/16 dev eth0\naddress add {}/64 dev eth0 nodad\n", v4, v6);
    addresses.insert({ip(v4), ip(v6)});
  }
  peer_batch(batch);
  open_watch();
  watch_->follow(addresses);
  run_until("all resolved", [&] { return reports_.size() >= addresses.size(); }, 30s);
  EXPECT_EQ(reports_.size(), addresses.size());
  for (const IpAddress& address : addresses) {
    const auto hop = watch_->hop(address);
    EXPECT_EQ(hop, (Hop{false, mac(kPeerMac), ifindex("wan0"), address})) << address.to_string();
  }
}

TEST_F(WatchTest, FollowingTenThousandAddressesLeavesTheLoopResponsive) {
  here("ip route add 172.16.0.0/16 via 10.1.0.2");
  std::set<IpAddress> addresses;
  for (int i = 0; i < 10000; ++i) addresses.insert(ip(fmt::format("172.16.{}.{}", i / 250, 1 + i % 250)));
  open_watch();
  watch_->follow(addresses);
  auto longest = 0ns;
  const auto deadline = std::chrono::steady_clock::now() + 30s;
  while (reports_.size() < addresses.size() && std::chrono::steady_clock::now() < deadline) {
    loop_.restart();
    timespec before{};
    timespec after{};  // CPU time: other processes on this machine are not ours to answer for
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
    if (loop_.poll_one() == 0) loop_.run_one_for(10ms);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
    longest = std::max<std::chrono::nanoseconds>(longest, std::chrono::seconds(after.tv_sec - before.tv_sec) +
                                                              std::chrono::nanoseconds(after.tv_nsec - before.tv_nsec));
  }
  EXPECT_EQ(reports_.size(), addresses.size());
  EXPECT_LT(longest, 10ms);
}

}  // namespace
}  // namespace xlvs::net::test
