// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/health/servers.h"

namespace xlvs::health::test {
namespace {

using namespace std::chrono_literals;

class UdpTest : public HealthTest {
 protected:
  UdpServer silent_{loop_, [](const std::string&) { return std::vector<std::string>(); }};
  UdpServer echo_{loop_, [](const std::string& datagram) { return std::vector{datagram}; }};
};

TEST_F(UdpTest, SilencePassesWhenTheTimeIsUp) {
  const ProbeResult result = probe(silent_.endpoint(), spec("udp"), 200ms);
  EXPECT_TRUE(result.passed);
  EXPECT_EQ(result.reason, "ok");
  EXPECT_EQ(result.detail, "no reply, and no error");
  EXPECT_GE(result.latency, 200ms);
  EXPECT_EQ(silent_.received(), std::vector<std::string>{""});
}

TEST_F(UdpTest, AReplyPassesAtOnce) {
  const ProbeResult result = probe(echo_.endpoint(), spec("udp", {{"send", "a\\x00b"}}), 10s);
  EXPECT_TRUE(result.passed);
  EXPECT_EQ(result.detail, "received \"a\\x00b\"");
  EXPECT_LT(result.latency, 5s);
}

TEST_F(UdpTest, AnIcmpErrorFails) {
  const ProbeResult result = probe(closed_udp_port(loop_), spec("udp"));
  EXPECT_FALSE(result.passed);
  EXPECT_EQ(result.reason, "refused");
}

TEST_F(UdpTest, SilenceFailsIfAReplyIsRequired) {
  const ProbeResult result = probe(silent_.endpoint(), spec("udp", {{"require_reply", true}}), 200ms);
  EXPECT_FALSE(result.passed);
  EXPECT_EQ(result.reason, "timeout");
  EXPECT_EQ(result.detail, "no reply within 200 ms");
  EXPECT_TRUE(probe(echo_.endpoint(), spec("udp", {{"require_reply", true}})).passed);
}

}  // namespace
}  // namespace xlvs::health::test
