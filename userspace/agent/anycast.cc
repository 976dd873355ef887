// SPDX-License-Identifier: Apache-2.0
#include "agent/anycast.h"

#include <algorithm>

#include <fmt/format.h>

#include "agent/reports.h"
#include "core/scheduler.h"

namespace xlvs::agent {
namespace {

bool is_anycast(const std::optional<HaConfig>& ha) {
  return ha && ha->mode == HaMode::anycast;
}

bool listens_on(const ServiceConfig& service, const IpAddress& address) {
  return std::any_of(service.listeners.begin(), service.listeners.end(),
                     [&](const Listener& listener) { return listener.address == address; });
}

// What each service on an address that is not announced has to say.
std::string why_not(const Config& config, const Pools& pools, const std::map<std::string, std::string>& unsettled,
                    const IpAddress& address) {
  std::string text;
  for (const ServiceConfig& service : config.services) {
    if (!listens_on(service, address)) continue;
    const auto waits = unsettled.find(service.name);
    const auto pool = pools.find(service.name);
    std::string reason;
    if (waits != unsettled.end())
      reason = waits->second;
    else if (pool == pools.end() || pool->second.withdrawn)
      reason = "no backend may take flows";
    if (!reason.empty()) text += fmt::format("{}service {}: {}", text.empty() ? "" : "; ", service.name, reason);
  }
  return text.empty() ? "it could not be placed: see the log" : text;
}

// Why it is open whether this backend is in the table, if it is. One that is down is so for certain when it has failed
// since the service has recovered: what took all of them away (this router's link, say) may take them for one moment
// longer.
std::string open_question(const health::Health* health, Anycast::Time recovered) {
  using health::LifeState;
  if (health == nullptr || health->life == LifeState::unchecked) return "has not been checked yet";
  if (health->life == LifeState::reentry) return "is coming back";
  if (health->life != LifeState::down) return "";
  const bool failed = std::any_of(health->checks.begin(), health->checks.end(), [&](const health::CheckHealth& check) {
    return check.failures > 0 && check.at >= recovered;
  });
  return failed ? "" : "may be coming back";
}

// Whatever its checks find, it is decided.
bool overruled(const Balancer& balancer, const BackendRef& backend) {
  const Override change = balancer.override_of(backend);
  return change.disabled || change.forced || balancer.maintenance(backend) != nullptr;
}

bool hashes(const ServiceConfig& service) {
  const PickRule pick = scheduler_info(service.scheduler).pick;
  return pick == PickRule::source_hash || pick == PickRule::dest_hash;
}

}  // namespace

std::optional<HaConfig> vrrp_of(const std::optional<HaConfig>& ha) {
  return is_anycast(ha) ? std::nullopt : ha;
}

void Anycast::observe(const Pools& pools, Time now) {
  for (const auto& [service, pool] : pools) {
    const auto before = well_.find(service);
    if (before == well_.end()) {
      if (!pool.withdrawn) well_[service] = true;  // the first time every backend is new, which is another matter
      continue;
    }
    if (!before->second && !pool.withdrawn) recovered_[service] = now;
    before->second = !pool.withdrawn;
  }
}

std::map<std::string, std::string> Anycast::unsettled(const Balancer& balancer, const NameMemories& names) const {
  std::map<std::string, std::string> services;
  for (const ServiceConfig& service : balancer.config().services) {
    const auto known = recovered_.find(service.name);
    const Time recovered = known == recovered_.end() ? Time{} : known->second;
    for (const BackendConfig& backend : service.named) {
      const auto name = names.find({backend.host, service.family()});
      if (name == names.end() || name->second.addresses.empty())
        services.emplace(service.name, fmt::format("name {} has not been resolved yet", backend.host));
    }
    for (const BackendConfig& backend : service.backends) {
      const BackendRef ref{service.name, backend.endpoint()};
      const std::string why = overruled(balancer, ref) ? "" : open_question(balancer.health(ref), recovered);
      if (!why.empty())
        services.emplace(service.name, fmt::format("backend {} {}", backend.endpoint().to_string(), why));
    }
  }
  return services;
}

Anycast::Anycast(bool released)
    : released_(released),
      reason_(released ? "released by the operator, before a restart" : ""),
      since_(std::chrono::system_clock::now()) {}

void Anycast::configure(const std::optional<HaConfig>& ha) {
  configured_ = is_anycast(ha);
  if (!configured_ && released_) change(false, "");
}

void Anycast::change(bool released, const char* reason) {
  released_ = released;
  reason_ = reason;
  since_ = std::chrono::system_clock::now();
  ++transitions_;
}

bool Anycast::release() {
  if (released_) return false;
  change(true, "released by the operator");
  return true;
}

bool Anycast::resume() {
  if (!released_) return false;
  change(false, "resumed by the operator");
  return true;
}

bool Anycast::active_with(const std::optional<HaConfig>& ha) const {
  return !(released_ && is_anycast(ha));
}

std::set<IpAddress> Anycast::waiting(const Config& config, const std::map<std::string, std::string>& unsettled) const {
  std::set<IpAddress> addresses;
  if (!configured_) return addresses;
  for (const ServiceConfig& service : config.services)
    if (unsettled.contains(service.name))
      for (const Listener& listener : service.listeners) addresses.insert(listener.address);
  return addresses;
}

control::HaReport Anycast::report(const Config& config, const Pools& pools,
                                  const std::map<std::string, std::string>& unsettled, const Vips& vips) const {
  const Vips::Placed& placed = vips.placed();
  control::HaReport report;
  report.mode = "anycast";
  report.role = released_ ? "released" : "active";
  report.reason = reason_;
  report.since = seconds_since_epoch(since_);
  report.transitions = transitions_;
  report.released = released_;
  report.table = placed.table;
  const std::set<IpAddress> announced = placed.table != 0 ? vips.present_routes() : vips.present();
  for (const IpAddress& address : listened_on(config)) {
    control::HaVipReport& vip = report.vips.emplace_back();
    vip.address = address.to_string();
    vip.announced = announced.contains(address) || (placed.table == 0 && vips.foreign().contains(address));
    if (!vip.announced) vip.reason = released_ ? reason_ : why_not(config, pools, unsettled, address);
  }
  return report;
}

std::vector<std::string> Anycast::warnings(const Config& config, const Vips& vips) const {
  std::vector<std::string> warnings;
  if (!configured_ || vips.placed().table != 0) return warnings;
  for (const IpAddress& address : vips.foreign())
    warnings.push_back(fmt::format("VIP {} was on {} before lvsd, which can not withdraw it: remove it there",
                                   address.to_string(), config.vip_interface));
  return warnings;
}

std::vector<std::string> anycast_warnings(const Config& config) {
  std::vector<std::string> warnings;
  if (!is_anycast(config.ha)) return warnings;
  for (const ServiceConfig& service : config.services) {
    const bool tcp = std::any_of(service.listeners.begin(), service.listeners.end(),
                                 [](const Listener& listener) { return listener.protocol == Protocol::tcp; });
    if (tcp && !hashes(service))
      warnings.push_back(
          fmt::format("service {}: connections that the network moves to another router break with scheduler {}; mh "
                      "finds their backend again",
                      service.name, to_string(service.scheduler)));
  }
  return warnings;
}

}  // namespace xlvs::agent
