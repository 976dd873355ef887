// SPDX-License-Identifier: Apache-2.0
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "health/icmp_echo.h"
#include "tests/unit/health/servers.h"

namespace xlvs::health::test {
namespace {

using namespace std::string_literals;

TEST(IcmpEcho, RequestsAreAsTheRfcsSay) {
  // RFC 792: type 8, checksum by hand: 0x0800 + 0x1234 + 0x0007 + 0x6162 + 0x6300 = 0xde9d
  EXPECT_EQ(make_echo_request(Family::ipv4, {0x1234, 7, "abc"}), "\x08\0\x21\x62\x12\x34\0\7abc"s);
  EXPECT_EQ(make_echo_request(Family::ipv6, {0x1234, 7, "abc"}), "\x80\0\0\0\x12\x34\0\7abc"s);
}

TEST(IcmpEcho, OnlyRepliesAreReplies) {
  const auto echo = read_echo_reply(Family::ipv4, "\0\0xx\x12\x34\0\7abc"s);
  ASSERT_TRUE(echo);
  EXPECT_EQ(echo->id, 0x1234);
  EXPECT_EQ(echo->sequence, 7);
  EXPECT_EQ(echo->payload, "abc");
  EXPECT_TRUE(read_echo_reply(Family::ipv6, "\x81\0xx\x12\x34\0\7"s));
  for (const std::string& other : {""s, "\0\0xx\x12\x34\0"s, "\0\1xx\x12\x34\0\7"s, "\x08\0xx\x12\x34\0\7"s,
                                   "\x03\0xx\x12\x34\0\7"s, "\x81\0xx\x12\x34\0\7"s}) {
    EXPECT_FALSE(read_echo_reply(Family::ipv4, other)) << ::testing::PrintToString(other);
  }
  EXPECT_TRUE(read_quoted_request(Family::ipv4, make_echo_request(Family::ipv4, {1, 2, ""})));
  EXPECT_TRUE(read_quoted_request(Family::ipv6, make_echo_request(Family::ipv6, {1, 2, ""})));
}

TEST(IcmpEcho, HeadersOfIPv4AreSkippedWithTheirOptions) {
  EXPECT_EQ(skip_ipv4_header("\x45" + std::string(19, 'h') + "abc"), "abc");
  EXPECT_EQ(skip_ipv4_header("\x47" + std::string(27, 'h') + "abc"), "abc");
  EXPECT_EQ(skip_ipv4_header("\x45" + std::string(19, 'h')), "");
  for (const std::string& wrong : {""s, "\x45" + std::string(18, 'h'), "\x46" + std::string(22, 'h'),
                                   "\x44" + std::string(30, 'h'), "\x65" + std::string(30, 'h')}) {
    EXPECT_FALSE(skip_ipv4_header(wrong)) << wrong.size();
  }
}

// Timeouts and errors that routers send back are tested in the lab.
class IcmpTest : public HealthTest {
 protected:
  void SetUp() override {
    for (const int type : {SOCK_DGRAM, SOCK_RAW}) {
      const int fd = socket(AF_INET, type, IPPROTO_ICMP);
      if (fd < 0) continue;
      close(fd);
      return;
    }
    GTEST_SKIP() << "this kernel lets this user send no ICMP (net.ipv4.ping_group_range, CAP_NET_RAW)";
  }
};

TEST_F(IcmpTest, AHostAnswers) {
  for (const char* address : {"127.0.0.1", "::1"}) {
    const ProbeResult result = probe({IpAddress::parse(address).value(), 0}, spec("icmp"));
    EXPECT_TRUE(result.passed) << address << ": " << result.detail;
    EXPECT_EQ(result.reason, "ok");
  }
}

TEST_F(IcmpTest, ManyAtOnceFindTheirReplies) {
  std::vector<std::unique_ptr<Prober>> probers;
  std::map<std::string, int> reasons;
  int done = 0;
  constexpr int kProbers = 500;
  for (int i = 0; i < kProbers; ++i) {
    const std::string address = "127.0.0." + std::to_string(1 + i % 100);
    probers.push_back(make_prober({IpAddress::parse(address).value(), 0}, spec("icmp")));
    probers.back()->start(std::chrono::seconds(10), [&](const ProbeResult& result) {
      ++reasons[result.reason];
      ++done;
    });
  }
  probers[7].reset();  // whose reply finds nobody
  run_until("all replies", [&] { return done == kProbers - 1; });
  EXPECT_EQ(reasons, (std::map<std::string, int>{{"ok", kProbers - 1}}));
}

TEST_F(IcmpTest, WhatCanNotBeSentFailsAtOnce) {
  const ProbeResult result = probe({IpAddress::parse("255.255.255.255").value(), 0}, spec("icmp"));
  EXPECT_EQ(result.reason, "unreachable");
  EXPECT_EQ(result.detail, "send: Permission denied");
}

}  // namespace
}  // namespace xlvs::health::test
