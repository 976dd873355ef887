// SPDX-License-Identifier: Apache-2.0
#include "control/json.h"

#include <array>
#include <concepts>
#include <limits>
#include <stdexcept>
#include <type_traits>

namespace xlvs::control {
namespace {

constexpr int kMaxDepth = 32;

template <typename T, typename Struct>
concept Is = std::same_as<std::remove_const_t<T>, Struct>;

// ---- the fields of each struct, once for both directions
// -------------------------------------------------------------

void visit(auto& field, Is<Traffic> auto& v) {
  field("flows", v.flows);
  field("in_packets", v.in_packets);
  field("in_bytes", v.in_bytes);
  field("out_packets", v.out_packets);
  field("out_bytes", v.out_bytes);
}

void visit(auto& field, Is<ReasonCount> auto& v) {
  field("reason", v.reason);
  field("count", v.count);
}

void visit(auto& field, Is<CheckReport> auto& v) {
  field("name", v.name);
  field("state", v.state);
  field("reason", v.reason);
  field("detail", v.detail);
  field("latency", v.latency);
  field("at", v.at);
  field("passes", v.passes);
  field("failures", v.failures);
  field("rise", v.rise);
  field("fall", v.fall);
  field("results", v.results);
  field("certificate_end", v.certificate_end);
}

void visit(auto& field, Is<HealthReport> auto& v) {
  field("state", v.state);
  field("life", v.life);
  field("until", v.until);
  field("since", v.since);
  field("reason", v.reason);
  field("detail", v.detail);
  field("latency", v.latency);
  field("checks_passed", v.checks_passed);
  field("checks_failed", v.checks_failed);
  field("checks", v.checks);
}

void visit(auto& field, Is<BackendReport> auto& v) {
  field("service", v.service);
  field("address", v.address);
  field("forward", v.forward);
  field("weight", v.weight);
  field("effective_weight", v.effective_weight);
  field("configured_weight", v.configured_weight);
  field("drained", v.drained);
  field("disabled", v.disabled);
  field("weight_override", v.weight_override);
  field("forced", v.forced);
  field("reason", v.reason);
  field("maintenance", v.maintenance);
  field("state", v.state);
  field("why", v.why);
  field("tier", v.tier);
  field("host", v.host);
  field("leaving", v.leaving);
  field("health", v.health);
  field("active", v.active);
  field("inactive", v.inactive);
  field("traffic", v.traffic);
  field("next_hop", v.next_hop);
}

void visit(auto& field, Is<PoolReport> auto& v) {
  field("state", v.state);
  field("tier", v.tier);
  field("panic", v.panic);
  field("quorum", v.quorum);
  field("withdrawn", v.withdrawn);
  field("weight", v.weight);
  field("fit_weight", v.fit_weight);
}

void visit(auto& field, Is<LatenessReport> auto& v) {
  field("bounds", v.bounds);
  field("counts", v.counts);
  field("sum", v.sum);
}

void visit(auto& field, Is<ServiceReport> auto& v) {
  field("name", v.name);
  field("listeners", v.listeners);
  field("forward", v.forward);
  field("scheduler", v.scheduler);
  field("check", v.check);
  field("traffic", v.traffic);
  field("pool", v.pool);
  field("backends", v.backends);
}

void visit(auto& field, Is<InterfaceReport> auto& v) {
  field("name", v.name);
  field("ifindex", v.ifindex);
  field("mode", v.mode);
  field("mode_reason", v.mode_reason);
  field("program_id", v.program_id);
  field("up", v.up);
}

void visit(auto& field, Is<FlowTableReport> auto& v) {
  field("family", v.family);
  field("capacity", v.capacity);
  field("used", v.used);
  field("overflow_capacity", v.overflow_capacity);
  field("overflow_used", v.overflow_used);
}

void visit(auto& field, Is<ReasonReport> auto& v) {
  field("name", v.name);
  field("verdict", v.verdict);
  field("text", v.text);
  field("packets", v.packets);
}

void visit(auto& field, Is<ConfigReport> auto& v) {
  field("path", v.path);
  field("hash", v.hash);
  field("generation", v.generation);
  field("loaded_at", v.loaded_at);
  field("stale", v.stale);
  field("stale_reason", v.stale_reason);
}

void visit(auto& field, Is<Version> auto& v) {
  field("version", v.version);
  field("instance", v.instance);
  field("pid", v.pid);
}

void visit(auto& field, Is<HaPeerReport> auto& v) {
  field("address", v.address);
  field("state", v.state);
  field("takeover", v.takeover);
  field("role", v.role);
  field("priority", v.priority);
  field("released", v.released);
  field("heard_ago", v.heard_ago);
  field("config", v.config);
  field("generation", v.generation);
  field("services", v.services);
  field("services_up", v.services_up);
  field("backends", v.backends);
  field("backends_up", v.backends_up);
  field("sent", v.sent);
  field("send_errors", v.send_errors);
  field("received", v.received);
  field("rejected", v.rejected);
}

void visit(auto& field, Is<HaInstanceReport> auto& v) {
  field("name", v.name);
  field("interface", v.interface);
  field("vrid", v.vrid);
  field("priority", v.priority);
  field("link_up", v.link_up);
  field("sent", v.sent);
  field("send_errors", v.send_errors);
  field("received", v.received);
  field("rejected", v.rejected);
  field("announcements", v.announcements);
  field("peer", v.peer);
  field("peer_priority", v.peer_priority);
  field("peer_heard_ago", v.peer_heard_ago);
  field("conflicts", v.conflicts);
  field("conflict", v.conflict);
  field("conflict_ago", v.conflict_ago);
  field("silent", v.silent);
}

void visit(auto& field, Is<HaTrackReport> auto& v) {
  field("name", v.name);
  field("good", v.good);
  field("reason", v.reason);
  field("weight", v.weight);
  field("since", v.since);
}

void visit(auto& field, Is<HaVipReport> auto& v) {
  field("address", v.address);
  field("announced", v.announced);
  field("reason", v.reason);
}

void visit(auto& field, Is<HaFlowsReport> auto& v) {
  field("sends", v.sends);
  field("holds", v.holds);
  field("state", v.state);
  field("sent", v.sent);
  field("received", v.received);
  field("datagrams_sent", v.datagrams_sent);
  field("datagrams_resent", v.datagrams_resent);
  field("datagrams_received", v.datagrams_received);
  field("datagrams_repeated", v.datagrams_repeated);
  field("send_errors", v.send_errors);
  field("imported", v.imported);
  field("refused", v.refused);
  field("rejected", v.rejected);
  field("snapshots_sent", v.snapshots_sent);
  field("snapshots_received", v.snapshots_received);
  field("snapshot_flows", v.snapshot_flows);
  field("snapshot_time", v.snapshot_time);
}

void visit(auto& field, Is<HaReport> auto& v) {
  field("role", v.role);
  field("reason", v.reason);
  field("since", v.since);
  field("transitions", v.transitions);
  field("released", v.released);
  field("realtime", v.realtime);
  field("worst_delay", v.worst_delay);
  field("instances", v.instances);
  field("mode", v.mode);
  field("table", v.table);
  field("vips", v.vips);
  field("flows", v.flows);
  field("tracks", v.tracks);
  field("peer", v.peer);
}

void visit(auto& field, Is<NameReport> auto& v) {
  field("name", v.name);
  field("family", v.family);
  field("addresses", v.addresses);
  field("leaving", v.leaving);
  field("error", v.error);
  field("resolved", v.resolved);
  field("failed", v.failed);
  field("surplus", v.surplus);
}

void visit(auto& field, Is<Status> auto& v) {
  field("version", v.version);
  field("started_at", v.started_at);
  field("config", v.config);
  field("warnings", v.warnings);
  field("interfaces", v.interfaces);
  field("vips", v.vips);
  field("ha", v.ha);
  field("flow_tables", v.flow_tables);
  field("services", v.services);
  field("names", v.names);
  field("reasons", v.reasons);
}

void visit(auto& field, Is<FlowReport> auto& v) {
  field("protocol", v.protocol);
  field("client", v.client);
  field("destination", v.destination);
  field("service", v.service);
  field("backend", v.backend);
  field("state", v.state);
  field("expires_in", v.expires_in);
}

void visit(auto& field, Is<FlowList> auto& v) {
  field("total", v.total);
  field("flows", v.flows);
}

void visit(auto& field, Is<StatsReport> auto& v) {
  field("at", v.at);
  field("services", v.services);
  field("reasons", v.reasons);
  field("flows_expired", v.flows_expired);
  field("count_drift", v.count_drift);
  field("check_lateness", v.check_lateness);
}

void visit(auto& field, Is<BackendChange> auto& v) {
  field("service", v.service);
  field("address", v.address);
  field("weight", v.weight);
  field("forced", v.forced);
  field("reason", v.reason);
}

void visit(auto& field, Is<BackendChangeResult> auto& v) {
  field("changed", v.changed);
  field("backends", v.backends);
}

void visit(auto& field, Is<ConfigText> auto& v) {
  field("name", v.name);
  field("text", v.text);
}

void visit(auto& field, Is<ConfigCheck> auto& v) {
  field("valid", v.valid);
  field("errors", v.errors);
  field("changes", v.changes);
}

void visit(auto& field, Is<ConfigDiff> auto& v) {
  field("valid", v.valid);
  field("errors", v.errors);
  field("changes", v.changes);
}

void visit(auto& field, Is<ConfigApplied> auto& v) {
  field("generation", v.generation);
  field("changes", v.changes);
}

// ---- writing
// -----------------------------------------------------------------------------------------------------------

struct Writer {
  Json& json;

