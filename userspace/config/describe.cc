// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>

#include "config/config.h"
#include "config/fields.h"

namespace xlvs::config {
namespace {

using Lines = std::vector<std::string>;

// Fields of `before` and `after` that differ: "PREFIX: name a -> b". A field that one side lacks is "unset" there.
void compare(const std::string& prefix, const Fields& before, const Fields& after, Lines& lines) {
  std::map<std::string, std::pair<std::string, std::string>> both;
  for (const auto& [name, value] : before) both[name] = {value, "unset"};
  for (const auto& [name, value] : after) {
    const auto [entry, added] = both.try_emplace(name, "unset", value);
    if (!added) entry->second.second = value;
  }
  for (const auto& [name, values] : both) {
    if (values.first == values.second) continue;
    const std::string remedy = name.starts_with("limits.") ? fmt::format(" (to change it {})", kLimitsRemedy) : "";
    lines.push_back(fmt::format("{}{} {} -> {}{}", prefix, name, values.first, values.second, remedy));
  }
}

// Calls removed, added and changed for the parts of two lists, paired by `key`.
template <typename T, typename Key, typename Removed, typename Added, typename Kept>
void pair_up(const std::vector<T>& before, const std::vector<T>& after, Key key, Removed removed, Added added,
             Kept kept) {
  std::map<decltype(key(before.front())), const T*> old;
  for (const T& part : before) old.emplace(key(part), &part);
  for (const T& part : after) {
    const auto found = old.find(key(part));
    if (found == old.end()) {
      added(part);
    } else {
      kept(*found->second, part);
      old.erase(found);
    }
  }
  for (const T& part : before)
    if (old.contains(key(part))) removed(part);
}

void compare_interfaces(const Config& before, const Config& after, Lines& lines) {
  pair_up(
      before.interfaces, after.interfaces, [](const InterfaceConfig& interface) { return interface.name; },
      [&](const InterfaceConfig& gone) { lines.push_back(fmt::format("interface {} removed", gone.name)); },
      [&](const InterfaceConfig& come) { lines.push_back(fmt::format("interface {} added", come.name)); },
      [&](const InterfaceConfig& old, const InterfaceConfig& now) {
        if (old.mode != now.mode)
          lines.push_back(
              fmt::format("interface {}: mode {} -> {}", now.name, to_string(old.mode), to_string(now.mode)));
        if (old.optional != now.optional)
          lines.push_back(
              fmt::format("interface {}: {}", now.name, now.optional ? "optional" : "not optional any more"));
      });
}

// Whether those that are in both lists come in another order.
bool reordered(const std::vector<BackendConfig>& before, const std::vector<BackendConfig>& after) {
  const auto common = [](const std::vector<BackendConfig>& of, const std::vector<BackendConfig>& with) {
    std::map<Endpoint, bool> in_both;
    for (const BackendConfig& backend : with) in_both[backend.endpoint()] = true;
    std::vector<Endpoint> result;
    for (const BackendConfig& backend : of)
      if (in_both.contains(backend.endpoint())) result.push_back(backend.endpoint());
    return result;
  };
  return common(before, after) != common(after, before);
}

std::string label(const BackendConfig& backend) {
  return backend.host.empty() ? fmt::format("backend {}", backend.endpoint().to_string())
                              : fmt::format("backend {}:{}", backend.host, backend.port);
}

void compare_service(const ServiceConfig& before, const ServiceConfig& after, Lines& lines) {
  const std::string prefix = fmt::format("service {}: ", after.name);
  compare(prefix, service_fields(before), service_fields(after), lines);
  const auto compare_backends = [&](const std::vector<BackendConfig>& old, const std::vector<BackendConfig>& now) {
    pair_up(
        old, now, label, [&](const BackendConfig& gone) { lines.push_back(prefix + label(gone) + " removed"); },
        [&](const BackendConfig& come) { lines.push_back(prefix + label(come) + " added"); },
        [&](const BackendConfig& one, const BackendConfig& other) {
          compare(prefix + label(other) + ": ", backend_fields(one), backend_fields(other), lines);
        });
  };
  compare_backends(before.backends, after.backends);
  compare_backends(before.named, after.named);
  if (reordered(before.backends, after.backends)) lines.push_back(prefix + "backends in another order");
}

}  // namespace

std::vector<std::string> describe_changes(const Config& before, const Config& after) {
  Lines lines;
  compare_interfaces(before, after, lines);
  compare("", global_fields(before), global_fields(after), lines);
  pair_up(
      before.services, after.services, [](const ServiceConfig& service) { return service.name; },
      [&](const ServiceConfig& gone) { lines.push_back(fmt::format("service {} removed", gone.name)); },
      [&](const ServiceConfig& come) {
        const std::size_t backends = come.backends.size() + come.named.size();
        lines.push_back(
            fmt::format("service {} added with {} backend{}", come.name, backends, backends == 1 ? "" : "s"));
      },
      [&](const ServiceConfig& old, const ServiceConfig& now) { compare_service(old, now, lines); });
  return lines;
}

}  // namespace xlvs::config
