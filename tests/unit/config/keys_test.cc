// SPDX-License-Identifier: Apache-2.0
// The parser, the JSON Schema, docs/config.md and examples/full.yaml know the same keys and the same defaults.
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include <nlohmann/json.hpp>

#include "config/fields.h"
#include "config/sections.h"
#include "tests/unit/config/support.h"

namespace xlvs::config {
namespace {

using nlohmann::json;
using Defaults = std::map<std::string, std::string>;  // key -> default as text, "" when there is none

std::string text_of(const json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

constexpr const char* kCheck = "services[].check";

// Every key below `schema`, which stands at `path`.
void collect(const json& root, const json& schema, const std::string& path, Defaults& keys) {
  // A check is documented once, wherever it may stand.
  if (schema.value("$ref", "") == "#/$defs/check" && path != kCheck) return collect(root, schema, kCheck, keys);
  if (schema.contains("$ref"))
    return collect(root, root.at(json::json_pointer(schema["$ref"].get<std::string>().substr(1))), path, keys);
  if (schema.contains("items")) collect(root, schema["items"], path + "[]", keys);
  const json alternatives = schema.value("oneOf", json::array());
  for (const json& alternative : alternatives) collect(root, alternative, path, keys);
  const json properties = schema.value("properties", json::object());
  for (const auto& [name, property] : properties.items()) {
    const std::string key = path.empty() ? name : path + "." + name;
    keys[key] = property.contains("default") ? text_of(property["default"]) : "";
    EXPECT_TRUE(property.contains("description")) << key;
    collect(root, property, key, keys);
  }
}

Defaults schema_keys() {
  const json schema = json::parse(read_text_file(repository() / "docs/lvs.schema.json"));
  Defaults keys;
  collect(schema, schema, "", keys);
  return keys;
}

// docs/config.md: a heading such as "## `services[]`" ("top level" for the root) and below it a table whose first cell
// is the key and whose third is the default.
Defaults documented_keys() {
  static const std::regex heading("^#+ .*`([a-z_.\\[\\]]+)`.*");
  static const std::regex top("^#+ Top level.*");
  static const std::regex other_heading("^#+ .*");
  static const std::regex row("^\\| `([a-z0-9_]+)` \\| [^|]* \\| ([^|]*) \\|.*");
  Defaults keys;
  std::string section = "?";
  std::istringstream lines(read_text_file(repository() / "docs/config.md"));
  for (std::string line; std::getline(lines, line);) {
    std::smatch match;
    if (std::regex_match(line, match, heading))
      section = match[1];
    else if (std::regex_match(line, top))
      section.clear();
    else if (std::regex_match(line, other_heading))
      section = "?";
    else if (section != "?" && std::regex_match(line, match, row))
      keys[section.empty() ? match[1].str() : section + "." + match[1].str()] = match[2];
  }
  return keys;
}

std::set<std::string> names(const Defaults& keys) {
  std::set<std::string> result;
  for (const auto& [name, ignored] : keys) result.insert(name);
  return result;
}

TEST(Keys, SchemaKnowsThoseOfTheParser) {
  EXPECT_EQ(names(schema_keys()), known_keys());
}

TEST(Keys, DocumentationKnowsThoseOfTheParser) {
  EXPECT_EQ(names(documented_keys()), known_keys());
}

TEST(Keys, FullExampleShowsAll) {
  const std::string text = read_text_file(repository() / "examples/full.yaml");
  for (const std::string& key : known_keys()) {
    const std::string name = key.substr(key.rfind('.') == std::string::npos ? 0 : key.rfind('.') + 1);
    EXPECT_TRUE(std::regex_search(text, std::regex("(^|[\\s{])" + name + ":"))) << key;
  }
}

TEST(Defaults, SchemaAndDocumentationAgree) {
  const Defaults documented = documented_keys();
  for (const auto& [key, value] : schema_keys()) {
    if (value.empty()) continue;
    const auto found = documented.find(key);
    ASSERT_NE(found, documented.end()) << key;
    EXPECT_EQ(found->second, "`" + value + "`") << key;
  }
}

TEST(Defaults, SchemaAndModelAgree) {
  Defaults schema = schema_keys();
  for (const Field& field : global_fields(Config{})) EXPECT_EQ(schema[field.name], field.value) << field.name;
  const Config config = load(
                            "interfaces: [a]\nservices:\n  - name: a\n    listen: [\"198.51.100.10:80/tcp\"]\n"
                            "    check: {type: https}\n    backends: [{address: 10.0.0.1}]\n")
                            .config;
  for (const auto& [key, value, secret] : service_fields(config.services[0])) {
    if (key == "listen" || key == "check.type" || key == "check.port" || key == "check.connect" ||
        key == "check.fast_interval" || key == "panic")
      continue;
    const std::string expected = schema["services[]." + key];
    EXPECT_TRUE(value == expected || value == "\"" + expected + "\"") << key << ": " << value << ", " << expected;
  }
  EXPECT_EQ(schema["services[].backends[].weight"], std::to_string(BackendConfig{}.weight));
  EXPECT_EQ(schema["services[].check.type"], CheckSpec{}.type);
  EXPECT_EQ(schema["interfaces[].mode"], to_string(InterfaceConfig{}.mode));
}

}  // namespace
}  // namespace xlvs::config
