// SPDX-License-Identifier: Apache-2.0
// What netlink tells the agent reaches the data plane.
#include "tests/unit/agent/harness.h"

namespace xlvs::agent {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
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
  EXPECT_THAT(operations().status().warnings, Contains(HasSubstr("interface lan0 is gone")));
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

// "Three interfaces, one deleted at run time: `config apply` of a weight is refused until the file is edited."
TEST_F(NetworkTest, OneInterfaceThatIsGoneBlocksNoReloadAndNoRestart) {
  machine_.links.erase(machine_.links.begin() + 1);
  machine_.events.link_changed({"lan0", 2, {}, 0, false});
  EXPECT_TRUE(operations().apply_config());
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(ok(restart())) << i;
    EXPECT_THAT(operations().status().warnings, Contains(HasSubstr("interface lan0 is gone"))) << i;
  }
  machine_.events.link_changed({"lan0", 17, kMac, 1500, true});
  EXPECT_TRUE(machine_.attached().contains("lan0"));
}

TEST_F(NetworkTest, ARenamedInterfaceIsNamed) {
  machine_.events.link_changed({"lanx", 2, kMac, 1500, true});
  EXPECT_TRUE(machine_.attached().contains("lan0"));
  EXPECT_THAT(operations().status().warnings, Contains(HasSubstr("interface lan0 was renamed to lanx")));
  machine_.events.link_changed({"lan0", 2, kMac, 1500, true});
  EXPECT_THAT(operations().status().warnings, Each(Not(HasSubstr("renamed"))));
}

// ---- what others take away -----------------------------------------------------------------------------------------

class VipTest : public NetworkTest {
 protected:
  const IpAddress vip_ = *IpAddress::parse("198.51.100.10");
  [[nodiscard]] bool warned() {
    const auto warnings = operations().status().warnings;
    return std::any_of(warnings.begin(), warnings.end(),
                       [](const std::string& text) { return text.find("is not on lo") != std::string::npos; });
  }
};

// "12 s and more later the address is still missing; `lvsctl status` still prints it."
TEST_F(VipTest, AVipThatSomebodyRemovesIsPutBackAtTheKernelsEvent) {
  machine_.vips["lo"].clear();
  machine_.events.tables_changed();
  EXPECT_TRUE(machine_.vips["lo"].contains(vip_));
  EXPECT_EQ(operations().stats().repairs.at("vip"), 1U);
  EXPECT_THAT(operations().status().vips, ElementsAre("198.51.100.10"));
}

TEST_F(VipTest, WithoutAnEventTheTickPutsItBack) {
  machine_.vips["lo"].clear();
  EXPECT_TRUE(wait_for([this] { return machine_.vips["lo"].contains(vip_); }));
}

TEST_F(VipTest, StatusTellsTheFactWhileItCannotBePutBack) {
  machine_.vips["lo"].clear();
  machine_.links.erase(machine_.links.begin());  // lo
  machine_.events.tables_changed();
  EXPECT_THAT(operations().status().vips, IsEmpty());
  EXPECT_THAT(operations().status().vips_missing, ElementsAre("198.51.100.10"));
  EXPECT_TRUE(warned());
  machine_.links.insert(machine_.links.begin(), {"lo", 1, {}, 65536, true});
  machine_.events.tables_changed();
  EXPECT_THAT(operations().status().vips, ElementsAre("198.51.100.10"));
  EXPECT_FALSE(warned());
}

TEST_F(VipTest, WhatTheDataPlaneFindsIsCountedAndWarnedOf) {
  machine_.maps.taken_away = {{{"pin", "pins were removed"}}, {"lan0 cannot be attached again"}};
  EXPECT_TRUE(wait_for([this] { return operations().stats().repairs.at("pin") == 1; }));
  EXPECT_THAT(operations().status().warnings, Contains(HasSubstr("lan0 cannot be attached again")));
  EXPECT_TRUE(wait_for([this] {  // nothing is amiss at the next tick
    const auto warnings = operations().status().warnings;
    return std::none_of(warnings.begin(), warnings.end(),
                        [](const std::string& text) { return text.find("attached again") != std::string::npos; });
  }));
}

}  // namespace
}  // namespace xlvs::agent
