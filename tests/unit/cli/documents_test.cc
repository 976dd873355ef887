// SPDX-License-Identifier: Apache-2.0
// The guide and the manual page must have every command and option that lvsctl has.
#include <fstream>
#include <set>
#include <sstream>

#include <gmock/gmock.h>

#include "cli/command.h"

namespace xlvs::cli {
namespace {

using testing::HasSubstr;

std::string read(const std::string& name) {
  std::ifstream file(XLVS_DOCS + name);
  EXPECT_TRUE(file) << name;
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// Calls `visit` with "backend drain" and the like for each command that does something.
void for_each_command(const CLI::App& app, const std::string& prefix,
                      const std::function<void(const std::string&, const CLI::App&)>& visit) {
  const auto children = app.get_subcommands([](const CLI::App*) { return true; });
  for (const CLI::App* child : children) for_each_command(*child, prefix + " " + child->get_name(), visit);
  if (children.empty()) visit(prefix.substr(1), app);
}

std::set<std::string> options_of(const CLI::App& app) {
  std::set<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      if (name != "help") names.insert(name);
    }
  }
  return names;
}

TEST(Documents, HaveEveryCommandAndOption) {
  const std::string guide = read("lvsctl.md"), manual = read("man/lvsctl.8");
  const auto tree = command_tree();
  std::size_t commands = 0;
  std::set<std::string> options = options_of(*tree);
  for_each_command(*tree, "", [&](const std::string& name, const CLI::App& command) {
    ++commands;
    EXPECT_THAT(guide, HasSubstr("\n### lvsctl " + name));
    EXPECT_THAT(manual, HasSubstr("\n.It Cm " + name));
    options.merge(options_of(command));
  });
  EXPECT_GE(commands, 13U);
  for (const std::string& option : options) {
    EXPECT_THAT(guide, HasSubstr("`--" + option));
    EXPECT_THAT(manual, HasSubstr("Fl -" + option));
  }
}

TEST(Documents, HaveTheExitCodes) {
  const std::string guide = read("lvsctl.md"), manual = read("man/lvsctl.8");
  for (int code = kOk; code <= kNotFound; ++code) {
    EXPECT_THAT(guide, HasSubstr(fmt::format("\n| {} | ", code)));
    EXPECT_THAT(manual, HasSubstr(fmt::format("\n.It {}\n", code)));
  }
}

}  // namespace
}  // namespace xlvs::cli