  template <typename T>
  void operator()(const char* name, const T& value) {
    json[name] = value;
  }
  template <typename T>
  void operator()(const char* name, const std::optional<T>& value) {
    json[name] = value ? Json(*value) : Json(nullptr);
  }
};

// ---- reading
// -----------------------------------------------------------------------------------------------------------

// "services[2].weight: expected ..."; the path grows outwards, from the field to its owner.
class FieldError : public std::runtime_error {
 public:
  FieldError(const std::string& path, const std::string& problem)
      : std::runtime_error(path.empty() ? problem : path + ": " + problem), path_(path), problem_(problem) {}
  [[nodiscard]] FieldError under(const std::string& owner) const {
    const bool plain = path_.empty() || path_.front() == '[';
    return {owner + (plain ? "" : ".") + path_, problem_};
  }

 private:
  std::string path_, problem_;
};

[[noreturn]] void wrong(const Json& json, std::string_view expected) {
  throw FieldError("",
                   fmt::format("expected {}, found {}", expected, json.is_number() ? dump(json) : json.type_name()));
}

void read(const Json& json, std::string& value) {
  if (!json.is_string()) wrong(json, "a string");
  value = json.get_ref<const std::string&>();
}

void read(const Json& json, bool& value) {
  if (!json.is_boolean()) wrong(json, "true or false");
  value = json.get<bool>();
}

void read(const Json& json, double& value) {
  if (!json.is_number()) wrong(json, "a number");
  value = json.get<double>();
}

// nlohmann's own get<> would wrap -1 and cut 1e9 or 2.5 silently.
template <std::integral T>
void read(const Json& json, T& value) {
  using Limits = std::numeric_limits<T>;
  const auto expected = [] { return fmt::format("an integer {}..{}", Limits::min(), Limits::max()); };
  if (!json.is_number_integer()) wrong(json, expected());
  const bool fits = json.is_number_unsigned() ? std::in_range<T>(json.get<std::uint64_t>())
                                              : std::in_range<T>(json.get<std::int64_t>());
  if (!fits) wrong(json, expected());
  value = json.get<T>();
}

template <typename T>
  requires std::is_class_v<T>
void read(const Json& json, T& value) {
  from_json(json, value);
}

template <typename T>
void read(const Json& json, std::optional<T>& value) {
  read(json, value.emplace());
}

template <typename T>
void read(const Json& json, std::map<std::string, T>& value) {
  if (!json.is_object()) wrong(json, "an object");
  value.clear();
  for (const auto& [name, element] : json.items()) {
    try {
      read(element, value[name]);
    } catch (const FieldError& error) {
      throw error.under(name);
    }
  }
}

template <typename T>
void read(const Json& json, std::vector<T>& value) {
  if (!json.is_array()) wrong(json, "an array");
  value.clear();
  value.reserve(json.size());
  for (const Json& element : json) {
    try {
      read(element, value.emplace_back());
    } catch (const FieldError& error) {
      throw error.under(fmt::format("[{}]", value.size() - 1));
    }
  }
}

struct Reader {
  const Json& json;

