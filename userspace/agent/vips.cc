// SPDX-License-Identifier: Apache-2.0
#include "agent/vips.h"

#include <spdlog/spdlog.h>

namespace xlvs::agent {
namespace {

std::set<IpAddress> wanted_by(const Config& config) {
  std::set<IpAddress> addresses;
  if (!config.manage_vips) return addresses;
  for (const ServiceConfig& service : config.services) {
    for (const Listener& listener : service.listeners) addresses.insert(listener.address);
  }
  return addresses;
}

void log_difference(const std::set<IpAddress>& before, const std::set<IpAddress>& after, const std::string& interface) {
  for (const IpAddress& address : after) {
    if (!before.contains(address)) spdlog::info("VIP {} added to {}", address.to_string(), interface);
  }
  for (const IpAddress& address : before) {
    if (!after.contains(address)) spdlog::info("VIP {} removed from {}", address.to_string(), interface);
  }
}

}  // namespace

Result<void> Vips::set(const Config& config) {
  const std::set<IpAddress> wanted = wanted_by(config);
  if (interface_ != config.vip_interface && !owned_.empty()) {
    std::set<IpAddress> moved;
    if (auto result = host_.set_vips(config.vip_interface, wanted, moved); !result) {
      (void)host_.set_vips(config.vip_interface, {}, moved);
      return result;
    }
    remove_all();
    owned_ = std::move(moved);
    interface_ = config.vip_interface;
    log_difference({}, owned_, interface_);
    return {};
  }
  interface_ = config.vip_interface;
  const std::set<IpAddress> before = owned_;
  if (auto result = host_.set_vips(interface_, wanted, owned_); !result) {
    (void)host_.set_vips(interface_, before, owned_);
    return result;
  }
  log_difference(before, owned_, interface_);
  return {};
}

void Vips::remove_all() {
  if (owned_.empty()) return;
  const std::set<IpAddress> before = owned_;
  if (auto result = host_.set_vips(interface_, {}, owned_); !result) {
    spdlog::warn("cannot remove VIPs from {}: {}", interface_, result.error().message);
    owned_.clear();  // with an interface that is gone, its addresses are gone too
  }
  log_difference(before, owned_, interface_);
}

}  // namespace xlvs::agent
