// SPDX-License-Identifier: Apache-2.0
#include "agent/programs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "agent/hooks.h"
#include "tests/unit/agent/temporary.h"

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
    EXPECT_EQ(complaint("/bin/sh", root), "service web: check: user '" + std::string(root) +
                                              "' is root: name one without privileges, or allow it with "
                                              "`root_programs: true`");
}

// keepalived's script security.
TEST(Programs, RootsMayOnlyBeChangedByRootEverywhere) {
  const TemporaryDirectory open;  // below /tmp, which everybody may write to
  const std::string path = open / "notify";
  write_file(path, "#!/bin/sh\n");
  std::filesystem::permissions(path, std::filesystem::perms(0755));
  const auto allowed = [](const std::string& program) {
    Config config = config_with(program, "root");
    config.root_programs = true;
    TrackConfig& track = config.ha.emplace().track.emplace_back();
    track.name = "nginx";
    track.user = "0";
    track.program = {program};
    const auto result = check_programs(config);
    return result ? "" : result.error().message;
  };
  const auto hook = [](const std::string& program) {
    HookConfig config;
    config.program = {program};
    config.user = "root";
    const auto result = Hooks::check({config});
    return result ? "" : result.error().message;
  };
  EXPECT_EQ(allowed("/bin/sh"), "");
  EXPECT_EQ(hook("/bin/sh"), "");
  const std::string text = path + " would run as root, but others than root may change /tmp (uid 0, gid 0, mode 1777)";
  EXPECT_EQ(allowed(path), "service web: check: " + text + "\nha track nginx: " + text);
  EXPECT_EQ(hook(path), "hooks: " + text);
}

TEST(Programs, WhoCanSignalNobodyIsWarnedOf) {
  Config config = config_with("/usr/bin/killall", "nobody");
  config.hooks.emplace_back().program = {"/bin/kill"};
  TrackConfig& track = config.ha.emplace().track.emplace_back();
  track.name = "nginx";
  track.program = {"/usr/bin/killall", "-0", "nginx"};
  EXPECT_THAT(program_warnings(config),
              testing::ElementsAre(testing::HasSubstr("service web: check: /usr/bin/killall runs as nobody"),
                                   testing::AllOf(testing::HasSubstr("ha track nginx: /usr/bin/killall runs as nobody"),
                                                  testing::HasSubstr("`user: root` with `root_programs: true`")),
                                   testing::HasSubstr("hooks: /bin/kill runs as nobody")));
  config.hooks[0].user = track.user = "root";
  config.services.clear();
  EXPECT_THAT(program_warnings(config), testing::IsEmpty());
  EXPECT_TRUE(has_programs(config));
  EXPECT_FALSE(has_programs(Config{}));
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
