// SPDX-License-Identifier: Apache-2.0
// The JSON form of every struct of control/api.h. Writing keeps the order of the struct's fields; an optional without a
// value is null. Reading ignores unknown fields and leaves a field that is absent or null at its default; a value of
// the wrong type or out of range is an error that names the field. Pure; any thread.
#pragma once

#include <exception>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "control/api.h"
#include "core/result.h"

namespace xlvs::control {

using Json = nlohmann::ordered_json;

// clang-format off
#define XLVS_CONTROL_STRUCTS(X)                                                                     \
  X(Traffic) X(ReasonCount) X(CheckReport) X(PoolReport) X(LatenessReport) X(HealthReport) X(BackendReport) X(ServiceReport) X(InterfaceReport) X(FlowTableReport) \
  X(HaPeerReport) X(HaInstanceReport) X(HaTrackReport) X(HaVipReport) X(HaFlowsReport) X(HaReport) X(NameReport)                                                                   \
  X(ReasonReport) X(ConfigReport) X(Version) X(Status) X(FlowReport) X(FlowList) X(StatsReport)     \
  X(BackendChange) X(BackendChangeResult) X(ConfigText) X(ConfigCheck) X(ConfigDiff) X(ConfigApplied) \
  X(ConfigPushRequest) X(ConfigPush)
// clang-format on

#define XLVS_CONTROL_DECLARE(Struct)             \
  void to_json(Json& json, const Struct& value); \
  void from_json(const Json& json, Struct& value);  // throws; decode() does not
XLVS_CONTROL_STRUCTS(XLVS_CONTROL_DECLARE)
#undef XLVS_CONTROL_DECLARE

// Text to JSON: at most 32 levels deep, valid UTF-8, nothing after the value.
[[nodiscard]] Result<Json> parse_json(std::string_view text);

// One line; bytes that are not UTF-8 become U+FFFD, so that a backend's odd answer can not silence the API.
[[nodiscard]] std::string dump(const Json& json, int indent = -1);

template <typename T>
[[nodiscard]] Result<T> decode(const Json& json) {
  try {
    return json.get<T>();
  } catch (const std::exception& error) {
    return fail(ErrorKind::invalid, "{}", error.what());
  }
}

[[nodiscard]] std::string_view to_string(ErrorKind kind);
[[nodiscard]] std::optional<ErrorKind> parse_error_kind(std::string_view name);

}  // namespace xlvs::control
