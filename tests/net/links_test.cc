// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "tests/net/lab.h"

namespace xlvs::net::test {
namespace {

using LinksTest = NetTest;

TEST_F(LinksTest, FindsByNameWithAllFields) {
  here("ip link set wan0 mtu 1400");
  const auto link = find_link("wan0");
  ASSERT_TRUE(link) << link.error().message;
  EXPECT_EQ(*link, (Link{"wan0", ifindex("wan0"), mac("02:00:00:00:00:01"), 1400, true}));
}

TEST_F(LinksTest, LinkWithoutCarrierIsNotUp) {
  on_peer("ip link set eth0 down");
  EXPECT_FALSE(find_link("wan0")->up);
}

TEST_F(LinksTest, UnknownNameSaysWhatThereIs) {
  const auto link = find_link("wan1");
  ASSERT_FALSE(link);
  EXPECT_EQ(link.error().kind, ErrorKind::not_found);
  EXPECT_EQ(link.error().message, "interface wan1: there is none of that name (this host has lo, wan0)");
}

TEST_F(LinksTest, ListsMoreThanOneDatagramOfLinks) {
  for (int i = 0; i < 40; ++i)
    here("ip link add pair" + std::to_string(i) + " type veth peer name end" + std::to_string(i));
  const auto links = list_links();
  ASSERT_TRUE(links) << links.error().message;
  EXPECT_EQ(links->size(), 2U + 80U);
  EXPECT_TRUE(
      std::is_sorted(links->begin(), links->end(), [](const Link& a, const Link& b) { return a.ifindex < b.ifindex; }));
}

}  // namespace
}  // namespace xlvs::net::test
