// SPDX-License-Identifier: Apache-2.0
#include "agent/pair.h"

#include <utility>

#include <spdlog/spdlog.h>
#include <boost/asio/post.hpp>

namespace xlvs::agent {

Result<Pair::Next> Pair::prepare(const std::optional<HaConfig>& config) {
  Next next;
  next.config = config;
  next.keep = config == config_;
  if (!config || next.keep) return next;
  next.id = std::make_shared<const char>();
  auto speaker = host_.start_speaker(*config, [this, id = next.id](ha::Role role, const std::string& reason) {
    boost::asio::post(loop_, [this, id, role, reason] {
      if (id == id_) role_changed(role, reason);
    });
  });
  if (!speaker) return tl::make_unexpected(speaker.error());
  next.speaker = std::move(*speaker);
  return next;
}

void Pair::use(Next next) {
  if (next.keep) return;
  const bool was_active = active();
  speaker_ = std::move(next.speaker);
  id_ = std::move(next.id);
  config_ = std::move(next.config);
  role_ = ha::Role::init;
  if (active() != was_active) changed_();
}

void Pair::stop() {
  speaker_.reset();
  id_.reset();
  role_ = ha::Role::init;
}

void Pair::role_changed(ha::Role role, const std::string& reason) {
  spdlog::info("ha: {} ({})", to_string(role), reason);
  const bool was_active = active();
  role_ = role;
  if (active() != was_active) changed_();
}

void Pair::link_changed(const std::string& interface, bool up) {
  if (speaker_) speaker_->set_link(interface, up);
}

void Pair::release() {
  if (speaker_) speaker_->release();
}

void Pair::resume() {
  if (speaker_) speaker_->resume();
}

std::optional<ha::SpeakerReport> Pair::report() const {
  if (!speaker_) return std::nullopt;
  return speaker_->report();
}

}  // namespace xlvs::agent
