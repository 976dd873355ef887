// SPDX-License-Identifier: Apache-2.0
#include "agent/interfaces.h"

#include <algorithm>
#include <set>

#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

namespace xlvs::agent {
namespace {

const net::Link* find(const std::vector<net::Link>& links, const std::string& name) {
  const auto link = std::find_if(links.begin(), links.end(), [&](const net::Link& l) { return l.name == name; });
  return link == links.end() ? nullptr : &*link;
}

bool is_gone(const net::Link& link) {
  return !link.up && link.mtu == 0;
}

}  // namespace

Result<void> check_interfaces(const Config& config, const std::vector<net::Link>& links,
                              const std::set<std::string>& known) {
  std::vector<std::string> missing;
  std::set<std::string> may_be = known;
  for (const InterfaceConfig& interface : config.interfaces) {
    if (interface.optional) may_be.insert(interface.name);
    if (!may_be.contains(interface.name) && find(links, interface.name) == nullptr) missing.push_back(interface.name);
  }
  if (config.manage_vips && !may_be.contains(config.vip_interface) && find(links, config.vip_interface) == nullptr) {
    missing.push_back(config.vip_interface + " (vip_interface)");
  }
  if (missing.empty()) return {};
  std::vector<std::string> available;
  for (const net::Link& link : links) available.push_back(link.name);
  std::sort(available.begin(), available.end());
  return fail(ErrorKind::not_found, "no such interface: {}; this host has {}", fmt::join(missing, ", "),
              fmt::join(available, ", "));
}

Result<void> Interfaces::attach_one(Interface& interface) {
  const auto status = dataplane_.attach(
      {interface.link.name, interface.link.ifindex, interface.link.mac, interface.link.mtu, interface.config.mode});
  if (!status) return tl::make_unexpected(status.error());
  interface.attached = true;
  interface.error.clear();
  return {};
}

Result<void> Interfaces::attach(const std::vector<InterfaceConfig>& wanted, const std::vector<net::Link>& links,
                                Undo& undo) {
  for (const InterfaceConfig& config : wanted) {
    const auto before = interfaces_.find(config.name);
    if (before != interfaces_.end() && before->second.config == config) continue;
    if (before != interfaces_.end() && before->second.config.mode == config.mode) {
      undo.push([this, old = before->second.config] { interfaces_.at(old.name).config = old; });
      before->second.config = config;
      continue;
    }
    const net::Link* link = find(links, config.name);
    if (link == nullptr) {
      wait_for(config, links, undo);
      continue;
    }
    const auto ports = dataplane_.ports();  // also under the name that it had before
    const bool was_there =
        std::any_of(ports.begin(), ports.end(), [&](const auto& p) { return p.ifindex == link->ifindex; });
    if (before != interfaces_.end()) {  // another mode: the kernel wants the old attachment gone first
      const Interface old = before->second;
      dataplane_.detach(config.name);
      undo.push([this, old] {
        Interface again = old;
        if (auto result = attach_one(again); !result) spdlog::error("{}", result.error().message);
        interfaces_[old.config.name] = again;
      });
    }
    Interface added{config, *link};
    if (auto result = attach_one(added); !result) return result;
    interfaces_[config.name] = added;
    undo.push([this, name = config.name, detach = before != interfaces_.end() || !was_there] {
      if (detach) dataplane_.detach(name);
      interfaces_.erase(name);
    });
  }
  return {};
}

// It is missing, and may be; or it has another name since its program was attached.
void Interfaces::wait_for(const InterfaceConfig& config, const std::vector<net::Link>& links, Undo& undo) {
  const auto before = interfaces_.find(config.name);
  const auto old = before == interfaces_.end() ? std::nullopt : std::optional(before->second);
  undo.push([this, name = config.name, old] {
    interfaces_.erase(name);
    if (old) interfaces_.emplace(name, *old);
  });
  Interface waiting = old.value_or(Interface{config, {}});
  waiting.config = config;
  waiting.link.name = config.name;
  waiting.seen = old ? old->seen : remembered_.contains(config.name);
  interfaces_[config.name] = waiting;
  for (const dataplane::PortStatus& port : dataplane_.ports()) {
    if (port.name != config.name) continue;
    interfaces_[config.name].link.ifindex = port.ifindex;
    interfaces_[config.name].attached = interfaces_[config.name].seen = true;
    for (const net::Link& link : links) note_rename(link);
  }
  if (!interfaces_[config.name].attached)
    spdlog::warn("interface {}: missing; its traffic is not balanced until it comes", config.name);
}

void Interfaces::keep_only(const std::vector<InterfaceConfig>& wanted) {
  std::set<std::string> names;
  for (const InterfaceConfig& config : wanted) names.insert(config.name);
  for (const dataplane::PortStatus& port : dataplane_.ports()) {
    if (names.contains(port.name)) continue;
    dataplane_.detach(port.name);
  }
  std::erase_if(interfaces_, [&](const auto& entry) { return !names.contains(entry.first); });
}

// Known by its number: the program stays attached, and the addresses stay, whatever it is called.
bool Interfaces::note_rename(const net::Link& link) {
  for (auto& [name, interface] : interfaces_) {
    if (interface.link.ifindex != link.ifindex || name == link.name) continue;
    if (is_gone(link)) {
      interface.renamed.clear();
      net::Link gone = link;
      gone.name = name;
      link_changed(gone);
      return true;
    }
    if (interface.renamed != link.name)
      spdlog::warn("interface {} was renamed to {}; the XDP program stays attached to it", name, link.name);
    interface.renamed = link.name;
    interface.link.up = link.up;
    return true;
  }
  return false;
}

void Interfaces::link_changed(const net::Link& link) {
  const auto found = interfaces_.find(link.name);
  if (found == interfaces_.end()) {
    note_rename(link);
    return;
  }
  Interface& interface = found->second;
  const net::Link before = interface.link;
  if (is_gone(link) && before.ifindex != link.ifindex) return;  // of one before
  interface.link = link;
  if (!is_gone(link) && !interface.renamed.empty()) {
    spdlog::info("interface {}: has its name again", link.name);
    interface.renamed.clear();
  }
  if (is_gone(link)) {
    // The kernel detaches the program with the interface; what is left of it here must not be adopted again.
    interface.link.ifindex = 0;
    if (interface.attached) dataplane_.detach(link.name);
    interface.attached = false;
    interface.error.clear();
    if (before.ifindex != 0)
      spdlog::warn("interface {}: gone; its traffic is not balanced until it returns", link.name);
    return;
  }
  if (!interface.attached || link.ifindex != before.ifindex) {
    if (interface.attached) dataplane_.detach(link.name);
    interface.attached = false;
    interface.seen = true;
    reattach(interface);
    return;
  }
  if (link.mac != before.mac || link.mtu != before.mtu) {
    dataplane_.update_port({link.name, link.ifindex, link.mac, link.mtu, interface.config.mode});
    spdlog::info("interface {}: MAC {}, MTU {}", link.name, link.mac.to_string(), link.mtu);
  }
  if (link.up != before.up) {
    spdlog::log(link.up ? spdlog::level::info : spdlog::level::warn, "interface {}: {}", link.name,
                link.up ? "up" : "down");
  }
}

void Interfaces::reattach(Interface& interface) {
  const auto result = attach_one(interface);
  if (result || result.error().message == interface.error) return;
  interface.error = result.error().message;
  spdlog::error("interface {}: cannot attach again, will retry: {}", interface.config.name, interface.error);
}

void Interfaces::retry() {
  for (auto& [name, interface] : interfaces_) {
    if (!interface.attached && interface.link.ifindex != 0) reattach(interface);
  }
}

bool Interfaces::is_up(const std::string& name) const {
  const auto found = interfaces_.find(name);
  return found != interfaces_.end() && found->second.link.up;
}

std::set<std::string> Interfaces::known() const {
  std::set<std::string> names;
  for (const auto& [name, interface] : interfaces_)
    if (interface.seen) names.insert(name);
  return names;
}

bool Interfaces::carries(unsigned ifindex) const {
  return std::any_of(interfaces_.begin(), interfaces_.end(),
                     [&](const auto& entry) { return entry.second.attached && entry.second.link.ifindex == ifindex; });
}

std::vector<std::string> Interfaces::warnings() const {
  std::vector<std::string> warnings;
  for (const auto& [name, interface] : interfaces_) {
    if (interface.link.ifindex == 0) {
      warnings.push_back(fmt::format("interface {} is {}", name, interface.seen ? "gone" : "missing"));
    } else if (!interface.renamed.empty()) {
      warnings.push_back(fmt::format(
          "interface {} was renamed to {}, which goes on carrying the XDP program: name it so in `interfaces`", name,
          interface.renamed));
    } else if (!interface.attached) {
      warnings.push_back(fmt::format("interface {} is not attached: {}", name, interface.error));
    } else if (!interface.link.up) {
      warnings.push_back(fmt::format("interface {} is down", name));
    }
  }
  for (const dataplane::PortStatus& port : dataplane_.ports()) {
    if (!port.native) {
      warnings.push_back(
          fmt::format("interface {} is in generic mode, which is slow: {}", port.name, port.mode_reason));
    }
  }
  return warnings;
}

}  // namespace xlvs::agent