  template <typename T>
  void operator()(const char* name, T& value) {
    const auto found = json.find(name);
    if (found == json.end() || found->is_null()) return;
    try {
      read(*found, value);
    } catch (const FieldError& error) {
      throw error.under(name);
    }
  }
};

}  // namespace

#define XLVS_CONTROL_DEFINE(Struct)                  \
  void to_json(Json& json, const Struct& value) {    \
    json = Json::object();                           \
    Writer writer{json};                             \
    visit(writer, value);                            \
  }                                                  \
  void from_json(const Json& json, Struct& value) {  \
    if (!json.is_object()) wrong(json, "an object"); \
    Reader reader{json};                             \
    visit(reader, value);                            \
  }
XLVS_CONTROL_STRUCTS(XLVS_CONTROL_DEFINE)
#undef XLVS_CONTROL_DEFINE

Result<Json> parse_json(std::string_view text) {
  const auto guard = [](int depth, Json::parse_event_t, Json&) {
    if (depth > kMaxDepth) throw FieldError("", fmt::format("nested deeper than {} levels", kMaxDepth));
    return true;
  };
  try {
    return Json::parse(text, guard);
  } catch (const Json::exception& error) {
    std::string_view what = error.what();  // "[json.exception.parse_error.101] parse error at line 1, ..."
    if (const auto end = what.find("] "); end != std::string_view::npos) what.remove_prefix(end + 2);
    return fail(ErrorKind::invalid, "not JSON: {}", what);
  } catch (const FieldError& error) {
    return fail(ErrorKind::invalid, "not acceptable JSON: {}", error.what());
  }
}

std::string dump(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

namespace {
struct KindName {
  ErrorKind kind;
  std::string_view name;
};
constexpr std::array<KindName, 6> kKinds{{{ErrorKind::invalid, "invalid"},
                                          {ErrorKind::not_found, "not_found"},
                                          {ErrorKind::conflict, "conflict"},
                                          {ErrorKind::permission, "permission"},
                                          {ErrorKind::unsupported, "unsupported"},
                                          {ErrorKind::unavailable, "unavailable"}}};
}  // namespace

std::string_view to_string(ErrorKind kind) {
  for (const KindName& row : kKinds) {
    if (row.kind == kind) return row.name;
  }
  std::abort();
}

std::optional<ErrorKind> parse_error_kind(std::string_view name) {
  for (const KindName& row : kKinds) {
    if (row.name == name) return row.kind;
  }
  return std::nullopt;
}

}  // namespace xlvs::control
