// SPDX-License-Identifier: Apache-2.0
#include "core/via.h"

#include <gtest/gtest.h>

namespace xlvs {
namespace {

IpAddress address(const std::string& text) {
  return IpAddress::parse(text).value();
}

ServiceConfig service(const std::string& vip, std::optional<std::uint16_t> port = {}) {
  ServiceConfig out;
  CheckSpec check;
  check.via = address(vip);
  check.port = port;
  out.checks = {check, CheckSpec{}};
  BackendConfig backend;
  backend.address = address("10.0.0.1");
  backend.port = 80;
  out.backends = {backend, backend};
  return out;
}

std::uint32_t mark_of(const Config& config, const std::string& vip) {
  for (const ViaCheck& check : via_checks(config))
    if (check.vip == address(vip)) return check.mark;
  return 0;
}

TEST(ViaChecks, AreThoseThatGoToAVip) {
  Config config;
  config.services = {service("198.51.100.10"), service("198.51.100.10", 8080), service("2001:db8::10")};
  assign_check_marks(config);
  const std::set<ViaCheck> checks = via_checks(config);
  ASSERT_EQ(checks.size(), 3U);
  EXPECT_EQ(config.services[0].checks[1].mark, 0U) << "one that asks the backend itself";
  EXPECT_EQ(config.services[0].checks[0].mark, config.services[1].checks[0].mark) << "one VIP, one mark";
  EXPECT_NE(mark_of(config, "198.51.100.10"), mark_of(config, "2001:db8::10"));
  EXPECT_EQ(mark_of(config, "198.51.100.10") >> 16, kCheckMark);
}

TEST(ViaChecks, AVipKeepsItsMarkWhenOthersComeAndGo) {
  Config config;
  config.services = {service("198.51.100.10")};
  assign_check_marks(config);
  const std::uint32_t before = mark_of(config, "198.51.100.10");
  config.services = {service("198.51.100.1"), service("198.51.100.10"), service("203.0.113.9")};
  assign_check_marks(config);
  EXPECT_EQ(mark_of(config, "198.51.100.10"), before);
}

TEST(ViaChecks, NoTwoVipsShareAMark) {
  Config config;
  for (unsigned i = 0; i < kMaxVia; ++i)
    config.services.push_back(service(fmt::format("10.1.{}.{}", i / 250, 1 + i % 250)));
  assign_check_marks(config);
  std::set<std::uint32_t> marks;
  for (const ViaCheck& check : via_checks(config)) marks.insert(check.mark);
  EXPECT_EQ(marks.size(), kMaxVia);
}

}  // namespace
}  // namespace xlvs
