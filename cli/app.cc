// SPDX-License-Identifier: Apache-2.0
#include <sstream>

#include "cli/command.h"
#include "cli/text.h"
#include "cli/yaml.h"

namespace xlvs::cli {
namespace {

struct Globals {
  std::string instance = "default";
  std::string socket;
  Format format = Format::table;
  bool no_color = false;
};

constexpr const char* kDescription =
    "lvsctl - see and steer the load balancer lvsd\n\n"
    "Names, addresses and numbers are printed exactly as lvsd has them. What drain, enable and weight\n"
    "change holds until it is changed back, over reloads and restarts of lvsd.";

constexpr const char* kFooter =
    "Examples:\n"
    "  lvsctl status                            one screen, as `ipvsadm -Ln` and more\n"
    "  lvsctl backend drain 10.0.0.11           no new connections, established ones go on\n"
    "  lvsctl backend enable 10.0.0.11          back into service\n"
    "  lvsctl backend weight 10.0.0.11:8080 5   until `... weight 10.0.0.11:8080 --clear`\n"
    "  lvsctl stats --rate --count 0            rates every second until interrupted\n"
    "  lvsctl config check new.yaml             is it valid, and what would change?\n"
    "  lvsctl flow list --client 192.0.2.7      where are this client's connections?\n"
    "  lvsctl -o json backend list | jq -r '.[] | select(.state != \"up\") | .address'\n\n"
    "Exit codes: 0 ok, 1 lvsd reported an error, 2 usage, 3 configuration invalid, 4 lvsd not reachable,\n"
    "5 no such service or backend.\n"
    "See also lvsctl(8), lvsd(8).";

Format parse_format(const std::string& name) {
  if (name == "table") return Format::table;
  if (name == "json") return Format::json;
  if (name == "yaml") return Format::yaml;
  throw CLI::ValidationError("--output", fmt::format("'{}' is none of table, json, yaml", name));
}

void add_globals(CLI::App& app, Globals& globals) {
  app.add_option("--instance", globals.instance, "The lvsd to talk to, where several run on one host")
      ->type_name("NAME")
      ->capture_default_str();
  app.add_option("--socket", globals.socket, "Its control socket [/run/lvs/<instance>/lvsd.sock]")->type_name("PATH");
  app.add_option_function<std::string>(
         "-o,--output", [&globals](const std::string& name) { globals.format = parse_format(name); },
         "table, json (lvsd's API, stable) or yaml [table]")
      ->type_name("FORMAT");
  app.add_flag("--no-color", globals.no_color, "No colour on a terminal either (as with NO_COLOR set)");
  app.set_version_flag("--version", "lvsctl " XLVS_VERSION, "Print lvsctl's version and exit");
}

// `globals` and `action` are filled when the tree parses a command line; they must outlive it.
std::unique_ptr<CLI::App> build(Globals& globals, Action& action) {
  auto app = std::make_unique<CLI::App>(kDescription, "lvsctl");
  app->fallthrough();  // global options may stand behind the command, too
  app->require_subcommand(1);
  app->get_formatter()->column_width(36);
  app->get_formatter()->label("SUBCOMMAND", "COMMAND");
  add_globals(*app, globals);
  for (const Command& command : commands()) {
    CLI::App* sub = app->add_subcommand(command.name, command.summary);
    sub->group("Commands");
    command.add(*sub, action);
  }
  app->footer(kFooter);  // last: a command made after it would inherit it
  return app;
}

std::string tidy(std::string message) {
  while (!message.empty() && (message.back() == '\n' || message.back() == ' ')) message.pop_back();
  return message;
}

// What CLI11 reports by exception: a wish for help or the version, or a mistake.
int not_parsed(const CLI::App& app, const CLI::ParseError& error, Environment& environment) {
  if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) {
    std::ostringstream text;
    (void)app.exit(error, text, text);
    environment.out(text.str());
    return kOk;
  }
  environment.err(fmt::format("lvsctl: {}\nTry `lvsctl --help`, or `lvsctl COMMAND --help`.\n", tidy(error.what())));
  return kUsage;
}

}  // namespace

bool Context::print_data(const control::Json& json) const {
  return print(format == Format::yaml ? to_yaml(json) : control::dump(json, 2) + "\n");
}

void Context::complain(std::string_view message) const {
  environment_.err(fmt::format("lvsctl: {}\n", printable(message)));
}

int Context::report(const control::CallError& error) const {
  complain(error.message);
  if (!error.answered) return kUnreachable;
  return error.kind == ErrorKind::not_found ? kNotFound : kFailed;
}

int Context::misunderstood(const Error& error) const {
  complain(
      fmt::format("lvsd's answer is not understood ({}); are lvsctl and lvsd of the same version?", error.message));
  return kFailed;
}

int run(const std::vector<std::string>& arguments, Environment& environment) {
  Globals globals;
  Action action;
  const auto app = build(globals, action);
  try {
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());  // as CLI11 wants them
    app->parse(std::move(reversed));
  } catch (const CLI::ParseError& error) {
    return not_parsed(*app, error, environment);
  }
  const std::string socket =
      globals.socket.empty() ? fmt::format("/run/lvs/{}/lvsd.sock", globals.instance) : globals.socket;
  const Context context(environment, control::Client(socket, std::chrono::seconds(30)), globals.format,
                        environment.colour && !globals.no_color);
  return action(context);
}

std::unique_ptr<CLI::App> command_tree() {
  static Globals globals;
  static Action action;
  return build(globals, action);
}

}  // namespace xlvs::cli
