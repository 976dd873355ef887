// SPDX-License-Identifier: Apache-2.0
// The sections of a configuration, one source file each. A parse_ function reads one section; what concerns several
// sections at once is validate()'s, which is why parts keep the position they were written at.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/reader.h"
#include "core/check_type.h"
#include "core/model.h"

namespace xlvs::config {

template <typename T>
struct Located {
  T value;
  Position where;
};

struct ParsedBackend {
  Position where;
  std::optional<IpAddress> address;  // nullopt, and no host: wrong or missing, and reported
  std::string host;                  // instead: a DNS name
  std::optional<Located<std::uint16_t>> port;
  std::uint32_t weight = 1;
  std::optional<ForwardMethod> forward;
  unsigned tier = 0;
  std::optional<CheckList> checks;
  std::vector<Position> check_where;  // of each of `checks`

  // Not wrong: it is known which backend is meant.
  [[nodiscard]] bool named() const { return address || !host.empty(); }
  [[nodiscard]] std::string label() const { return address ? address->to_string() : host; }
};

struct ParsedService {
  Position where;
  ServiceConfig config;               // without listeners and backends, whose places are still needed
  std::vector<Position> check_where;  // of each of config.checks
  std::optional<Position> hash_port_where;
  std::optional<Position> hash_fallback_where;
  std::optional<Position> listen_where;
  bool listen_broken = false;  // a listener had an error: the list is incomplete
  std::vector<Located<Listener>> listeners;
  std::vector<ParsedBackend> backends;  // the one that says sorry included, with tier kSorryTier
  std::optional<Position> quorum_where;
  std::optional<Position> keeps_vip_where;  // `withdraw_vip: false`
};

struct ParsedVrrp {
  Position where;
  VrrpInstanceConfig config;  // without addresses and peers
  bool addresses_given = false;
  std::vector<Located<IpAddress>> addresses;
  std::vector<Located<IpAddress>> peers;
};

struct ParsedHa {
  Position where;
  HaConfig config;  // without instances and track
  std::vector<ParsedVrrp> instances;
  std::vector<Located<std::string>> keys;  // that were given
  std::vector<Located<TrackConfig>> tracks;
};

struct Parsed {
  Config config;  // without services and ha
  Position where;
  std::optional<Position> interfaces_where;
  std::vector<Position> interface_where;
  std::vector<ParsedService> services;
  std::optional<ParsedHa> ha;
};

void parse_interface(Context& context, const Node& node, Parsed& parsed);
void parse_service(Context& context, const Node& node, Parsed& parsed);
void parse_backend(Context& context, const Node& node, ParsedService& service);
void parse_check(Context& context, const Node& node, CheckSpec& check);
// The keys `check` (one) or `checks` (a list) of `section`; each check starts as `standard`. False: neither is there.
bool parse_checks(Section& section, const CheckSpec& standard, CheckList& checks, std::vector<Position>& where);
void parse_sorry(Context& context, const Node& node, ParsedService& service);
void parse_quorum(Context& context, const Node& node, std::optional<Quorum>& quorum);
void parse_pool(Section& section, ParsedService& service);
void parse_life(Section& section, LifeRules& life);
void parse_flap(Context& context, const Node& node, std::optional<FlapRule>& flap);
void parse_check_params(Section& section, const CheckType& type, CheckSpec& check);
void parse_hook(Context& context, const Node& node, std::vector<HookConfig>& hooks);
void parse_ha(Context& context, const Node& node, Parsed& parsed);
void parse_peer(Context& context, const Node& node, std::optional<PeerConfig>& target);
void parse_flow_sync(Context& context, const Node& node, FlowSyncConfig& flows);
void parse_vrrp_instance(Context& context, const Node& node, std::vector<ParsedVrrp>& instances);
void parse_track(Context& context, const Node& node, std::vector<Located<TrackConfig>>& tracks);
void parse_timeouts(Context& context, const Node& node, TimeoutConfig& timeouts);
void parse_limits(Context& context, const Node& node, LimitConfig& limits);
void parse_names(Context& context, const Node& node, NameRules& rules);
void parse_metrics(Context& context, const Node& node, std::optional<Endpoint>& metrics);

// The check of a service that says nothing about it: tcp, or none if it has no TCP listener to connect to.
[[nodiscard]] CheckSpec default_check(const ParsedService& service);
// Every parameter of `type` that has a default, where it is missing.
void fill_check_defaults(const CheckType& type, CheckSpec& check);

// The forwarding method's names, for Section::choice.
[[nodiscard]] const std::vector<std::string_view>& forward_names();

// A whole source: keys of the top level. A key that an earlier source gave is an error, except `services`, which add
// up.
class Root {
 public:
  explicit Root(Context& context) : context_(context) {}
  void parse(const Node& node);
  // Reports required keys that no source gave. To be called after all of them.
  void finish();
  [[nodiscard]] Parsed& parsed() { return parsed_; }

 private:
  void repeated_keys(const Node& node);

  Context& context_;
  Parsed parsed_;
  std::map<std::string, Position> given_;  // where first
};

// Instances by themselves and together, and with the listeners; moves them into `parsed.config`.
void validate_ha(Diagnostics& diagnostics, Parsed& parsed);
void validate_tracks(Diagnostics& diagnostics, const std::vector<Located<TrackConfig>>& tracks);
// What concerns several keys, services or sources; moves the services into `parsed.config`.
void validate(Diagnostics& diagnostics, Parsed& parsed);
// One service by itself: listeners, scheduler options, check; resolves and adds its backends.
void validate_service(Diagnostics& diagnostics, ParsedService& service);
// Resolves `via` in the service's checks and its backends'; to be called before validate_service().
void validate_via(Diagnostics& diagnostics, ParsedService& service);
// Of the whole configuration, when its services are in place.
void validate_vias(Diagnostics& diagnostics, Parsed& parsed);
void validate_check(Diagnostics& diagnostics, const Position& where, const std::string& service,
                    const CheckSpec& check);
// `where` holds the position of each.
void validate_checks(Diagnostics& diagnostics, const std::vector<Position>& where, const std::string& service,
                     const CheckList& checks);

// Every key of the format, as "SECTION.KEY": "manage_vips", "services[].check.path".
[[nodiscard]] std::set<std::string> known_keys();

}  // namespace xlvs::config
