// SPDX-License-Identifier: Apache-2.0
// The check types' names and parameters: one table from which config/ validates and its schema is tested, and which
// health/ implements. Adding a check type is a row here, a file and a row in health/, a test and a line in
// docs/config.md.
#pragma once

#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/model.h"
#include "core/result.h"

namespace xlvs {

// In the order of CheckValue's alternatives. exit_statuses are kept as status_ranges are.
enum class CheckParamKind { boolean, integer, text, duration, status_ranges, text_map, text_list, exit_statuses };

struct CheckParam {
  std::string_view name;
  CheckParamKind kind;
  std::optional<CheckValue> default_value;  // nullopt: the parameter may be absent and then is not in CheckSpec::params
  bool required = false;
  std::string_view summary;                                          // one line, for --help and error messages
  std::vector<std::string_view> choices{};                           // text: the only values allowed; empty: any
  std::int64_t greatest = std::numeric_limits<std::int32_t>::max();  // integer: 0..greatest
  Result<void> (*verify)(std::string_view text) = nullptr;  // text: says what is wrong with it; nullptr: anything goes
  bool secret = false;  // may hold credentials: its value is never told, only that it has changed
};

struct CheckType {
  std::string_view name;
  std::string_view summary;
  std::vector<CheckParam> params;
  std::vector<std::string_view> one_of{};  // names of parameters: exactly one of them must be given
};

// All types, in the order of the documentation. The referenced table lives for the whole program.
[[nodiscard]] std::span<const CheckType> check_types();
[[nodiscard]] const CheckType* find_check_type(std::string_view name);  // nullptr: unknown

}  // namespace xlvs
