// SPDX-License-Identifier: Apache-2.0
// Check type "exec": a program of the operator's decides, by its exit status, its output, or both.
#include <algorithm>
#include <cstring>
#include <utility>

#include "core/status_range.h"
#include "health/probers.h"
#include "health/process.h"

namespace xlvs::health {
namespace {

using Clock = std::chrono::steady_clock;
using End = ProgramResult::End;

constexpr std::size_t kMaxDetail = 160;  // of the program's words

// "%h" and "%p" are the address and port to be checked, "%%" is a percent sign.
std::string substitute(const std::string& text, const Endpoint& endpoint) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%' || i + 1 == text.size()) {
      result += text[i];
      continue;
    }
    switch (text[++i]) {
      case 'h':
        result += endpoint.address.to_string();
        break;
      case 'p':
        result += std::to_string(endpoint.port);
        break;
      default:
        result += text[i];
    }
  }
  return result;
}

// The first line, fit for a log and a terminal.
std::string first_words(const std::string& output) {
  std::string line = output.substr(0, std::min(output.find_first_of("\r\n"), kMaxDetail));
  std::replace_if(line.begin(), line.end(), [](char c) { return c < 0x20 || c > 0x7e; }, '?');
  return line.empty() ? line : ": " + line;
}

class ExecProber final : public Prober {
 public:
  ExecProber(boost::asio::io_context& loop, const ProbeTarget& target);

  void start(std::chrono::milliseconds timeout, std::function<void(ProbeResult)> done) override;

 private:
  void finish(ProgramResult result);
  [[nodiscard]] ProbeResult judge(const ProgramResult& result) const;
  [[nodiscard]] ProbeResult no_room() const;
  [[nodiscard]] ProbeResult judge_exit(const ProgramResult& result) const;

  Programs& programs_;
  const ProbeTarget target_;
  Program program_;
  std::vector<StatusRange> accepted_;
  const std::string* wanted_ = nullptr;  // in the output
  bool dynamic_ = false;

  // Of the running probe.
  std::unique_ptr<ProgramRun> run_;
  std::function<void(ProbeResult)> done_;
  std::chrono::milliseconds timeout_{0};
  Clock::time_point begin_;
};

ExecProber::ExecProber(boost::asio::io_context& loop, const ProbeTarget& target)
    : programs_(Programs::of(loop)), target_(target) {
  const CheckSpec& spec = target_.spec;
  if (const auto* command = parameter<std::vector<std::string>>(spec, "command")) {
    for (const std::string& argument : *command) {
      program_.arguments.push_back(program_.arguments.empty() ? argument : substitute(argument, target_.endpoint));
    }
  }
  program_.environment = {"XLVS_ADDRESS=" + target_.endpoint.address.to_string(),
                          fmt::format("XLVS_PORT={}", target_.endpoint.port),
                          fmt::format("XLVS_TIMEOUT_MS={}", spec.timeout.count())};
  if (const auto* user = parameter<std::string>(spec, "user")) {
    // A user who is gone since the configuration was accepted: then nobody.
    program_.user = find_program_user(*user).value_or(ProgramUser{});
  }
  if (const auto* exit = parameter<std::vector<StatusRange>>(spec, "expect_exit")) accepted_ = *exit;
  if (const auto* dynamic = parameter<bool>(spec, "dynamic")) dynamic_ = *dynamic;
  wanted_ = parameter<std::string>(spec, "expect_output");
  program_.with_errors = wanted_ == nullptr;  // then the output is for people only
}

void ExecProber::start(std::chrono::milliseconds timeout, std::function<void(ProbeResult)> done) {
  done_ = std::move(done);
  timeout_ = timeout;
  begin_ = Clock::now();
  run_ = programs_.run(program_, timeout, [this](ProgramResult result) { finish(std::move(result)); });
}

void ExecProber::finish(ProgramResult result) {
  ProbeResult found = judge(result);
  found.latency = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin_);
  const auto done = std::exchange(done_, nullptr);
  done(std::move(found));
}

ProbeResult ExecProber::no_room() const {
  ProbeResult result{false,
                     "programs",
                     fmt::format("not started within {} ms: max_programs others ran all the time",
                                 Programs::longest_wait(timeout_).count()),
                     {}};
  result.no_result = true;
  return result;
}

ProbeResult ExecProber::judge(const ProgramResult& result) const {
  switch (result.end) {
    case End::exited:
      return judge_exit(result);
    case End::signalled:
      return {false, "status", fmt::format("ended by signal {} ({})", result.code, strsignal(result.code)), {}};
    case End::timeout:
      return {false,
              "timeout",
              fmt::format("still running after {} ms, killed{}", timeout_.count(), first_words(result.output)),
              {}};
    case End::too_much_output:
      return {false, "too_large", fmt::format("more than {} bytes of output, killed", kMaxProgramOutput), {}};
    case End::no_room:
      return no_room();
    case End::not_started:
      break;
  }
  if (result.resources) return lack_of_resources(result.error);
  return {false, "error", result.error, {}};
}

// With `dynamic` exit statuses mean what they mean to keepalived's misc_dynamic.
ProbeResult ExecProber::judge_exit(const ProgramResult& result) const {
  const auto accepts = [&](const StatusRange& range) {
    return range.first <= result.code && result.code <= range.last;
  };
  const bool passed = dynamic_ ? result.code != 1 : std::any_of(accepted_.begin(), accepted_.end(), accepts);
  if (!passed) {
    const std::string expected = dynamic_ ? "0 or 2-255" : to_string(accepted_);
    return {false,
            "status",
            fmt::format("exit status {}, expected {}{}", result.code, expected, first_words(result.output)),
            {}};
  }
  if (wanted_ != nullptr && result.output.find(*wanted_) == std::string::npos) {
    return {false, "body", fmt::format("\"{}\" is not in the output{}", *wanted_, first_words(result.output)), {}};
  }
  ProbeResult found{true, "ok", fmt::format("exit status {}", result.code), {}};
  if (dynamic_ && result.code >= 2) {
    found.weight = WeightAdvice{WeightAdvice::Unit::absolute, static_cast<std::uint32_t>(result.code - 2)};
  }
  return found;
}

}  // namespace

std::unique_ptr<Prober> make_exec(boost::asio::io_context& loop, const ProbeTarget& target) {
  return std::make_unique<ExecProber>(loop, target);
}

}  // namespace xlvs::health
