// SPDX-License-Identifier: Apache-2.0
#include "agent/next_hops.h"

#include <utility>

#include <spdlog/spdlog.h>

namespace xlvs::agent {

NextHops::NextHops(dataplane::Dataplane& dataplane, const std::vector<net::Link>& links, Events events)
    : dataplane_(dataplane), events_(std::move(events)) {
  for (const net::Link& link : links) names_[link.ifindex] = link.name;
}

Result<std::unique_ptr<NextHops>> NextHops::open(boost::asio::io_context& loop, Host& host,
                                                 dataplane::Dataplane& dataplane, const std::vector<net::Link>& links,
                                                 Events told) {
  std::unique_ptr<NextHops> hops(new NextHops(dataplane, links, std::move(told)));
  NextHops* self = hops.get();
  net::Watch::Events events;
  events.hop_changed = [self](const IpAddress& address, const std::optional<net::Hop>& hop, const std::string& reason) {
    self->on_hop(address, hop, reason);
  };
  events.link_changed = [self](const net::Link& link) { self->on_link(link); };
  events.tables_changed = [self] { self->events_.tables_changed(); };
  auto watch = host.open_watch(loop, std::move(events));
  if (!watch) return tl::make_unexpected(watch.error());
  hops->watch_ = std::move(*watch);
  return hops;
}

void NextHops::follow(const Config& config) {
  followed_.clear();
  for (const ServiceConfig& service : config.services) {
    for (const BackendConfig& backend : service.backends) followed_.insert(backend.address);
  }
  watch_->follow(followed_);
}

void NextHops::on_hop(const IpAddress& address, const std::optional<net::Hop>& hop, const std::string& reason) {
  if (!hop) {
    dataplane_.set_next_hop(address, std::nullopt);
    spdlog::warn("backend {}: no next hop: {}", address.to_string(), reason);
    return;
  }
  dataplane_.set_next_hop(address, dataplane::NextHop{hop->local, hop->mac, hop->ifindex});
  spdlog::info("backend {}: {}", address.to_string(), reason);
}

void NextHops::on_link(const net::Link& link) {
  if (!link.up && link.mtu == 0) {
    names_.erase(link.ifindex);
  } else {
    names_[link.ifindex] = link.name;
  }
  events_.link_changed(link);
}

std::string NextHops::device(unsigned ifindex) const {
  const auto name = names_.find(ifindex);
  return name == names_.end() ? fmt::format("ifindex {}", ifindex) : name->second;
}

std::string NextHops::describe(const dataplane::NextHop& hop) const {
  if (hop.local) return "local";
  return fmt::format("{} dev {}", hop.mac.to_string(), device(hop.ifindex));
}

std::vector<std::string> NextHops::warnings(const Interfaces& interfaces) const {
  std::vector<std::string> warnings;
  for (const IpAddress& address : followed_) {
    const auto hop = watch_->hop(address);
    if (!hop || hop->local || interfaces.carries(hop->ifindex)) continue;
    warnings.push_back(
        fmt::format("backend {} is reached through {}, which is not one of `interfaces`: its traffic is dropped",
                    address.to_string(), device(hop->ifindex)));
  }
  return warnings;
}

}  // namespace xlvs::agent
