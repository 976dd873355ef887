// SPDX-License-Identifier: Apache-2.0
// What netlink tells the agent reaches the data plane.
#include "tests/unit/agent/harness.h"

namespace xlvs::agent {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Not;

const IpAddress kBackend = *IpAddress::parse("127.0.0.1");
const MacAddress kMac{{2, 0, 0, 0, 0, 11}};

class NetworkTest : public AgentTest {
 protected:
  void SetUp() override { ASSERT_TRUE(ok(start())); }
};

TEST_F(NetworkTest, NextHopsFollowTheWatch) {
  EXPECT_FALSE(machine_.maps.next_hops.contains(kBackend)) << "an adopted hop must stay until the watch knows";
  machine_.events.hop_changed(kBackend, net::Hop{false, kMac, 2, kBackend}, "at 02:00:00:00:00:0b on lan0");
  EXPECT_EQ(machine_.maps.next_hops.at(kBackend), (dataplane::NextHop{false, kMac, 2}));
  machine_.events.hop_changed(kBackend, std::nullopt, "no answer to ARP");
  EXPECT_EQ(machine_.maps.next_hops.contains(kBackend), false);
}

TEST_F(NetworkTest, AChangedLinkIsTold) {
  machine_.events.link_changed({"lan0", 2, kMac, 9000, true});
  EXPECT_EQ(machine_.maps.requests.at("lan0").mac, kMac);
  EXPECT_EQ(machine_.maps.requests.at("lan0").mtu, 9000U);
  machine_.events.link_changed({"lan0", 2, kMac, 9000, false});
  EXPECT_THAT(operations().status().warnings, Contains("interface lan0 is down"));
  EXPECT_FALSE(operations().status().interfaces[0].up);
  machine_.events.link_changed({"unrelated", 8, kMac, 9000, true});
  EXPECT_EQ(machine_.attached().size(), 2U);
}

TEST_F(NetworkTest, AnInterfaceThatReturnsIsAttachedAgain) {
  machine_.events.link_changed({"lan0", 2, {}, 0, false});
  EXPECT_FALSE(machine_.attached().contains("lan0"));
  EXPECT_THAT(operations().status().warnings, Contains("interface lan0 is gone"));
  machine_.events.link_changed({"lan0", 17, kMac, 1500, true});
  ASSERT_TRUE(machine_.attached().contains("lan0"));
  EXPECT_EQ(machine_.maps.requests.at("lan0").ifindex, 17U);
  EXPECT_THAT(operations().status().warnings, Each(Not(HasSubstr("lan0"))));
}

TEST_F(NetworkTest, AnInterfaceThatWasReplacedUnnoticedIsAttachedAgain) {
  machine_.events.link_changed({"lan0", 17, kMac, 1500, true});
  EXPECT_EQ(machine_.maps.requests.at("lan0").ifindex, 17U);
}

TEST_F(NetworkTest, AttachingAgainIsRetried) {
  machine_.events.link_changed({"lan0", 2, {}, 0, false});
  machine_.maps.attach_errors["lan0"] = Error{ErrorKind::conflict, "another XDP program"};
  machine_.events.link_changed({"lan0", 17, kMac, 1500, true});
  EXPECT_THAT(operations().status().warnings, Contains(HasSubstr("another XDP program")));
  machine_.maps.attach_errors.clear();
  EXPECT_TRUE(wait_for([this] { return machine_.attached().contains("lan0"); }));
}

TEST_F(NetworkTest, AReloadWhileAnInterfaceIsGoneIsRefusedAndItsReturnStillNoticed) {
  machine_.links.erase(machine_.links.begin() + 1);
  machine_.events.link_changed({"lan0", 2, {}, 0, false});
  EXPECT_FALSE(operations().apply_config());
  machine_.events.link_changed({"lan0", 17, kMac, 1500, true});
  EXPECT_TRUE(machine_.attached().contains("lan0"));
}

}  // namespace
}  // namespace xlvs::agent
