// SPDX-License-Identifier: Apache-2.0
#include "agent/tracking.h"

#include <algorithm>
#include <utility>

#include <fmt/ranges.h>
#include <spdlog/spdlog.h>
#include <boost/asio/steady_timer.hpp>

#include "health/process.h"
#include "health/rise_fall.h"

namespace xlvs::agent {
namespace {

using Clock = std::chrono::steady_clock;

// The first line of what a program wrote, fit for a log.
std::string first_words(const std::string& output) {
  constexpr std::size_t kMost = 200;
  std::string text = output.substr(0, std::min(output.find('\n'), kMost));
  std::replace_if(
      text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, ' ');
  return text;
}

std::string describe(const TrackConfig& config, const health::ProgramResult& result) {
  using End = health::ProgramResult::End;
  const std::string said = first_words(result.output);
  const std::string& name = config.program.front();
  switch (result.end) {
    case End::exited:
      return fmt::format("{} ended with {}{}{}", name, result.code, said.empty() ? "" : ": ", said);
    case End::signalled:
      return fmt::format("{} was ended by signal {}", name, result.code);
    case End::timeout:
      return fmt::format("{} took longer than {} ms", name, config.timeout.count());
    case End::too_much_output:
      return fmt::format("{} wrote too much", name);
    case End::no_room:
      return fmt::format("{} was not run: too many other programs are running", name);
    case End::not_started:
      break;
  }
  return fmt::format("{} can not be started: {}", name, result.error);
}

}  // namespace

struct Tracking::Track {
  Track(boost::asio::io_context& loop, const TrackConfig& from)
      : config(from), timer(loop), life(from.rise, from.fall) {
    report.name = from.name;
    report.weight = from.weight;
    report.since = std::chrono::system_clock::now();
    life.adopt(health::HealthState::up);
  }
  TrackConfig config;
  TrackReport report;
  boost::asio::steady_timer timer;
  health::RiseFall life;  // of a program's runs
  std::unique_ptr<health::ProgramRun> running;
};

Tracking::Tracking(boost::asio::io_context& loop, std::function<void()> changed)
    : loop_(loop), changed_(std::move(changed)) {}

Tracking::~Tracking() = default;

void Tracking::set(const std::vector<TrackConfig>& tracks) {
  std::vector<std::unique_ptr<Track>> before = std::exchange(tracks_, {});
  for (const TrackConfig& config : tracks) {
    const auto same =
        std::find_if(before.begin(), before.end(), [&](const auto& track) { return track && track->config == config; });
    if (same != before.end()) {
      tracks_.push_back(std::move(*same));
      continue;
    }
    tracks_.push_back(std::make_unique<Track>(loop_, config));
    Track& track = *tracks_.back();
    if (!config.program.empty()) run_in(track, Clock::duration::zero());
    if (!config.interface.empty() &&
        std::find(down_links_.begin(), down_links_.end(), config.interface) != down_links_.end()) {
      track.report.good = false;
      track.report.reason = fmt::format("{} is down", config.interface);
    }
  }
  const auto known = without_backend_;
  for (const auto& track : tracks_) {
    if (!track->config.services || known.empty()) continue;
    track->report.good = false;
    track->report.reason = fmt::format("no backend: {}", fmt::join(known, ", "));
  }
}

void Tracking::link_changed(const std::string& interface, bool up) {
  std::erase(down_links_, interface);
  if (!up) down_links_.push_back(interface);
  for (const auto& track : tracks_)
    if (track->config.interface == interface) found(*track, up, up ? "" : fmt::format("{} is down", interface));
}

void Tracking::services_changed(const std::vector<std::string>& without_backend) {
  without_backend_ = without_backend;
  for (const auto& track : tracks_) {
    if (!track->config.services) continue;
    found(*track, without_backend.empty(),
          without_backend.empty() ? "" : fmt::format("no backend: {}", fmt::join(without_backend, ", ")));
  }
}

void Tracking::found(Track& track, bool good, const std::string& reason) {
  TrackReport& report = track.report;
  report.reason = reason;
  if (report.good == good) return;
  report.good = good;
  report.since = std::chrono::system_clock::now();
  if (good)
    spdlog::info("ha: {} is well again", report.name);
  else
    spdlog::warn("ha: {}: {}", report.name, reason);
  changed_();
}

void Tracking::run_in(Track& track, Clock::duration delay) {
  track.timer.expires_after(delay);
  track.timer.async_wait([this, &track](const boost::system::error_code& error) {
    if (!error) run(track);  // otherwise the track is gone
  });
}

// From the start of one run to the start of the next.
void Tracking::run(Track& track) {
  const auto started = Clock::now();
  health::Program program;
  program.arguments = track.config.program;
  program.with_errors = true;
  if (const auto user = health::find_program_user(track.config.user)) program.user = *user;
  track.running = health::Programs::of(loop_).run(
      std::move(program), track.config.timeout, [this, &track, started](const health::ProgramResult& result) {
        track.running.reset();
        const bool good = result.end == health::ProgramResult::End::exited && result.code == 0;
        run_in(track, std::max(started + track.config.interval - Clock::now(), Clock::duration::zero()));
        track.life.report(good);
        const bool well = track.life.state() == health::HealthState::up;
        found(track, well, good ? first_words(result.output) : describe(track.config, result));
      });
}

Tracking::Verdict Tracking::verdict() const {
  Verdict verdict;
  for (const auto& track : tracks_) {
    if (track->report.good) continue;
    verdict.penalty += track->config.weight;
    verdict.fault = verdict.fault || track->config.weight == 0;
    verdict.why += fmt::format("{}{}: {}", verdict.why.empty() ? "" : "; ", track->report.name, track->report.reason);
  }
  return verdict;
}

std::vector<TrackReport> Tracking::report() const {
  std::vector<TrackReport> out;
  for (const auto& track : tracks_) out.push_back(track->report);
  return out;
}

}  // namespace xlvs::agent
