// SPDX-License-Identifier: Apache-2.0
#include "cli/yaml.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

#include <yaml-cpp/emitter.h>
#include <yaml-cpp/emittermanip.h>

namespace xlvs::cli {
namespace {

using control::Json;

bool is_plain(std::string_view text) {
  static constexpr std::array<std::string_view, 12> kReserved{"true", "false", "yes", "no",  "on",  "off",
                                                              "null", "y",     "n",   "inf", "nan", "~"};
  if (text.empty() || std::isalpha(static_cast<unsigned char>(text.front())) == 0) return false;
  const bool safe = std::all_of(text.begin(), text.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-' || c == '.' || c == '/';
  });
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  return safe && std::find(kReserved.begin(), kReserved.end(), lower) == kReserved.end();
}

void emit(YAML::Emitter& out, const Json& json) {
  switch (json.type()) {
    case Json::value_t::object:
      out << YAML::BeginMap;
      for (const auto& [key, value] : json.items()) {
        out << YAML::Key << key << YAML::Value;
        emit(out, value);
      }
      out << YAML::EndMap;
      return;
    case Json::value_t::array:
      out << (json.empty() ? YAML::Flow : YAML::Block) << YAML::BeginSeq;
      for (const Json& element : json) emit(out, element);
      out << YAML::EndSeq;
      return;
    case Json::value_t::string: {
      const auto& text = json.get_ref<const std::string&>();
      out << (is_plain(text) ? YAML::Auto : YAML::DoubleQuoted) << text;
      return;
    }
    case Json::value_t::null:
      out << YAML::Null;
      return;
    case Json::value_t::boolean:
      out << json.get<bool>();
      return;
    default:  // numbers are the same text in both languages
      out << control::dump(json);
  }
}

}  // namespace

std::string to_yaml(const Json& json) {
  YAML::Emitter out;
  out.SetNullFormat(YAML::LowerNull);
  out << YAML::BeginDoc;
  emit(out, json);
  return std::string(out.c_str()) + "\n";
}

}  // namespace xlvs::cli
