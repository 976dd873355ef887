// SPDX-License-Identifier: Apache-2.0
#include "core/names.h"

#include <algorithm>
#include <utility>

namespace xlvs {
namespace {

bool is_label(std::string_view label) {
  constexpr std::size_t kMaxLabel = 63;
  return !label.empty() && label.size() <= kMaxLabel && std::all_of(label.begin(), label.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

// Puts the addresses of one name into the service, but for those that are there already.
class Expansion {
 public:
  Expansion(ServiceConfig& service, const std::set<IpAddress>& vips) : service_(service), vips_(vips) {
    for (const BackendConfig& backend : service.backends) seen_.insert(backend.endpoint());
  }
  void add(const BackendConfig& named, const std::set<IpAddress>& addresses, bool leaving) {
    for (const IpAddress& address : addresses) {
      BackendConfig backend = named;
      backend.address = address;
      backend.leaving = leaving;
      if (leaving) backend.weight = 0;
      if (vips_.contains(address)) continue;
      if (seen_.insert(backend.endpoint()).second)
        service_.backends.push_back(std::move(backend));
      else
        merge_sorry(std::move(backend));
    }
  }

 private:
  // The sorry server's address is one of the name's: it is a backend, too. without_names() undoes it.
  void merge_sorry(BackendConfig backend) {
    const auto known = std::find_if(service_.backends.begin(), service_.backends.end(),
                                    [&](const BackendConfig& other) { return other.endpoint() == backend.endpoint(); });
    if (backend.leaving || known->tier != kSorryTier || known->forward != backend.forward) return;
    backend.sorry = true;
    *known = std::move(backend);
  }

  ServiceConfig& service_;
  const std::set<IpAddress>& vips_;
  std::set<Endpoint> seen_;
};

}  // namespace

bool is_host_name(std::string_view text) {
  constexpr std::size_t kMaxName = 253;
  if (text.ends_with('.')) text.remove_suffix(1);
  if (text.empty() || text.size() > kMaxName) return false;
  for (;;) {
    const std::size_t dot = text.find('.');
    const std::string_view label = text.substr(0, dot);
    if (!is_label(label)) return false;
    if (dot == std::string_view::npos) return label.find_first_not_of("0123456789") != std::string_view::npos;
    text.remove_prefix(dot + 1);
  }
}

std::set<Name> names_of(const Config& config) {
  std::set<Name> names;
  for (const ServiceConfig& service : config.services)
    for (const BackendConfig& backend : service.named) names.insert({backend.host, service.family()});
  return names;
}

Config with_names(Config config, const NameMemories& names) {
  std::set<IpAddress> vips;
  for (const ServiceConfig& service : config.services)
    for (const Listener& listener : service.listeners) vips.insert(listener.address);
  for (ServiceConfig& service : config.services) {
    Expansion expansion(service, vips);
    for (const bool leaving : {false, true}) {  // what one name has lost may be another's
      for (const BackendConfig& named : service.named) {
        const auto known = names.find({named.host, service.family()});
        if (known == names.end()) continue;
        expansion.add(named, leaving ? known->second.leaving : known->second.addresses, leaving);
      }
    }
  }
  return config;
}

Config without_names(Config config) {
  for (ServiceConfig& service : config.services) {
    for (BackendConfig& backend : service.backends) {
      if (backend.host.empty() || !backend.sorry) continue;
      BackendConfig sorry{backend.address, backend.port};
      sorry.forward = backend.forward;
      sorry.tier = kSorryTier;
      sorry.checks = CheckList{};
      backend = std::move(sorry);
    }
    std::erase_if(service.backends, [](const BackendConfig& backend) { return !backend.host.empty(); });
  }
  return config;
}

void NameBook::follow(const std::set<Name>& names, const NameRules& rules, Time now, const NameMemories& remembered) {
  rules_ = rules;
  std::erase_if(entries_, [&](const auto& entry) { return !names.contains(entry.first); });
  for (const Name& name : names) {
    const auto [found, added] = entries_.try_emplace(name);
    if (!added) continue;
    Entry& entry = found->second;
    entry.due = now;
    const auto known = remembered.find(name);
    if (known == remembered.end()) continue;
    entry.addresses = known->second.addresses;
    for (const IpAddress& address : known->second.leaving) entry.leaving[address] = now + rules_.drain;
  }
}

std::vector<Name> NameBook::take_due(Time now, std::size_t room) {
  std::vector<Name> due;
  for (auto& [name, entry] : entries_) {
    if (due.size() >= room) break;
    if (entry.asking || entry.due > now) continue;
    entry.asking = true;
    due.push_back(name);
  }
  return due;
}

std::optional<NameBook::Time> NameBook::next_due() const {
  std::optional<Time> next;
  for (const auto& [name, entry] : entries_)
    if (!entry.asking && (!next || entry.due < *next)) next = entry.due;
  return next;
}

bool NameBook::take(Entry& entry, const NameReply& reply, Time now) const {
  std::set<IpAddress> addresses = reply.addresses;
  entry.surplus = addresses.size() > rules_.max_addresses ? addresses.size() - rules_.max_addresses : 0;
  addresses.erase(std::prev(addresses.end(), static_cast<std::ptrdiff_t>(entry.surplus)), addresses.end());
  if (addresses == entry.addresses) return false;
  for (const IpAddress& address : addresses) entry.leaving.erase(address);
  for (const IpAddress& address : entry.addresses)
    if (!addresses.contains(address)) entry.leaving[address] = now + rules_.drain;
  entry.addresses = std::move(addresses);
  return true;
}

bool NameBook::answer(const Name& name, const Result<NameReply>& reply, Time now) {
  const auto found = entries_.find(name);
  if (found == entries_.end() || !std::exchange(found->second.asking, false)) return false;
  Entry& entry = found->second;
  if (!reply) {
    ++entry.failed;
    entry.error = reply.error().message;
    entry.due = now + rules_.min_ttl;
    return false;
  }
  ++entry.resolved;
  entry.error.clear();
  entry.due = now + std::clamp<Milliseconds>(reply->ttl, rules_.min_ttl, rules_.max_ttl);
  return take(entry, *reply, now);
}

bool NameBook::forget_drained(const std::function<bool(const Name&, const IpAddress&)>& idle, Time now) {
  std::size_t forgotten = 0;
  for (auto& [name, entry] : entries_)
    forgotten += std::erase_if(entry.leaving, [&, &of = name](const auto& leaving) {
      return leaving.second <= now || idle(of, leaving.first);
    });
  return forgotten > 0;
}

bool NameBook::has_leaving() const {
  return std::any_of(entries_.begin(), entries_.end(), [](const auto& entry) { return !entry.second.leaving.empty(); });
}

NameMemories NameBook::memories() const {
  NameMemories memories;
  for (const auto& [name, entry] : entries_) {
    NameMemory& memory = memories[name];
    memory.addresses = entry.addresses;
    for (const auto& [address, until] : entry.leaving) memory.leaving.insert(address);
  }
  return memories;
}

}  // namespace xlvs
