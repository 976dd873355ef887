// SPDX-License-Identifier: Apache-2.0
// lvsctl's commands against a canned lvsd: the real client, a real socket, the real API server.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "cli/command.h"
#include "control/server.h"
#include "tests/support/event_loop.h"
#include "tests/support/fake_operations.h"

namespace xlvs::cli {

class CliTest : public testing::Test {
 protected:
  struct Outcome {
    int code = -1;
    std::string out, err;
  };

  ~CliTest() override { stop_lvsd(); }

  void start_lvsd() {
    server_ = loop_.call([&] { return control::serve_unix(loop_.context(), socket, lvsd).value(); });
  }
  void stop_lvsd() {
    loop_.call([&] { server_.reset(); });
  }
  // With lvsd running.
  // Each look at the clock finds `seconds_a_look` more.
  Outcome run(const std::vector<std::string>& arguments, double seconds_a_look = 0) {
    if (!server_) start_lvsd();
    clock_step = seconds_a_look;
    return run_alone(arguments);
  }
  Outcome run_alone(const std::vector<std::string>& arguments) {
    Outcome outcome;
    Environment environment;
    environment.out = [&](std::string_view text) { return outcome.out += text, outcome.out.size() < reader_leaves_at; };
    environment.err = [&](std::string_view text) { outcome.err += text; };
    environment.now = [this, looks = 0]() mutable { return control::kNow + clock_step * looks++; };
    environment.sleep = [&](std::chrono::milliseconds duration) { slept.push_back(duration); };
    environment.read_file = [&](const std::string& path) -> Result<std::string> {
      if (files.contains(path)) return files[path];
      return fail(ErrorKind::not_found, "can not read {}: No such file or directory", path);
    };
    environment.colour = colour;
    std::vector<std::string> all{"--socket", socket};
    all.insert(all.end(), arguments.begin(), arguments.end());
    outcome.code = cli::run(all, environment);
    return outcome;
  }

  TemporaryDirectory directory;
  std::string socket = directory.file("lvsd.sock");
  control::FakeOperations lvsd;
  std::map<std::string, std::string> files;
  std::vector<std::chrono::milliseconds> slept;
  std::size_t reader_leaves_at = std::string::npos;  // bytes of output
  bool colour = false;
  double clock_step = 0;

 private:
  EventLoop loop_;
  std::unique_ptr<control::Server> server_;
};

}  // namespace xlvs::cli
