// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <memory>

#include "tests/net/lab.h"

namespace xlvs::net::test {
namespace {

using VipAddressesTest = NetTest;

// `ip -brief`-like: what stands on an interface, one address per line.
std::string addresses(const std::string& interface) {
  const std::string command =
      "ip -oneline address show dev " + interface + " | sed 's/^[0-9]*: //; s/ *\\\\.*//; s/  */ /g'";
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  std::string text;
  for (int c = 0; (c = std::fgetc(pipe.get())) != EOF;) text += static_cast<char>(c);
  return text;
}

bool has(const std::string& interface, const std::string& address) {
  return addresses(interface).find(" " + address + " ") != std::string::npos;
}

TEST_F(VipAddressesTest, AddsHostAddressesThatAnswerArpButAreNoSource) {
  VipAddresses vips("lo");
  const auto set = vips.set({ip("198.51.100.10"), ip("2001:db8:ff::10")});
  ASSERT_TRUE(set) << set.error().message;
  EXPECT_NE(addresses("lo").find("inet 198.51.100.10/32 scope global"), std::string::npos) << addresses("lo");
  EXPECT_NE(addresses("lo").find("inet6 2001:db8:ff::10/128 scope global nodad deprecated"), std::string::npos)
      << addresses("lo");
  on_peer("ip route add 198.51.100.10 via 10.1.0.1 && ip -6 route add 2001:db8:ff::10 via 2001:db8:1::1");
  on_peer("ping -q -c 1 -W 2 198.51.100.10 >/dev/null && ping -q -c 1 -W 2 2001:db8:ff::10 >/dev/null");
}

TEST_F(VipAddressesTest, RemovesWhatIsNotWantedAnyMore) {
  VipAddresses vips("lo");
  ASSERT_TRUE(vips.set({ip("198.51.100.10"), ip("198.51.100.11"), ip("2001:db8:ff::10")}));
  ASSERT_TRUE(vips.set({ip("198.51.100.11")}));
  EXPECT_FALSE(has("lo", "198.51.100.10/32"));
  EXPECT_TRUE(has("lo", "198.51.100.11/32"));
  EXPECT_FALSE(has("lo", "2001:db8:ff::10/128"));
  EXPECT_EQ(vips.owned(), std::set<IpAddress>{ip("198.51.100.11")});
  vips.remove_all();
  EXPECT_FALSE(has("lo", "198.51.100.11/32"));
  EXPECT_TRUE(has("lo", "127.0.0.1/8"));
}

TEST_F(VipAddressesTest, LeavesAnOperatorsAddressAlone) {
  here("ip address add 198.51.100.10/32 dev lo && ip -6 address add 2001:db8:ff::10/128 dev lo nodad");
  VipAddresses vips("lo");
  const auto set = vips.set({ip("198.51.100.10"), ip("2001:db8:ff::10")});
  ASSERT_TRUE(set) << set.error().message;
  EXPECT_TRUE(vips.owned().empty());
  vips.remove_all();
  EXPECT_TRUE(has("lo", "198.51.100.10/32"));
  EXPECT_TRUE(has("lo", "2001:db8:ff::10/128"));
}

TEST_F(VipAddressesTest, AdoptsWhatAnEarlierLvsdAdded) {
  ASSERT_TRUE(VipAddresses("wan0").set({ip("10.1.0.100"), ip("10.1.0.101")}));
  VipAddresses next("wan0");
  ASSERT_TRUE(next.set({ip("10.1.0.100")}, {ip("10.1.0.100"), ip("10.1.0.101")}));
  EXPECT_TRUE(has("wan0", "10.1.0.100/32"));
  EXPECT_FALSE(has("wan0", "10.1.0.101/32"));
  EXPECT_EQ(next.owned(), std::set<IpAddress>{ip("10.1.0.100")});
}

TEST_F(VipAddressesTest, PutsBackWhatSomebodyRemovedAndForgivesAMissingOne) {
  VipAddresses vips("lo");
  ASSERT_TRUE(vips.set({ip("198.51.100.10"), ip("198.51.100.11")}));
  here("ip address del 198.51.100.10/32 dev lo && ip address del 198.51.100.11/32 dev lo");
  ASSERT_TRUE(vips.set({ip("198.51.100.10")}));
  EXPECT_TRUE(has("lo", "198.51.100.10/32"));
  EXPECT_EQ(vips.owned(), std::set<IpAddress>{ip("198.51.100.10")});
}

TEST_F(VipAddressesTest, OneRefusedAddressIsNamedAndKeepsNoOtherAway) {
  here("sysctl -qw net.ipv6.conf.wan0.disable_ipv6=1");
  VipAddresses vips("wan0");
  const auto set = vips.set({ip("10.1.0.100"), ip("2001:db8:1::100")});
  ASSERT_FALSE(set);
  EXPECT_NE(set.error().message.find("adding VIP 2001:db8:1::100 on interface wan0: "), std::string::npos)
      << set.error().message;
  EXPECT_TRUE(has("wan0", "10.1.0.100/32"));
}

TEST_F(VipAddressesTest, MissingInterfaceIsNamed) {
  const auto set = VipAddresses("vip0").set({ip("198.51.100.10")});
  ASSERT_FALSE(set);
  EXPECT_EQ(set.error().kind, ErrorKind::not_found);
  EXPECT_NE(set.error().message.find("interface vip0"), std::string::npos);
}

}  // namespace
}  // namespace xlvs::net::test
