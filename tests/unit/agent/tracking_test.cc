// SPDX-License-Identifier: Apache-2.0
// What is amiss, and what that costs. Programs are real ones.
#include "agent/tracking.h"

#include <gmock/gmock.h>

#include <chrono>
#include <functional>

#include <boost/asio/io_context.hpp>

#include "tests/unit/agent/temporary.h"

namespace xlvs::agent {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

TrackConfig link(const std::string& name, const std::string& interface, unsigned weight) {
  TrackConfig config;
  config.name = name;
  config.interface = interface;
  config.weight = weight;
  return config;
}

class TrackingTest : public ::testing::Test {
 protected:
  [[nodiscard]] bool wait_for(const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + 20s;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      loop_.run_one_for(100ms);
      loop_.restart();
    }
    return true;
  }
  boost::asio::io_context loop_;
  unsigned changes_ = 0;
  Tracking tracking_{loop_, [this] { ++changes_; }};
};

TEST_F(TrackingTest, WeightsOfLinksAddUp) {
  tracking_.set({link("a", "eth1", 60), link("b", "eth2", 30)});
  EXPECT_EQ(tracking_.verdict(), Tracking::Verdict{});
  tracking_.link_changed("eth1", true);
  EXPECT_EQ(changes_, 0U);
  tracking_.link_changed("eth1", false);
  tracking_.link_changed("eth2", false);
  tracking_.link_changed("eth2", false);
  EXPECT_EQ(changes_, 2U);
  EXPECT_EQ(tracking_.verdict().penalty, 90U);
  EXPECT_EQ(tracking_.verdict().why, "a: eth1 is down; b: eth2 is down");
  EXPECT_FALSE(tracking_.verdict().fault);
  tracking_.link_changed("eth1", true);
  EXPECT_EQ(tracking_.verdict().penalty, 30U);
}

TEST_F(TrackingTest, WeightZeroIsAFault) {
  tracking_.set({link("a", "eth1", 0)});
  tracking_.link_changed("eth1", false);
  EXPECT_TRUE(tracking_.verdict().fault);
  EXPECT_EQ(tracking_.verdict().penalty, 0U);
}

TEST_F(TrackingTest, ServicesWithoutBackends) {
  TrackConfig services;
  services.name = "backends";
  services.services = true;
  tracking_.set({services});
  tracking_.services_changed({"web", "dns"});
  EXPECT_EQ(tracking_.verdict().penalty, 50U);
  EXPECT_EQ(tracking_.report().at(0).reason, "no backend: web, dns");
  tracking_.services_changed({"dns"});
  EXPECT_EQ(tracking_.report().at(0).reason, "no backend: dns");
  EXPECT_EQ(changes_, 1U);
  tracking_.services_changed({});
  EXPECT_EQ(tracking_.verdict(), Tracking::Verdict{});
}

TEST_F(TrackingTest, AReloadKeepsWhatIsKnown) {
  tracking_.set({link("a", "eth1", 60)});
  tracking_.link_changed("eth1", false);
  tracking_.set({link("a", "eth1", 60), link("late", "eth1", 10)});
  EXPECT_EQ(tracking_.verdict().penalty, 70U) << "also by what is new, of what was known before";
  tracking_.set({});
  EXPECT_EQ(tracking_.verdict(), Tracking::Verdict{});
}

TEST_F(TrackingTest, AProgramFallsAndRises) {
  TemporaryDirectory directory;
  const std::string flag = directory / "bad";
  write_file(directory / "check", "#!/bin/sh\nif [ -e " + flag + " ]; then echo upstream is gone; exit 3; fi\n");
  ASSERT_EQ(std::system(("chmod 755 " + (directory / "check") + " && chmod 755 " + (directory / "")).c_str()), 0);
  TrackConfig config;
  config.name = "upstream";
  config.program = {directory / "check"};
  config.interval = 100ms;
  config.timeout = 5s;  // a busy machine is not what is tested
  config.fall = 2;
  config.rise = 2;
  tracking_.set({config});
  write_file(flag, "");
  ASSERT_TRUE(wait_for([&] { return !tracking_.verdict().why.empty(); }));
  EXPECT_EQ(tracking_.verdict().penalty, 50U);
  EXPECT_THAT(tracking_.report().at(0).reason, HasSubstr("ended with 3: upstream is gone"));
  ASSERT_EQ(std::remove(flag.c_str()), 0);
  ASSERT_TRUE(wait_for([&] { return tracking_.verdict().why.empty(); }));
  EXPECT_EQ(changes_, 2U);
}

TEST_F(TrackingTest, AProgramThatHangsIsAmiss) {
  TrackConfig config;
  config.name = "slow";
  config.program = {"/bin/sleep", "60"};
  config.interval = 100ms;
  config.timeout = 100ms;
  config.fall = 1;
  tracking_.set({config});
  ASSERT_TRUE(wait_for([&] { return tracking_.verdict().penalty == 50; }));
  EXPECT_THAT(tracking_.report().at(0).reason, HasSubstr("took longer than 100 ms"));
}

}  // namespace
}  // namespace xlvs::agent
