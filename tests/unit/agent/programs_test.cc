// SPDX-License-Identifier: Apache-2.0
#include "agent/programs.h"

#include <gtest/gtest.h>

namespace xlvs::agent {
namespace {

Config config_with(const std::string& program, const std::string& user) {
  Config config;
  ServiceConfig& service = config.services.emplace_back();
  service.name = "web";
  CheckSpec& check = service.checks.emplace_back();
  check.type = "exec";
  check.params = {{"command", std::vector<std::string>{program}}, {"user", user}};
  return config;
}

std::string complaint(const std::string& program, const std::string& user) {
  const auto result = check_programs(config_with(program, user));
  if (result) return "";
  EXPECT_EQ(result.error().kind, ErrorKind::invalid);
  return result.error().message;
}

TEST(Programs, AnExecutableOfAnUnprivilegedUserIsFine) {
  EXPECT_EQ(complaint("/bin/sh", "nobody"), "");
  EXPECT_TRUE(check_programs(Config{}));
}

TEST(Programs, WhatCanNotRunIsAConfigurationError) {
  EXPECT_EQ(complaint("/nonexistent/check", "nobody"),
            "service web: check: /nonexistent/check: No such file or directory");
  EXPECT_EQ(complaint("/etc/passwd", "nobody"), "service web: check: /etc/passwd is not executable by uid 65534");
  EXPECT_EQ(complaint("/bin/sh", "no-such-user"), "service web: check: there is no user 'no-such-user'");
  for (const char* root : {"root", "0"})
    EXPECT_EQ(complaint("/bin/sh", root),
              "service web: check: user '" + std::string(root) + "' is root: name one without privileges");
}

TEST(Programs, ABackendsOwnCheckCountsToo) {
  Config config = config_with("/bin/sh", "nobody");
  BackendConfig& backend = config.services[0].backends.emplace_back();
  backend.checks = config_with("/nonexistent", "nobody").services[0].checks;
  EXPECT_EQ(check_programs(config).error().message, "service web: check: /nonexistent: No such file or directory");
}

TEST(Programs, AllMistakesAreToldAtOnce) {
  Config config = config_with("/nonexistent", "nobody");
  config.services.push_back(config.services.front());
  config.services.back().name = "mail";
  EXPECT_EQ(check_programs(config).error().message,
            "service web: check: /nonexistent: No such file or directory\n"
            "service mail: check: /nonexistent: No such file or directory");
}

}  // namespace
}  // namespace xlvs::agent
