// SPDX-License-Identifier: Apache-2.0
#include <fmt/ranges.h>

#include "cli/command.h"
#include "cli/text.h"

namespace xlvs::cli {
namespace {

std::string lines(const std::vector<std::string>& texts, std::string_view indent) {
  std::string out;
  for (const std::string& text : texts) out += fmt::format("{}{}\n", indent, printable(text, false));
  return out;
}

// Errors one per line, in the form that editors jump to.
int invalid(const Context& context, std::string_view what, const std::vector<std::string>& errors) {
  context.complain(
      fmt::format("{} is not valid, {}:\n{}", what, plural(errors.size(), "error"), fmt::join(errors, "\n")));
  return kConfigInvalid;
}

// The checks of a text and of the files on disk answer alike: valid, errors, changes.
template <typename T>
int show_verdict(const Context& context, const control::Answer& answer, const std::string& what) {
  if (!answer) return context.report(answer.error());
  const auto verdict = control::decode<T>(*answer);
  if (!verdict) return context.misunderstood(verdict.error());
  if (context.format != Format::table) return context.print_data(*answer), verdict->valid ? kOk : kConfigInvalid;
  if (!verdict->valid) return invalid(context, what, verdict->errors);
  context.print(verdict->changes.empty()
                    ? fmt::format("{} is valid; it is what runs\n", what)
                    : fmt::format("{} is valid; applying it changes:\n{}", what, lines(verdict->changes, "  ")));
  return kOk;
}

int check(const Context& context, const std::string& path) {
  const auto text = context.read_file(path);
  if (!text) {
    context.complain(text.error().message);
    return text.error().kind == ErrorKind::not_found ? kNotFound : kFailed;
  }
  auto answer = context.client.post("/v1/config/check", control::ConfigText{path, *text});
  if (!answer && !answer.error().answered) {
    answer.error().message += fmt::format("\n`lvsd --check --config {}` checks without a running lvsd", path);
  }
  return show_verdict<control::ConfigCheck>(context, answer, path);
}

int apply(const Context& context) {
  const auto answer = context.client.post("/v1/config/apply", control::Json::object());
  if (!answer && answer.error().answered && answer.error().kind == ErrorKind::invalid) {
    context.complain(answer.error().message + "\nNothing was changed.");
    return kConfigInvalid;
  }
  return context.show<control::ConfigApplied>(answer, [](const control::ConfigApplied& applied) {
    if (applied.changes.empty()) return fmt::format("Generation {} runs; nothing changed\n", applied.generation);
    return fmt::format("Generation {} runs; changed:\n{}", applied.generation, lines(applied.changes, "  "));
  });
}

constexpr std::chrono::milliseconds kPushPoll{100};

std::string pushed(const control::ConfigPush& push) {
  if (push.dry_run)
    return push.changes.empty() ? fmt::format("Valid at the peer {}; pushing it changes nothing there\n", push.peer)
                                : fmt::format("Valid at the peer {}; pushing it changes there:\n{}", push.peer,
                                              lines(push.changes, "  "));
  if (push.changes.empty())
    return fmt::format("Generation {} runs at the peer {}; nothing changed there\n", push.generation, push.peer);
  return fmt::format("Generation {} runs at the peer {}; changed there:\n{}", push.generation, push.peer,
                     lines(push.changes, "  "));
}

int not_pushed(const Context& context, const control::ConfigPush& push) {
  const bool invalid = push.error_kind == control::to_string(ErrorKind::invalid);
  context.complain(fmt::format("{} {}:\n{}",
                               invalid ? "not valid as the configuration of the peer" : "not taken by the peer",
                               push.peer, fmt::join(push.errors, "\n")));
  return invalid ? kConfigInvalid : kFailed;
}

// lvsd has bounds of its own for a push: it ends in any case.
int push(const Context& context, bool dry_run) {
  auto answer = context.client.post("/v1/config/push", control::ConfigPushRequest{dry_run});
  for (;;) {
    if (!answer) return context.report(answer.error());
    const auto push = control::decode<control::ConfigPush>(*answer);
    if (!push) return context.misunderstood(push.error());
    if (push->state == "done" || push->state == "failed") {
      if (context.format != Format::table) context.print_data(*answer);
      if (push->state == "failed") return not_pushed(context, *push);
      if (context.format == Format::table) context.print(pushed(*push));
      return kOk;
    }
    context.sleep(kPushPoll);
    answer = context.client.get("/v1/config/push");
  }
}

}  // namespace

void add_config(CLI::App& command, Action& action) {
  command.require_subcommand(1);
  CLI::App* one = command.add_subcommand("check", "Is FILE valid, and what would it change? Changes nothing");
  const auto path = std::make_shared<std::string>();
  one->add_option("FILE", *path, "A configuration file; - reads standard input")->required()->type_name("");
  one->callback([&action, path] { action = [path](const Context& context) { return check(context, *path); }; });
  command.add_subcommand("diff", "What `config apply` would change: the files on disk against what runs")
      ->callback([&action] {
        action = [](const Context& context) {
          return show_verdict<control::ConfigDiff>(context, context.client.get("/v1/config/diff"),
                                                   "the configuration on disk");
        };
      });
  command.add_subcommand("apply", "Load the files on disk, as SIGHUP does; an error changes nothing")
      ->callback([&action] { action = apply; });
  CLI::App* other = command.add_subcommand(
      "push", "Give the other router of the pair this one's configuration, as far as they have it in common");
  const auto dry_run = std::make_shared<bool>(false);
  other->add_flag("--dry-run", *dry_run, "Only say what it would change there");
  other->callback(
      [&action, dry_run] { action = [dry_run](const Context& context) { return push(context, *dry_run); }; });
  command.footer("Exit code 3: the configuration is not valid; every error is shown as file:line:column: message.");
}

}  // namespace xlvs::cli
