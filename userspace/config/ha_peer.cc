// SPDX-License-Identifier: Apache-2.0
// `ha.peer`: the second path to the other router of a pair.
#include <limits>

#include "config/sections.h"

namespace xlvs::config {
namespace {

constexpr Milliseconds kLeastInterval{10};
constexpr Milliseconds kGreatestInterval{10'000};
constexpr Milliseconds kGreatestAfter{3'600'000};
constexpr std::int64_t kGreatestRate = 10'000'000;
constexpr std::string_view kCredential = "credential:";

std::optional<IpAddress> read_required_address(Section& section, std::string_view key) {
  const Node* node = section.require(key);
  return node == nullptr ? std::nullopt : read_address(section.context(), *node, key);
}

void read_key_file(Section& section, std::string& target) {
  const Node* node = section.require("key_file");
  if (node == nullptr) return;
  auto name = read_text(section.context(), *node, "key_file");
  if (!name) return;
  const std::string_view credential =
      name->starts_with(kCredential) ? std::string_view(*name).substr(kCredential.size()) : *name;
  if (!name->starts_with('/') && (credential.empty() || credential.find('/') != std::string_view::npos))
    section.context().diagnostics.error(
        node->where, "key_file: {} is neither an absolute path nor the name of a credential", quote(*name));
  target = std::move(*name);
}

}  // namespace

void parse_flow_sync(Context& context, const Node& node, FlowSyncConfig& flows) {
  Section section(context, node, "ha.peer.flows", "flows");
  section.boolean("on", flows.on);
  section.duration("after", flows.after, Milliseconds{0}, kGreatestAfter);
  section.integer("rate", flows.rate, 1, kGreatestRate);
  section.finish();
}

void parse_peer(Context& context, const Node& node, std::optional<PeerConfig>& target) {
  PeerConfig& peer = target.emplace();
  Section section(context, node, "ha.peer", "a peer");
  const auto local = read_required_address(section, "local");
  const auto address = read_required_address(section, "address");
  read_key_file(section, peer.key_file);
  section.integer("port", peer.port, 1, std::numeric_limits<std::uint16_t>::max());
  section.duration("interval", peer.interval, kLeastInterval, kGreatestInterval);
  if (const Node* takeover = section.take("takeover")) {
    const auto index = read_choice(context, *takeover, "takeover", {"both_silent", "vrrp"});
    if (index) peer.takeover = *index == 0 ? Takeover::both_silent : Takeover::vrrp;
  }
  section.boolean("accept_config", peer.accept_config);
  if (const Node* flows = section.take("flows")) parse_flow_sync(context, *flows, peer.flows);
  section.finish();
  if (!local || !address) return;
  peer.local = *local;
  peer.address = *address;
  if (*local == *address)
    context.diagnostics.error(node.where, "ha peer: local and address are both {}", local->to_string());
  else if (local->family() != address->family())
    context.diagnostics.error(node.where, "ha peer: local {} is {}, address {} is {}", local->to_string(),
                              to_string(local->family()), address->to_string(), to_string(address->family()));
}

}  // namespace xlvs::config
