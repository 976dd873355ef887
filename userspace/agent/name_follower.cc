// SPDX-License-Identifier: Apache-2.0
#include "agent/name_follower.h"

#include <utility>

#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include "agent/logging.h"

namespace xlvs::agent {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaxAsking = 64;  // questions under way: each has sockets of its own

std::vector<std::string> texts(const std::set<IpAddress>& addresses) {
  std::vector<std::string> out;
  for (const IpAddress& address : addresses) out.push_back(address.to_string());
  return out;
}

std::string kept(std::size_t addresses) {
  if (addresses == 0) return "no address of it is known yet";
  return addresses == 1 ? "its known address stays in use"
                        : fmt::format("its {} known addresses stay in use", addresses);
}

}  // namespace

NameFollower::NameFollower(boost::asio::io_context& loop, std::unique_ptr<net::Resolver> resolver,
                           std::function<void()> changed)
    : resolver_(std::move(resolver)), changed_(std::move(changed)), timer_(loop) {}

void NameFollower::follow(const Config& config, const NameMemories& remembered) {
  resolver_->use_servers(config.names.servers);
  book_.follow(names_of(config), config.names, Clock::now(), remembered);
  turn();
}

void NameFollower::turn() {
  for (const Name& name : book_.take_due(Clock::now(), kMaxAsking - asking_)) {
    ++asking_;
    resolver_->resolve(name, [this, name](const Result<NameReply>& reply) { take(name, reply); });
  }
  const auto next = book_.next_due();
  if (!next || asking_ == kMaxAsking) return;  // whoever is answered next makes the next turn
  timer_.expires_at(*next);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) turn();
  });
}

void NameFollower::take(const Name& name, const Result<NameReply>& reply) {
  --asking_;
  const auto found = book_.entries().find(name);
  const std::string before = found == book_.entries().end() ? "" : found->second.error;
  const bool changed = book_.answer(name, reply, Clock::now());
  if (found != book_.entries().end()) {
    const NameBook::Entry& entry = found->second;
    if (!entry.error.empty() && entry.error != before)
      spdlog::warn("name {}: {}; {}", name.host, entry.error, kept(entry.addresses.size()));
    if (entry.error.empty() && !before.empty()) spdlog::info("name {}: resolved again", name.host);
    if (changed)
      spdlog::info("name {}: {}", name.host,
                   counted(entry.addresses.size(), "address") + ": " +
                       fmt::format("{}", fmt::join(texts(entry.addresses), ", ")));
    if (changed && entry.surplus > 0)
      spdlog::warn("name {}: {} more addresses than names.max_addresses are left out", name.host, entry.surplus);
  }
  turn();
  if (changed) changed_();
}

void NameFollower::forget_drained(const std::function<bool(const Name&, const IpAddress&)>& idle) {
  if (book_.forget_drained(idle, Clock::now())) changed_();
}

std::vector<control::NameReport> NameFollower::reports() const {
  std::vector<control::NameReport> out;
  for (const auto& [name, entry] : book_.entries()) {
    control::NameReport& report = out.emplace_back();
    report.name = name.host;
    report.family = to_string(name.family);
    report.addresses = texts(entry.addresses);
    for (const auto& [address, until] : entry.leaving) report.leaving.push_back(address.to_string());
    report.error = entry.error;
    report.resolved = entry.resolved;
    report.failed = entry.failed;
    report.surplus = entry.surplus;
  }
  return out;
}

std::vector<std::string> NameFollower::warnings() const {
  std::vector<std::string> out;
  for (const auto& [name, entry] : book_.entries()) {
    if (!entry.error.empty()) out.push_back(fmt::format("{}; {}", entry.error, kept(entry.addresses.size())));
    if (entry.surplus > 0)
      out.push_back(fmt::format("{} has {} addresses, {} more than names.max_addresses allows: they are left out",
                                name.host, entry.addresses.size() + entry.surplus, entry.surplus));
  }
  return out;
}

}  // namespace xlvs::agent
