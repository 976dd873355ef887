// SPDX-License-Identifier: Apache-2.0
// `ha`: the pair, or anycast.
#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <tuple>

#include "config/sections.h"

namespace xlvs::config {
namespace {

constexpr Milliseconds kGreatestDelay{3'600'000};
constexpr Milliseconds kLeastInterval{10};
constexpr Milliseconds kGreatestIntervalV3{40'950};  // 12 bits of centiseconds
constexpr Milliseconds kGreatestIntervalV2{255'000};
constexpr std::size_t kMaxAddresses = 255;  // the count is one byte
constexpr std::size_t kMaxPassword = 8;
constexpr std::uint32_t kFirstOwnTable = 253;  // of the kernel's: default, main, local
constexpr std::uint32_t kLastOwnTable = 255;

// Keys of `ha` that only one mode knows.
struct ModeKey {
  std::string_view key;
  HaMode mode;
};
constexpr std::array<ModeKey, 7> kModeKeys{{{"instances", HaMode::vrrp},
                                            {"preempt", HaMode::vrrp},
                                            {"preempt_delay", HaMode::vrrp},
                                            {"startup_delay", HaMode::vrrp},
                                            {"track", HaMode::vrrp},
                                            {"peer", HaMode::vrrp},
                                            {"table", HaMode::anycast}}};

std::string_view mode_name(HaMode mode) {
  return mode == HaMode::vrrp ? "vrrp" : "anycast";
}

void read_addresses(Section& section, std::string_view key, std::vector<Located<IpAddress>>& target) {
  section.each(key, key, [&](const Node& item) {
    const auto address = read_address(section.context(), item, key);
    if (address && address->is_unicast())
      target.push_back({*address, item.where});
    else if (address)
      section.context().diagnostics.error(item.where, "{}: {} is not the address of a host", key, address->to_string());
  });
}

void validate_interval(Diagnostics& diagnostics, const ParsedVrrp& instance) {
  const VrrpInstanceConfig& config = instance.config;
  const bool v2 = config.version == 2;
  const Milliseconds unit = v2 ? Milliseconds(1000) : Milliseconds(10);
  const Milliseconds greatest = v2 ? kGreatestIntervalV2 : kGreatestIntervalV3;
  if (config.advert_interval % unit != Milliseconds(0) || config.advert_interval > greatest)
    diagnostics.error(instance.where, "ha instance {}: advert_interval {} is not possible with version {}: {} up to {}",
                      config.name, duration_text(config.advert_interval), config.version,
                      v2 ? "whole seconds" : "steps of 10ms", duration_text(greatest));
}

void validate_instance(Diagnostics& diagnostics, ParsedVrrp& instance, const std::set<IpAddress>& vips) {
  VrrpInstanceConfig& config = instance.config;
  const auto own_family = [&](const std::vector<Located<IpAddress>>& from, std::vector<IpAddress>& to,
                              std::string_view what) {
    for (const auto& [address, where] : from) {
      if (address.family() != config.family)
        diagnostics.error(where, "ha instance {}: {} {} is not {}: an instance has one address family", config.name,
                          what, address.to_string(), to_string(config.family));
      else if (std::find(to.begin(), to.end(), address) != to.end())
        diagnostics.error(where, "ha instance {}: {} {} is listed twice", config.name, what, address.to_string());
      else
        to.push_back(address);
    }
  };
  own_family(instance.addresses, config.addresses, "address");
  own_family(instance.peers, config.peers, "peer");
  own_family(instance.only_peers, config.only_peers, "only_peers");
  if (!config.peers.empty() && !config.only_peers.empty())
    diagnostics.error(instance.where, "ha instance {}: with peers nobody else is heard anyway: leave only_peers out",
                      config.name);
  if (!instance.addresses_given)
    std::copy_if(vips.begin(), vips.end(), std::back_inserter(config.addresses),
                 [&](const IpAddress& vip) { return vip.family() == config.family; });
  if (config.addresses.size() > kMaxAddresses)
    diagnostics.error(instance.where,
                      "ha instance {}: {} addresses do not fit an advertisement (at most {}): use several", config.name,
                      config.addresses.size(), kMaxAddresses);
  validate_interval(diagnostics, instance);
  if (config.version == 2 && config.family == Family::ipv6)
    diagnostics.error(instance.where, "ha instance {}: there is no VRRP version 2 for IPv6", config.name);
  if (!config.password.empty() && config.version != 2)
    diagnostics.error(instance.where, "ha instance {}: only version 2 has a password", config.name);
  if (config.password.size() > kMaxPassword)
    diagnostics.error(instance.where, "ha instance {}: the password has more than {} characters", config.name,
                      kMaxPassword);
}

void validate_unique(Diagnostics& diagnostics, const std::vector<ParsedVrrp>& instances) {
  std::set<std::string_view> names;
  std::map<std::tuple<std::string_view, unsigned, Family>, std::string_view> routers;
  std::map<IpAddress, std::string_view> addresses;
  for (const ParsedVrrp& instance : instances) {
    const VrrpInstanceConfig& config = instance.config;
    if (!names.insert(config.name).second)
      diagnostics.error(instance.where, "ha instance {}: there is another of this name", config.name);
    const auto [router, added] =
        routers.emplace(std::tuple(std::string_view(config.interface), config.vrid, config.family), config.name);
    if (!added)
      diagnostics.error(instance.where, "ha instance {}: vrid {} of {} on interface {} is taken by instance {}",
                        config.name, config.vrid, to_string(config.family), config.interface, router->second);
    for (const IpAddress& address : config.addresses) {
      const auto [owner, first] = addresses.emplace(address, config.name);
      if (!first && owner->second != config.name)
        diagnostics.error(instance.where, "ha instance {}: address {} is in instance {}, too", config.name,
                          address.to_string(), owner->second);
    }
  }
}

void validate_keys_of_mode(Diagnostics& diagnostics, const ParsedHa& ha) {
  for (const auto& [key, where] : ha.keys) {
    const auto* const known =
        std::find_if(kModeKeys.begin(), kModeKeys.end(), [&](const ModeKey& row) { return row.key == key; });
    if (known != kModeKeys.end() && known->mode != ha.config.mode)
      diagnostics.error(where, "ha: {} is for mode {}, and this is {}", key, mode_name(known->mode),
                        mode_name(ha.config.mode));
  }
}

void validate_anycast(Diagnostics& diagnostics, Parsed& parsed) {
  const ParsedHa& ha = *parsed.ha;
  if (!parsed.config.manage_vips && ha.config.table == 0)
    diagnostics.error(ha.where, "ha: with manage_vips off nothing would be announced: anycast needs a table");
  for (ParsedService& service : parsed.services) {
    if (service.keeps_vip_where)
      diagnostics.error(*service.keeps_vip_where,
                        "service {}: withdraw_vip can not be off with anycast: flows would go on to a router that has "
                        "nobody for them",
                        service.config.name);
    service.config.pool.withdraw_vip = true;
  }
}

}  // namespace

void parse_vrrp_instance(Context& context, const Node& node, std::vector<ParsedVrrp>& instances) {
  ParsedVrrp instance;
  instance.where = node.where;
  VrrpInstanceConfig& config = instance.config;
  Section section(context, node, "ha.instances[]", "an instance");
  if (const Node* name = section.require("name"))
    if (auto text = read_text(context, *name, "name")) config.name = std::move(*text);
  if (const Node* interface = section.require("interface"))
    if (auto name = read_interface(context, *interface, "interface")) config.interface = std::move(*name);
  if (const Node* vrid = section.require("vrid"))
    if (const auto value = read_integer(context, *vrid, "vrid", 1, 255))
      config.vrid = static_cast<std::uint8_t>(*value);
  section.integer("version", config.version, 2, 3);
  if (const Node* family = section.take("family")) {
    const auto index = read_choice(context, *family, "family", {to_string(Family::ipv4), to_string(Family::ipv6)});
    if (index) config.family = *index == 0 ? Family::ipv4 : Family::ipv6;
  }
  section.integer("priority", config.priority, 1, 255);
  section.duration("advert_interval", config.advert_interval, kLeastInterval, kGreatestIntervalV2);
  instance.addresses_given = section.take("addresses") != nullptr;
  read_addresses(section, "addresses", instance.addresses);
  read_addresses(section, "peers", instance.peers);
  read_addresses(section, "only_peers", instance.only_peers);
  section.text("password", config.password);
  section.finish();
  if (section.is_mapping()) instances.push_back(std::move(instance));
}

void parse_ha(Context& context, const Node& node, Parsed& parsed) {
  ParsedHa& ha = parsed.ha.emplace();
  ha.where = node.where;
  for (const Key& key : node.keys) ha.keys.push_back({key.text, key.where});
  Section section(context, node, "ha", "ha");
  if (const Node* mode = section.take("mode")) {
    const auto index = read_choice(context, *mode, "mode", {mode_name(HaMode::vrrp), mode_name(HaMode::anycast)});
    if (index)
      ha.config.mode = *index == 0 ? HaMode::vrrp : HaMode::anycast;
    else
      ha.keys.clear();  // which are wrong is not known
  }
  if (const Node* table = section.take("table"))
    if (const auto number = read_integer(context, *table, "table", 1, std::numeric_limits<std::uint32_t>::max())) {
      ha.config.table = static_cast<std::uint32_t>(*number);
      if (ha.config.table >= kFirstOwnTable && ha.config.table <= kLastOwnTable)
        context.diagnostics.error(table->where, "table: {} is one of the kernel's own: choose another", *number);
    }
  section.each("instances", "instances", [&](const Node& item) { parse_vrrp_instance(context, item, ha.instances); });
  section.each("track", "track", [&](const Node& item) { parse_track(context, item, ha.tracks); });
  section.boolean("preempt", ha.config.preempt);
  section.duration("preempt_delay", ha.config.preempt_delay, Milliseconds{0}, kGreatestDelay);
  section.duration("startup_delay", ha.config.startup_delay, Milliseconds{0}, kGreatestDelay);
  if (const Node* peer = section.take("peer")) parse_peer(context, *peer, ha.config.peer);
  section.finish();
}

void validate_ha(Diagnostics& diagnostics, Parsed& parsed) {
  if (!parsed.ha) return;
  ParsedHa& ha = *parsed.ha;
  validate_keys_of_mode(diagnostics, ha);
  if (ha.config.mode == HaMode::anycast) {
    validate_anycast(diagnostics, parsed);
    parsed.config.ha = std::move(ha.config);
    return;
  }
  std::set<IpAddress> vips;
  for (const ParsedService& service : parsed.services)
    for (const auto& [listener, where] : service.listeners) vips.insert(listener.address);
  if (ha.instances.empty())
    diagnostics.error(ha.where, "ha: needs at least one instance: the link that this router is active or backup on");
  std::set<IpAddress> moved;
  for (ParsedVrrp& instance : ha.instances) {
    validate_instance(diagnostics, instance, vips);
    moved.insert(instance.config.addresses.begin(), instance.config.addresses.end());
  }
  validate_unique(diagnostics, ha.instances);
  validate_tracks(diagnostics, ha.tracks);
  for (const IpAddress& vip : vips)
    if (!ha.instances.empty() && !moved.contains(vip))
      diagnostics.error(ha.where, "ha: no instance has the virtual address {}: it would be on no router, or on both",
                        vip.to_string());
  for (auto& [track, where] : ha.tracks) ha.config.track.push_back(std::move(track));
  for (ParsedVrrp& instance : ha.instances) ha.config.instances.push_back(std::move(instance.config));
  parsed.config.ha = std::move(ha.config);
}

}  // namespace xlvs::config
