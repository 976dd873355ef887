// SPDX-License-Identifier: Apache-2.0
#include "core/via.h"

#include <functional>
#include <map>

namespace xlvs {
namespace {

constexpr std::uint32_t kNumbers = 1U << 16;

// FNV-1a, folded to 16 bits.
std::uint32_t number_of(const IpAddress& vip) {
  std::uint32_t hash = 2166136261U;
  for (const std::uint8_t byte : vip.bytes()) hash = (hash ^ byte) * 16777619U;
  return (hash >> 16) ^ (hash & 0xffff);
}

void for_each_check(Config& config, const std::function<void(CheckSpec&)>& visit) {
  for (ServiceConfig& service : config.services) {
    for (CheckSpec& check : service.checks) visit(check);
    for (auto* backends : {&service.backends, &service.named})
      for (BackendConfig& backend : *backends)
        if (backend.checks)
          for (CheckSpec& check : *backend.checks) visit(check);
  }
}

}  // namespace

std::set<ViaCheck> via_checks(const Config& config) {
  std::set<ViaCheck> out;
  for (const ServiceConfig& service : config.services)
    for (const BackendConfig& backend : service.backends)
      for (const CheckSpec& check : service.checks_of(backend))
        if (check.via) out.insert({check.mark, *check.via, check.target(backend.endpoint()).port});
  return out;
}

void assign_check_marks(Config& config) {
  std::set<IpAddress> vips;
  for_each_check(config, [&](CheckSpec& check) {
    if (check.via) vips.insert(*check.via);
  });
  std::map<IpAddress, std::uint32_t> numbers;
  std::set<std::uint32_t> taken;
  for (const IpAddress& vip : vips) {
    std::uint32_t number = number_of(vip);
    while (taken.size() < kNumbers && !taken.insert(number).second) number = (number + 1) % kNumbers;
    numbers[vip] = number;
  }
  for_each_check(config, [&](CheckSpec& check) {
    if (check.via) check.mark = std::uint32_t{config.check_mark} << 16 | numbers.at(*check.via);
  });
}

}  // namespace xlvs
