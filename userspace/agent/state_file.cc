// SPDX-License-Identifier: Apache-2.0
#include "agent/state_file.h"

#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <system_error>

#include <nlohmann/json.hpp>

#include "agent/durable_file.h"

namespace xlvs::agent {
namespace {

using nlohmann::json;
using Clock = std::chrono::system_clock;

constexpr int kFormat = 1;

template <typename T>
T value_or_throw(Result<T> result) {
  if (!result) throw std::invalid_argument(result.error().message);
  return std::move(*result);
}

json to_json(const BackendRef& ref) {
  return {{"service", ref.service}, {"backend", ref.endpoint.to_string()}};
}

BackendRef ref_from(const json& entry) {
  return {entry.at("service").get<std::string>(),
          value_or_throw(Endpoint::parse(entry.at("backend").get<std::string>()))};
}

std::int64_t milliseconds_of(Clock::time_point time) {
  return std::chrono::floor<std::chrono::milliseconds>(time).time_since_epoch().count();
}

Clock::time_point time_from(const json& milliseconds) {
  return Clock::time_point(std::chrono::milliseconds(milliseconds.get<std::int64_t>()));
}

Override override_from(const json& entry) {
  Override override_;
  override_.drained = entry.at("drained").get<bool>();
  if (entry.contains("weight")) override_.weight = entry.at("weight").get<std::uint32_t>();
  override_.disabled = entry.value("disabled", false);
  if (entry.contains("forced")) {
    const auto text = entry.at("forced").get<std::string>();
    override_.forced = parse_forced(text);
    if (!override_.forced) throw std::invalid_argument("forced '" + text + "'");
  }
  override_.reason = entry.value("reason", "");
  return override_;
}

health::AdoptedHealth health_from(const json& entry) {
  health::AdoptedHealth adopted;
  const auto text = entry.at("state").get<std::string>();
  const auto state = health::parse_life_state(text);
  if (!state) throw std::invalid_argument("health state '" + text + "'");
  adopted.state = *state;
  adopted.since = time_from(entry.at("since_ms"));
  if (entry.contains("mark_ms")) adopted.mark = time_from(entry.at("mark_ms"));
  if (entry.contains("changes_ms"))
    for (const json& change : entry.at("changes_ms")) adopted.changes.push_back(time_from(change));
  return adopted;
}

json to_json(const std::set<IpAddress>& addresses) {
  json list = json::array();
  for (const IpAddress& address : addresses) list.push_back(address.to_string());
  return list;
}

std::set<IpAddress> addresses_from(const json& list) {
  std::set<IpAddress> addresses;
  for (const json& address : list) addresses.insert(value_or_throw(IpAddress::parse(address.get<std::string>())));
  return addresses;
}

json to_json(const NameMemories& names) {
  json list = json::array();
  for (const auto& [name, memory] : names)
    list.push_back({{"name", name.host},
                    {"family", to_string(name.family)},
                    {"addresses", to_json(memory.addresses)},
                    {"leaving", to_json(memory.leaving)}});
  return list;
}

NameMemories names_from(const json& list) {
  NameMemories names;
  for (const json& entry : list) {
    const bool v6 = entry.at("family").get<std::string>() == to_string(Family::ipv6);
    names[{entry.at("name").get<std::string>(), v6 ? Family::ipv6 : Family::ipv4}] = {
        addresses_from(entry.at("addresses")), addresses_from(entry.at("leaving"))};
  }
  return names;
}

json to_json(const State& state) {
  json overrides = json::array();
  for (const auto& [ref, override_] : state.overrides) {
    json entry = to_json(ref);
    entry["drained"] = override_.drained;
    if (override_.weight) entry["weight"] = *override_.weight;
    if (override_.disabled) entry["disabled"] = true;
    if (override_.forced) entry["forced"] = to_string(*override_.forced);
    if (!override_.reason.empty()) entry["reason"] = override_.reason;
    overrides.push_back(std::move(entry));
  }
  json health = json::array();
  for (const auto& [ref, adopted] : state.health) {
    json entry = to_json(ref);
    entry["state"] = to_string(adopted.state);
    entry["since_ms"] = milliseconds_of(adopted.since);
    if (adopted.mark != Clock::time_point{}) entry["mark_ms"] = milliseconds_of(adopted.mark);
    for (const Clock::time_point change : adopted.changes) entry["changes_ms"].push_back(milliseconds_of(change));
    health.push_back(std::move(entry));
  }
  json vips{{"interface", state.vip_interface}, {"addresses", to_json(state.vips)}};
  if (state.vip_table != 0) {
    vips["table"] = state.vip_table;
    vips["routes"] = to_json(state.vip_routes);
  }
  return {{"format", kFormat},           {"boot_id", state.boot_id}, {"overrides", std::move(overrides)},
          {"health", std::move(health)}, {"quorum", state.quorum},   {"names", to_json(state.names)},
          {"released", state.released},  {"vips", std::move(vips)},  {"interfaces", state.interfaces}};
}

// Throws what nlohmann throws, or invalid_argument: the file is corrupt.
State from_json(const json& document) {
  if (document.at("format").get<int>() != kFormat) {
    throw std::invalid_argument(fmt::format("format {} is not {}", document.at("format").dump(), kFormat));
  }
  State state;
  state.boot_id = document.at("boot_id").get<std::string>();
  for (const json& entry : document.at("overrides")) {
    state.overrides[ref_from(entry)] = override_from(entry);
  }
  for (const json& entry : document.at("health")) {
    state.health[ref_from(entry)] = health_from(entry);
  }
  if (document.contains("quorum")) state.quorum = document.at("quorum").get<std::map<std::string, bool>>();
  state.vip_interface = document.at("vips").at("interface").get<std::string>();
  state.vips = addresses_from(document.at("vips").at("addresses"));
  state.vip_table = document.at("vips").value("table", std::uint32_t{0});
  if (state.vip_table != 0) state.vip_routes = addresses_from(document.at("vips").at("routes"));
  state.released = document.value("released", false);
  if (document.contains("interfaces")) state.interfaces = document.at("interfaces").get<std::set<std::string>>();
  if (document.contains("names")) state.names = names_from(document.at("names"));
  return state;
}

ErrorKind kind_of(int error) {
  return error == EACCES || error == EPERM ? ErrorKind::permission : ErrorKind::unavailable;
}

std::string aside(const std::string& path) {
  return path + ".corrupt";
}

}  // namespace

bool operator==(const State& a, const State& b) {
  return to_json(a) == to_json(b);
}

Result<LoadedState> StateFile::load(const std::string& boot_id) const {
  const auto text = read_text_file(path_);
  if (!text) {
    if (text.error().kind == ErrorKind::not_found) return LoadedState{};
    if (text.error().kind != ErrorKind::invalid) return tl::make_unexpected(text.error().in("state file"));
  }
  LoadedState loaded;
  try {
    if (!text) throw std::invalid_argument(text.error().message);
    loaded.state = from_json(json::parse(*text));
    loaded.found = true;
  } catch (const std::exception& problem) {
    loaded.state = State{};
    std::error_code error;
    std::filesystem::rename(path_, aside(path_), error);
    loaded.warning =
        fmt::format("state file {} is not usable ({}); starting without runtime overrides, it is kept as {}", path_,
                    problem.what(), error ? path_ : aside(path_));
    return loaded;
  }
  if (loaded.state.boot_id != boot_id) {
    loaded.state.health.clear();
    loaded.state.quorum.clear();
    loaded.state.vips.clear();
    loaded.state.vip_routes.clear();
  }
  return loaded;
}

Result<void> StateFile::save(const State& state) const {
  const std::filesystem::path directory = std::filesystem::path(path_).parent_path();
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return fail(kind_of(error.value()), "cannot create {}: {}", directory.string(), error.message());
  const std::string text = to_json(state).dump(2, ' ', false, json::error_handler_t::replace) + "\n";
  return write_durably(path_, text, 0640);
}

void StateFile::remove() const {
  unlink(path_.c_str());
  unlink(temporary_of(path_).c_str());
  unlink(aside(path_).c_str());
  rmdir(std::filesystem::path(path_).parent_path().c_str());
}

}  // namespace xlvs::agent
