// SPDX-License-Identifier: Apache-2.0
#include "agent/config_pushing.h"

#include <utility>

#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include "agent/random_number.h"
#include "control/json.h"

namespace xlvs::agent {
namespace {

constexpr PeerPort::Use kUse{ha::PeerUse::config, 2, "configuration of the peer"};
constexpr std::chrono::milliseconds kTick{100};

ErrorKind kind_of(ha::ConfigOutcome outcome) {
  if (outcome == ha::ConfigOutcome::invalid) return ErrorKind::invalid;
  return outcome == ha::ConfigOutcome::refused ? ErrorKind::permission : ErrorKind::unavailable;
}

}  // namespace

ConfigPushing::ConfigPushing(boost::asio::io_context& loop, Take take)
    : loop_(loop),
      take_(std::move(take)),
      port_(loop, kUse,
            [this](std::uint8_t type, std::span<const std::uint8_t> body) { return received(type, body); }) {}

Result<ConfigPushing::Next> ConfigPushing::prepare(const std::optional<HaConfig>& config) const {
  return port_.prepare(config ? config->peer : std::nullopt);
}

void ConfigPushing::use(Next next) {
  config_ = next.config;
  port_.use(std::move(next));
  if (!config_) ticker_.reset();
  if (config_ && !ticker_) ticker_.emplace(loop_, kTick, [this] { tick(); });
  if (config_ || !sender_) return;
  sender_.reset();
  push_.state = "failed";
  push_.error_kind = control::to_string(ErrorKind::unavailable);
  push_.errors = {"the configuration has no peer any more"};
  sent_["failed"]++;
}

Result<void> ConfigPushing::push(const std::vector<ha::ConfigFile>& files, std::vector<std::string> names,
                                 bool dry_run) {
  if (!config_)
    return fail(ErrorKind::not_found, "the configuration has no `ha.peer`: there is no router to push it to");
  if (sender_)
    return fail(ErrorKind::conflict, "a configuration is being pushed to {} already", config_->address.to_string());
  auto whole = ha::encode_files(files);
  if (!whole) return tl::make_unexpected(whole.error());
  push_ = {};
  push_.peer = config_->address.to_string();
  push_.dry_run = dry_run;
  push_.files = std::move(names);
  const ha::Time now = ha::Clock::now();
  sender_.emplace(now, random_number(), *std::move(whole), dry_run);
  send(sender_->tick(now));
  return {};
}

void ConfigPushing::send(const std::vector<ha::ConfigOutgoing>& messages) {
  for (const ha::ConfigOutgoing& message : messages) port_.send(message.type, message.body);
}

void ConfigPushing::tick() {
  const ha::Time now = ha::Clock::now();
  receiver_.tick(now);
  if (!sender_) return;
  send(sender_->tick(now));
  look_for_end();
}

bool ConfigPushing::received(std::uint8_t type, std::span<const std::uint8_t> body) {
  if (type == ha::kConfigChunk) return take(body);
  const ha::Time now = ha::Clock::now();
  if (type == ha::kPeerGreeting) {
    // The peer did not know this router until now, and has taken nothing yet.
    if (sender_ && sender_->arrived() == 0) send(sender_->start_again(now));
    return true;
  }
  if (type != ha::kConfigProgress && type != ha::kConfigVerdict) return false;
  if (!sender_) return true;  // of an earlier push, late
  const auto messages = sender_->receive(now, type, body);
  if (!messages) return false;
  send(*messages);
  look_for_end();
  return true;
}

void ConfigPushing::look_for_end() {
  if (!sender_->over()) return;
  push_ = report();
  if (sender_->state() == ha::ConfigSender::State::silent) {
    sent_["failed"]++;
  } else {
    sent_[std::string(to_string(sender_->verdict().outcome))]++;
  }
  sender_.reset();
  if (push_.state == "done")
    spdlog::info("the peer {} {}: {}", push_.peer, push_.dry_run ? "would take the configuration" : "has it in force",
                 fmt::join(push_.changes, "; "));
  else
    spdlog::warn("the configuration was not pushed to the peer {}: {}", push_.peer, fmt::join(push_.errors, "; "));
}

control::ConfigPush ConfigPushing::report() const {
  control::ConfigPush report = push_;
  if (!sender_) return report;
  report.bytes = sender_->length();
  report.acknowledged = sender_->arrived();
  using State = ha::ConfigSender::State;
  const ha::ConfigVerdict& verdict = sender_->verdict();
  switch (sender_->state()) {
    case State::sending:
      report.state = "sending";
      break;
    case State::deciding:
      report.state = "deciding";
      break;
    case State::silent:
      report.state = "failed";
      report.error_kind = control::to_string(ErrorKind::unavailable);
      report.errors = {sender_->arrived() == 0
                           ? fmt::format("the peer {} does not answer on port {}: is its lvsd running, and do both "
                                         "have the same key? (`lvsctl ha status`)",
                                         report.peer, config_->port + kUse.offset)
                           : fmt::format("the peer {} has fallen silent; what it has in force is unknown: `lvsctl ha "
                                         "status` says whether the configurations are the same",
                                         report.peer)};
      break;
    case State::done:
      report.generation = verdict.generation;
      if (verdict.outcome == ha::ConfigOutcome::applied || verdict.outcome == ha::ConfigOutcome::valid) {
        report.state = "done";
        report.changes = verdict.lines;
      } else {
        report.state = "failed";
        report.error_kind = control::to_string(kind_of(verdict.outcome));
        report.errors = verdict.lines;
      }
  }
  return report;
}

void ConfigPushing::report_counts(control::HaPeerReport& report) const {
  report.pushes_sent = sent_;
  report.pushes_received = received_;
}

bool ConfigPushing::take(std::span<const std::uint8_t> body) {
  if (!accepts()) {
    const auto chunk = ha::decode_chunk(body);
    if (!chunk) return false;
    received_["refused"]++;
    send({receiver_.answer(
        chunk->transfer, {ha::ConfigOutcome::refused,
                          0,
                          {"it takes no configuration from this router: `ha.peer.accept_config` is not true there"}})});
    return true;
  }
  auto received = receiver_.receive(ha::Clock::now(), body);
  if (!received) return false;
  if (received->send) send({*received->send});
  if (!received->arrived) return true;
  const auto files = ha::decode_files(received->arrived->whole);
  ha::ConfigVerdict verdict{ha::ConfigOutcome::failed, 0, {"what arrived are no files"}};
  if (files) verdict = take_(*files, received->arrived->dry_run);
  received_[std::string(to_string(verdict.outcome))]++;
  const auto answer = receiver_.answer(received->arrived->transfer, std::move(verdict));
  if (port_.is_open()) send({answer});
  return true;
}

}  // namespace xlvs::agent
