// SPDX-License-Identifier: Apache-2.0
// What every lvsctl command is made of. A command parses its arguments, asks lvsd and prints; it keeps nothing. Adding
// one: a file cli/NAME.cc, a row in commands.cc, a golden test, a paragraph in docs/lvsctl.md and docs/man/lvsctl.8.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>

#include "control/client.h"
#include "control/json.h"

namespace xlvs::cli {

enum ExitCode : int { kOk = 0, kFailed = 1, kUsage = 2, kConfigInvalid = 3, kUnreachable = 4, kNotFound = 5 };

enum class Format { table, json, yaml };

// The world outside, so that a test can be one.
struct Environment {
  std::function<bool(std::string_view)> out;  // false: nobody reads on; stop quietly
  std::function<void(std::string_view)> err;
  std::function<double()> now;  // seconds since the epoch
  std::function<void(std::chrono::milliseconds)> sleep;
  std::function<Result<std::string>(const std::string&)> read_file;
  bool colour = false;  // standard output is a terminal that wants it
};

class Context {
 public:
  Context(Environment& environment, control::Client to, Format wanted, bool coloured)
      : client(std::move(to)), format(wanted), colour(coloured), environment_(environment) {}

  const control::Client client;
  const Format format;
  const bool colour;

  bool print(std::string_view text) const { return environment_.out(text); }
  // In the format asked for, JSON or YAML.
  bool print_data(const control::Json& json) const;
  [[nodiscard]] double now() const { return environment_.now(); }
  void sleep(std::chrono::milliseconds duration) const { environment_.sleep(duration); }
  [[nodiscard]] Result<std::string> read_file(const std::string& path) const { return environment_.read_file(path); }
  // "lvsctl: message" on standard error.
  void complain(std::string_view message) const;
  // The same, and the exit code that goes with the error.
  int report(const control::CallError& error) const;

  // An answer's JSON as it came, or what `table` makes of it.
  template <typename T>
  int show(const control::Answer& answer, const std::function<std::string(const T&)>& table) const {
    if (!answer) return report(answer.error());
    if (format != Format::table) return print_data(*answer), kOk;
    const auto value = control::decode<T>(*answer);
    if (!value) return misunderstood(value.error());
    print(table(*value));
    return kOk;
  }
  int misunderstood(const Error& error) const;

 private:
  Environment& environment_;
};

// What the command line asked for; run once the connection to lvsd is set up.
using Action = std::function<int(const Context&)>;

struct Command {
  const char* name;
  const char* summary;
  void (*add)(CLI::App& command, Action& action);  // options, subcommands, and a callback that sets `action`
};
[[nodiscard]] std::span<const Command> commands();

void add_status(CLI::App& command, Action& action);
void add_service(CLI::App& command, Action& action);
void add_backend(CLI::App& command, Action& action);
void add_flow(CLI::App& command, Action& action);
void add_stats(CLI::App& command, Action& action);
void add_config(CLI::App& command, Action& action);
void add_ha(CLI::App& command, Action& action);
void add_version(CLI::App& command, Action& action);

// Parses and runs one command line (without the program's name).
[[nodiscard]] int run(const std::vector<std::string>& arguments, Environment& environment);
// The whole command tree, for the tests that hold the documentation to it.
[[nodiscard]] std::unique_ptr<CLI::App> command_tree();

}  // namespace xlvs::cli
