// SPDX-License-Identifier: Apache-2.0
#include "control/json.h"

#include <array>
#include <concepts>
#include <limits>
#include <stdexcept>
#include <type_traits>

#include "control/json_fields.h"
#include "control/json_fields_ha.h"

namespace xlvs::control {
namespace {

constexpr int kMaxDepth = 32;

// ---- writing --------------------------------------------------------------------------------------------------------

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

// ---- reading --------------------------------------------------------------------------------------------------------

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
