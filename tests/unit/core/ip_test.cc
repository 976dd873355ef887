// SPDX-License-Identifier: Apache-2.0
#include "core/ip.h"

#include <string>
#include <unordered_set>
#include <vector>

#include <gtest/gtest.h>

namespace xlvs {
namespace {

struct Text {
  std::string given;
  std::string expected;  // as printed; empty: refused
};

TEST(IpAddress, ParsesAndPrints) {
  const std::vector<Text> cases{
      {"0.0.0.0", "0.0.0.0"},
      {"198.51.100.10", "198.51.100.10"},
      {"255.255.255.255", "255.255.255.255"},
      {"256.0.0.1", ""},
      {"1.2.3", ""},
      {"1.2.3.4.5", ""},
      {"01.2.3.4", ""},
      {"1.2.3.4 ", ""},
      {" 1.2.3.4", ""},
      {"1.2.3.4/24", ""},
      {"", ""},
      {"localhost", ""},
      {"::", "::"},
      {"::1", "::1"},
      {"2001:db8::10", "2001:db8::10"},
      {"2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},     // RFC 5952 4.2.3: the first of two equal runs
      {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},  // 4.2.2: one group is not shortened
      {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},           // 4.2.3: the longest run
      {"2001:db8:0:0:0:0:2:1", "2001:db8::2:1"},
      {"1:2:3:4:5:6:0:0", "1:2:3:4:5:6::"},
      {"0:0:3:4:5:6:7:8", "::3:4:5:6:7:8"},
      {"::1.2.3.4", "::102:304"},
      {"fe80::1%eth0", ""},
      {"[::1]", ""},
      {"1:2:3:4:5:6:7", ""},
      {"1::2::3", ""},
      {"12345::", ""},
      {"::ffff:1.2.3.4", ""},
      {"::ffff:0102:0304", ""},
      {std::string("::1\0", 4), ""},
      {std::string(1000, '1'), ""},
  };
  for (const Text& c : cases) {
    SCOPED_TRACE(c.given);
    const auto parsed = IpAddress::parse(c.given);
    ASSERT_EQ(parsed.has_value(), !c.expected.empty());
    if (!parsed) {
      EXPECT_EQ(parsed.error().kind, ErrorKind::invalid);
      EXPECT_FALSE(parsed.error().message.empty());
      continue;
    }
    EXPECT_EQ(parsed->to_string(), c.expected);
    EXPECT_EQ(IpAddress::parse(parsed->to_string()), *parsed);
    EXPECT_EQ(parsed->is_v4(), c.given.find(':') == std::string::npos);
    EXPECT_EQ(parsed->bytes().size(), parsed->is_v4() ? 4U : 16U);
  }
}

TEST(IpAddress, BytesAreInNetworkOrder) {
  const auto v4 = *IpAddress::parse("10.1.2.3");
  EXPECT_EQ((std::vector<std::uint8_t>{10, 1, 2, 3}), std::vector<std::uint8_t>(v4.bytes().begin(), v4.bytes().end()));
  EXPECT_EQ(v4, IpAddress::v4({10, 1, 2, 3}));
  const auto v6 = *IpAddress::parse("2001:db8::a");
  EXPECT_EQ(v6.bytes()[0], 0x20);
  EXPECT_EQ(v6.bytes()[3], 0xb8);
  EXPECT_EQ(v6.bytes()[15], 0x0a);
}

TEST(IpAddress, KnowsUnicast) {
  for (const char* text : {"10.0.0.1", "223.255.255.255", "240.0.0.1", "::1", "2001:db8::1", "fe80::1"})
    EXPECT_TRUE(IpAddress::parse(text)->is_unicast()) << text;
  for (const char* text : {"0.0.0.0", "224.0.0.1", "239.255.255.255", "255.255.255.255", "::", "ff02::1"})
    EXPECT_FALSE(IpAddress::parse(text)->is_unicast()) << text;
}

TEST(Endpoint, ParsesAndPrints) {
  const std::vector<Text> cases{
      {"10.0.0.1:80", "10.0.0.1:80"},
      {"10.0.0.1:65535", "10.0.0.1:65535"},
      {"[2001:db8::1]:443", "[2001:db8::1]:443"},
      {"10.0.0.1", ""},
      {"10.0.0.1:", ""},
      {"10.0.0.1:0", ""},
      {"10.0.0.1:65536", ""},
      {"10.0.0.1:+80", ""},
      {"10.0.0.1:80x", ""},
      {":80", ""},
      {"2001:db8::1:443", ""},
      {"[2001:db8::1]443", ""},
      {"[2001:db8::1]", ""},
      {"[10.0.0.1]:80", ""},
      {"", ""},
  };
  for (const Text& c : cases) {
    SCOPED_TRACE(c.given);
    const auto parsed = Endpoint::parse(c.given);
    ASSERT_EQ(parsed.has_value(), !c.expected.empty());
    if (parsed) {
      EXPECT_EQ(parsed->to_string(), c.expected);
    }
  }
}

TEST(Listener, ParsesAndPrints) {
  const std::vector<Text> cases{
      {"198.51.100.10:80/tcp", "198.51.100.10:80/tcp"},
      {"[2001:db8::10]:53/udp", "[2001:db8::10]:53/udp"},
      {"198.51.100.10:80", ""},
      {"198.51.100.10:80/", ""},
      {"198.51.100.10:80/TCP", ""},
      {"198.51.100.10:80/sctp", ""},
      {"198.51.100.10/tcp", ""},
      {"80/tcp", ""},
  };
  for (const Text& c : cases) {
    SCOPED_TRACE(c.given);
    const auto parsed = Listener::parse(c.given);
    ASSERT_EQ(parsed.has_value(), !c.expected.empty());
    if (parsed) {
      EXPECT_EQ(parsed->to_string(), c.expected);
    }
  }
}

TEST(Ip, ErrorsSayWhatToDo) {
  EXPECT_NE(Endpoint::parse("2001:db8::1:80").error().message.find("brackets"), std::string::npos);
  EXPECT_NE(Listener::parse("10.0.0.1:80").error().message.find("append /tcp or /udp"), std::string::npos);
  EXPECT_NE(IpAddress::parse("::ffff:1.2.3.4").error().message.find("write it as IPv4"), std::string::npos);
}

TEST(Ip, ValuesAreKeys) {
  std::unordered_set<Endpoint> set;
  for (int i = 0; i < 250; ++i)
    for (const std::uint16_t port : {std::uint16_t{80}, std::uint16_t{443}})
      set.insert({IpAddress::v4({10, 0, 0, static_cast<std::uint8_t>(i)}), port});
  EXPECT_EQ(set.size(), 500U);
  EXPECT_TRUE(set.contains(*Endpoint::parse("10.0.0.7:443")));
  EXPECT_NE(*IpAddress::parse("0.0.0.0"), *IpAddress::parse("::"));
  EXPECT_LT(*IpAddress::parse("10.0.0.9"), *IpAddress::parse("10.0.0.10"));
}

TEST(MacAddress, Prints) {
  EXPECT_EQ((MacAddress{{2, 0, 0xab, 0, 0, 1}}.to_string()), "02:00:ab:00:00:01");
}

}  // namespace
}  // namespace xlvs
