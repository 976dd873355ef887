// SPDX-License-Identifier: Apache-2.0
#include "agent/configuration.h"

#include <vector>

#include <fmt/ranges.h>

#include "ha/peer_key.h"

namespace xlvs::agent {

Result<config::Loaded> load_configuration(const std::string& path) {
  const auto sources = config::read_sources(path);
  if (!sources) return tl::make_unexpected(Error{ErrorKind::invalid, sources.error().message});
  auto loaded = config::parse(*sources);
  if (loaded) return std::move(*loaded);
  std::vector<std::string> lines;
  for (const config::Diagnostic& diagnostic : loaded.error()) lines.push_back(diagnostic.to_string());
  return tl::make_unexpected(Error{ErrorKind::invalid, fmt::format("{}", fmt::join(lines, "\n"))});
}

Result<void> check_reloadable(const Config& running, const Config& next) {
  struct Row {
    const char* key;
    std::uint32_t LimitConfig::* value;
  };
  static constexpr Row kRows[] = {{"flows_ipv4", &LimitConfig::flows_ipv4},
                                  {"flows_ipv6", &LimitConfig::flows_ipv6},
                                  {"services", &LimitConfig::services},
                                  {"listeners", &LimitConfig::listeners},
                                  {"backends", &LimitConfig::backends}};
  std::vector<std::string> changed;
  for (const Row& row : kRows) {
    const std::uint32_t before = running.limits.*row.value;
    const std::uint32_t after = next.limits.*row.value;
    if (before != after) changed.push_back(fmt::format("limits.{} ({} to {})", row.key, before, after));
  }
  if (changed.empty()) return {};
  return fail(ErrorKind::invalid, "{} cannot change while lvsd runs: {}", fmt::join(changed, ", "), kLimitsRemedy);
}

Result<void> check_peer_key(const Config& config) {
  if (!config.ha || !config.ha->peer || !config.ha->peer->key_file.starts_with('/')) return {};
  const auto key = ha::PeerKey::load(config.ha->peer->key_file);
  if (key || key.error().kind == ErrorKind::permission) return {};
  return tl::make_unexpected(key.error().in("ha peer"));
}

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

}  // namespace xlvs::agent
