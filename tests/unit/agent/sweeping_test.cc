// SPDX-License-Identifier: Apache-2.0
#include "agent/sweeping.h"

#include <gtest/gtest.h>

#include "tests/unit/agent/fakes.h"

namespace xlvs::agent {
namespace {

using namespace std::chrono_literals;

class SweepingTest : public ::testing::Test {
 protected:
  void run_for(std::chrono::milliseconds time) {
    loop_.restart();
    loop_.run_for(time);
  }
  boost::asio::io_context loop_;
  FakeMachine machine_;
  FakeHost host_{machine_};
  Sweeping sweeping_{loop_, machine_.maps, host_};
  const dataplane::LostFlow lost_{*Endpoint::parse("192.0.2.7:40000"), *Endpoint::parse("198.51.100.10:80")};
};

TEST_F(SweepingTest, ASweepTakesTwoSecondsAndAsksNobody) {
  machine_.maps.lost = {lost_};
  run_for(1500ms);
  EXPECT_EQ(machine_.maps.sweeps, 0U);
  run_for(1500ms);
  EXPECT_EQ(machine_.maps.sweeps, 1U);
  EXPECT_TRUE(machine_.solicited.empty());
}

TEST_F(SweepingTest, AfterAFailureClientsOfLostFlowsAreAskedAtOnce) {
  machine_.maps.lost = {lost_};
  sweeping_.look_for_lost_flows();
  run_for(1000ms);
  EXPECT_EQ(machine_.maps.sweeps, 1U) << "a whole sweep, and not one after the other";
  ASSERT_FALSE(machine_.solicited.empty());
  EXPECT_EQ(machine_.solicited.front(), lost_);
}

}  // namespace
}  // namespace xlvs::agent
