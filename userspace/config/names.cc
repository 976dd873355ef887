// SPDX-License-Identifier: Apache-2.0
// How backends that are given by DNS name follow it.
#include "config/sections.h"

namespace xlvs::config {
namespace {

constexpr Milliseconds kSecond{1'000};
constexpr Milliseconds kHour{3'600'000};
constexpr Milliseconds kDay{86'400'000};
constexpr std::size_t kMaxServers = 8;

// "192.0.2.53" or "192.0.2.53:5353".
void parse_server(Context& context, const Node& node, std::vector<Endpoint>& servers) {
  const auto text = read_text(context, node, "servers");
  if (!text) return;
  constexpr std::uint16_t kDnsPort = 53;
  const auto address = IpAddress::parse(*text);
  const auto endpoint = address ? Result<Endpoint>(Endpoint{*address, kDnsPort}) : Endpoint::parse(*text);
  if (endpoint && endpoint->address.is_unicast() && endpoint->port != 0)
    servers.push_back(*endpoint);
  else
    context.diagnostics.error(node.where, "servers: {} is not the address of a DNS server", quote(*text));
}

}  // namespace

void parse_names(Context& context, const Node& node, NameRules& rules) {
  Section section(context, node, "names", "names");
  section.duration("min_ttl", rules.min_ttl, kSecond, kHour);
  section.duration("max_ttl", rules.max_ttl, kSecond, kDay);
  section.integer("max_addresses", rules.max_addresses, 1, 1024);
  section.duration("drain", rules.drain, Milliseconds{0}, kDay);
  section.each("servers", "addresses", [&](const Node& item) { parse_server(context, item, rules.servers); });
  section.finish();
  if (rules.servers.size() > kMaxServers)
    context.diagnostics.error(node.where, "names: {} servers are more than {}", rules.servers.size(), kMaxServers);
  if (rules.min_ttl > rules.max_ttl)
    context.diagnostics.error(node.where, "names: min_ttl ({}) is longer than max_ttl ({})",
                              duration_text(rules.min_ttl), duration_text(rules.max_ttl));
}

}  // namespace xlvs::config
