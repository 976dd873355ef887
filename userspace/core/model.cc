// SPDX-License-Identifier: Apache-2.0
#include "core/model.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

#include <fmt/format.h>

#include "core/scheduler.h"

namespace xlvs {
namespace {

template <typename Enum, std::size_t N>
using Names = std::array<std::pair<Enum, std::string_view>, N>;

constexpr Names<ForwardMethod, 2> kForwardMethods{{{ForwardMethod::nat, "nat"}, {ForwardMethod::dr, "dr"}}};
constexpr Names<NoFlowPolicy, 2> kNoFlowPolicies{{{NoFlowPolicy::pass, "pass"}, {NoFlowPolicy::drop, "drop"}}};
constexpr Names<FlowsOnFailure, 3> kFlowsOnFailure{
    {{FlowsOnFailure::keep, "keep"}, {FlowsOnFailure::reset, "reset"}, {FlowsOnFailure::drop, "drop"}}};
constexpr Names<XdpMode, 3> kXdpModes{
    {{XdpMode::automatic, "auto"}, {XdpMode::native, "native"}, {XdpMode::generic, "generic"}}};

constexpr Names<StartState, 2> kStartStates{{{StartState::down, "down"}, {StartState::up, "up"}}};
constexpr Names<OnFailure, 2> kOnFailures{{{OnFailure::remove, "remove"}, {OnFailure::drain, "drain"}}};

template <typename Enum, std::size_t N>
std::string_view name_of(const Names<Enum, N>& names, Enum value) {
  for (const auto& [candidate, name] : names)
    if (candidate == value) return name;
  std::abort();
}

template <typename Enum, std::size_t N>
std::optional<Enum> value_of(const Names<Enum, N>& names, std::string_view name) {
  for (const auto& [value, candidate] : names)
    if (candidate == name) return value;
  return std::nullopt;
}

}  // namespace

std::string_view to_string(ForwardMethod method) {
  return name_of(kForwardMethods, method);
}
std::optional<ForwardMethod> parse_forward_method(std::string_view name) {
  return value_of(kForwardMethods, name);
}

std::string_view to_string(NoFlowPolicy policy) {
  return name_of(kNoFlowPolicies, policy);
}
std::optional<NoFlowPolicy> parse_no_flow_policy(std::string_view name) {
  return value_of(kNoFlowPolicies, name);
}

std::string_view to_string(StartState state) {
  return name_of(kStartStates, state);
}
std::optional<StartState> parse_start_state(std::string_view name) {
  return value_of(kStartStates, name);
}

std::string_view to_string(OnFailure action) {
  return name_of(kOnFailures, action);
}
std::optional<OnFailure> parse_on_failure(std::string_view name) {
  return value_of(kOnFailures, name);
}

std::string to_string(const CheckSpec& check) {
  std::string text = check.type;
  if (check.port) text += fmt::format(":{}", *check.port);
  const auto path = check.params.find("path");
  if (path != check.params.end()) {
    if (const auto* value = std::get_if<std::string>(&path->second)) text += *value;
  }
  return text;
}

bool is_checked(const CheckList& checks) {
  return std::any_of(checks.begin(), checks.end(), [](const CheckSpec& check) { return check.type != "none"; });
}

std::string_view to_string(FlowsOnFailure policy) {
  return name_of(kFlowsOnFailure, policy);
}
std::optional<FlowsOnFailure> parse_flows_on_failure(std::string_view name) {
  return value_of(kFlowsOnFailure, name);
}

std::string_view to_string(XdpMode mode) {
  return name_of(kXdpModes, mode);
}
std::optional<XdpMode> parse_xdp_mode(std::string_view name) {
  return value_of(kXdpModes, name);
}

std::string_view to_string(Scheduler scheduler) {
  return scheduler_info(scheduler).name;
}

std::optional<Scheduler> parse_scheduler(std::string_view name) {
  for (const SchedulerInfo& info : schedulers())
    if (info.name == name) return info.scheduler;
  return std::nullopt;
}

}  // namespace xlvs
