// SPDX-License-Identifier: Apache-2.0
#include "agent/pair.h"

#include <algorithm>
#include <utility>

#include <spdlog/spdlog.h>
#include <boost/asio/post.hpp>

#include "agent/reports.h"

namespace xlvs::agent {

Result<Pair::Next> Pair::prepare(const std::optional<HaConfig>& config) {
  Next next;
  next.config = config;
  next.keep = config == config_;
  next.active_after = next.keep ? active() : !config || goes_on(*config);
  if (!config || next.keep) return next;
  next.id = std::make_shared<const char>();
  const auto changed = [this, id = next.id](ha::Role role, const std::string& reason) {
    boost::asio::post(loop_, [this, id, role, reason] {
      if (id == id_) role_changed(role, reason);
    });
  };
  auto speaker = host_.open_speaker(*config, dataplane_.fence(), changed);
  if (!speaker) return tl::make_unexpected(speaker.error());
  next.speaker = std::move(*speaker);
  return next;
}

// Active until now, with the same virtual routers: as this process, or as the one before it, whose lease has not ended.
bool Pair::goes_on(const HaConfig& next) const {
  const std::uint64_t role = ha::role_number(next);
  if (speaker_) return role_ == ha::Role::active && ha::role_number(*config_) == role;
  return dataplane_.fence().answers(ha::Clock::now(), role);
}

void Pair::use(Next next) {
  if (next.keep) return;
  bool take_up = next.config && goes_on(*next.config);
  if (take_up && speaker_) take_up = speaker_->leave();  // it may have lost the role since it last reported
  speaker_ = std::move(next.speaker);
  id_ = std::move(next.id);
  config_ = std::move(next.config);
  role_ = take_up ? ha::Role::active : ha::Role::init;
  set_fenced();
  tracking_.set(config_ ? config_->track : std::vector<TrackConfig>{});
  if (!speaker_) return;
  speaker_->run(take_up);
  speaker_->set_facts(facts_);
  if (tracking_.verdict() != Tracking::Verdict{}) tell_tracked();
}

void Pair::tell_tracked() {
  const Tracking::Verdict verdict = tracking_.verdict();
  if (speaker_) speaker_->set_tracked(verdict.penalty, verdict.fault, verdict.why);
}

void Pair::services_changed(const std::vector<std::string>& without_backend) {
  tracking_.services_changed(without_backend);
}

// Not reason enough to refuse a configuration, or to leave a router without any.
void Pair::set_fenced() {
  std::set<IpAddress> addresses;
  if (config_)
    for (const VrrpInstanceConfig& instance : config_->instances)
      addresses.insert(instance.addresses.begin(), instance.addresses.end());
  if (auto done = dataplane_.set_fenced(addresses); !done)
    spdlog::error("two routers may answer for an address when this lvsd dies: {}", done.error().message);
}

bool Pair::alive() const {
  return !speaker_ || ha::Clock::now() - speaker_->report().last_turn < 5 * ha::kGreatestPause;
}

void Pair::leave() {
  if (speaker_) (void)speaker_->leave();
  id_.reset();
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
  told_(role, reason);
}

void Pair::link_changed(const std::string& interface, bool up) {
  if (speaker_) speaker_->set_link(interface, up);
  tracking_.link_changed(interface, up);
}

void Pair::release() {
  if (speaker_) speaker_->release();
}

void Pair::resume() {
  if (speaker_) speaker_->resume();
}

void Pair::hold(bool held) {
  if (speaker_) speaker_->hold(held);
}

// What is seen twice is no moment of a change of role.
void Pair::watch() {
  std::vector<std::string> now;
  if (speaker_) now = election_warnings(speaker_->report(), ha::Clock::now());
  const auto in = [](const std::vector<std::string>& all, const std::string& one) {
    return std::find(all.begin(), all.end(), one) != all.end();
  };
  for (const std::string& warning : now) {
    if (!in(suspected_, warning) || in(warned_, warning)) continue;
    warned_.push_back(warning);
    spdlog::warn("{}", warning);
  }
  std::erase_if(warned_, [&](const std::string& warning) {
    const bool over = !in(now, warning);
    if (over) spdlog::info("no more: {}", warning);
    return over;
  });
  suspected_ = std::move(now);
}

void Pair::set_facts(const ha::RouterFacts& facts) {
  if (facts == facts_) return;
  facts_ = facts;
  if (speaker_) speaker_->set_facts(facts);
}

std::optional<ha::SpeakerReport> Pair::report() const {
  if (!speaker_) return std::nullopt;
  return speaker_->report();
}

std::vector<HookInstance> Pair::instances() const {
  std::vector<HookInstance> all;
  if (!speaker_) return all;
  for (const ha::InstanceReport& instance : speaker_->report().instances)
    all.push_back({instance.name, instance.priority});
  return all;
}

}  // namespace xlvs::agent
