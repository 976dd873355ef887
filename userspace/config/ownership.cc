// SPDX-License-Identifier: Apache-2.0
#include "config/ownership.h"

#include <algorithm>
#include <array>
#include <span>
#include <string_view>

#include "config/yaml.h"

namespace xlvs::config {
namespace {

constexpr std::array<std::string_view, 11> kRouterKeys{
    "check_mark",      "ha",           "hooks",        "interfaces",   "limits", "log_level", "metrics",
    "maintenance_dir", "max_programs", "socket_group", "vip_interface"};

}  // namespace

Ownership ownership(const Source& source) {
  Diagnostics ignored(std::span(&source, 1));
  Ownership found;
  Node node;
  try {
    node = read_yaml(source, 0, ignored);
  } catch (const TooManyErrors&) {
    return found;  // parse() says it
  }
  for (const Key& key : node.keys) {
    const bool own = std::find(kRouterKeys.begin(), kRouterKeys.end(), key.text) != kRouterKeys.end();
    std::string& first = own ? found.router_key : found.pair_key;
    if (first.empty()) first = key.text;
  }
  return found;
}

}  // namespace xlvs::config
