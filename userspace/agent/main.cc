// SPDX-License-Identifier: Apache-2.0
// lvsd's command line, signals and exit codes.
#include <csignal>
#include <cstdio>
#include <regex>
#include <string>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <CLI/CLI.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include "agent/agent.h"
#include "agent/configuration.h"
#include "agent/exit_code.h"
#include "agent/logging.h"
#include "agent/options.h"
#include "agent/programs.h"
#include "agent/reset.h"
#include "control/worker.h"
#include "health/files.h"

namespace {

using namespace xlvs;
using agent::Options;

int check(const Options& options) {
  const auto loaded = agent::load_configuration(options.config_path);
  if (!loaded) {
    fmt::print(stderr, "{}\n", loaded.error().message);
    return agent::kExitConfig;
  }
  if (const auto programs = agent::check_programs(loaded->config); !programs) {
    fmt::print(stderr, "{}\n", programs.error().message);
    return agent::kExitConfig;
  }
  if (const auto key = agent::check_peer_key(loaded->config); !key) {
    fmt::print(stderr, "{}\n", key.error().message);
    return agent::kExitConfig;
  }
  std::size_t backends = 0;
  for (const ServiceConfig& service : loaded->config.services)
    backends += service.backends.size() + service.named.size();
  fmt::print("{}: valid, {}, {}\n", options.config_path, agent::counted(loaded->config.services.size(), "service"),
             agent::counted(backends, "backend"));
  return agent::kExitOk;
}

int report(const Error& error) {
  agent::log_error("", error.message);
  return agent::exit_code(error.kind);
}

int reset(const Options& options) {
  const auto host = agent::make_host();
  const auto result = agent::reset_instance(options, *host);
  return result ? agent::kExitOk : report(result.error());
}

int run(const Options& options) {
  boost::asio::io_context loop(1);
  boost::asio::signal_set stop(loop, SIGTERM, SIGINT, SIGUSR2);
  boost::asio::signal_set hangup(loop, SIGHUP);
  const auto host = agent::make_host();
  if (const auto raised = health::raise_file_limit(); !raised) agent::log_error("", raised.error().message);
  agent::Agent lvsd(loop, options, *host);
  if (auto started = lvsd.start(); !started) return report(started.error());

  std::function<void()> await_hangup = [&] {
    hangup.async_wait([&](const boost::system::error_code& error, int) {
      if (error) return;
      // Read and parsed apart, then applied here, where it is logged.
      control::Worker::of(loop).apart(
          control::Worker::Kind::texts,
          [begin = lvsd.operations().begin_apply()]() -> control::Worker::Step {
            return [end = begin()] { (void)end(); };
          },
          [](const std::string& problem) { agent::log_error("reload", problem); });
      await_hangup();
    });
  };
  await_hangup();
  int signal = 0;
  stop.async_wait([&](const boost::system::error_code&, int number) {
    signal = number;
    loop.stop();
  });
  while (true) {
    try {
      loop.run();
      break;
    } catch (const std::exception& error) {  // no memory, say: what failed is lost, the rest goes on
      agent::log_error("internal error", error.what());
    }
  }
  lvsd.stop(signal == SIGUSR2 ? agent::Agent::Stop::for_restart : agent::Agent::Stop::for_good);
  return agent::kExitOk;
}

const CLI::Validator kInstanceName(
    [](std::string& name) {
      static const std::regex kPattern("[A-Za-z0-9][A-Za-z0-9_.-]{0,62}");
      return std::regex_match(name, kPattern) ? std::string() : "'" + name + "' is not a plain name ([A-Za-z0-9_.-])";
    },
    "NAME");

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("lvsd: balances TCP and UDP with XDP. docs/operations.md tells the whole story.");
  Options options;
  options.version = XLVS_VERSION;
  bool check_only = false;
  bool reset_only = false;
  app.add_option("--config", options.config_path, "Configuration file")->capture_default_str();
  app.add_option("--instance", options.instance, "Keeps socket, pins and state of several lvsd apart")
      ->check(kInstanceName)
      ->capture_default_str();
  app.add_option("--run-dir", options.run_dir, "Lock and control socket are in DIR/INSTANCE")->capture_default_str();
  app.add_option("--state-dir", options.state_dir, "State file is in DIR/INSTANCE")->capture_default_str();
  app.add_option("--bpffs", options.bpffs, "Where bpffs is mounted")->capture_default_str();
  auto* check_flag = app.add_flag("--check", check_only, "Validate the configuration, without root, and exit");
  app.add_flag("--reset", reset_only, "Detach, remove pins, VIPs and state, and exit")->excludes(check_flag);
  app.add_flag("--detach-on-exit", options.detach_on_exit,
               "Leave nothing behind on SIGTERM; without it traffic goes on");
  app.add_option("--log-level", options.log_level, "Wins over log_level of the configuration")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}));
  app.set_version_flag("--version", fmt::format("lvsd {}", XLVS_VERSION));
  app.footer("Exit codes: 0 ok, 1 failure, 2 usage, 3 configuration invalid, 4 conflict, 5 permission or unsupported");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? agent::kExitOk : agent::kExitUsage;
  }

  agent::setup_logging();
  std::signal(SIGPIPE, SIG_IGN);
  if (options.log_level) agent::set_log_level(*options.log_level);
  if (check_only) return check(options);
  return reset_only ? reset(options) : run(options);
}
