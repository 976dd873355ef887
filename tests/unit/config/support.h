// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "config/config.h"

namespace xlvs::config {

inline std::filesystem::path repository() {
  return std::filesystem::path(__FILE__).parent_path().parent_path().parent_path().parent_path();
}

inline std::filesystem::path corpus() {
  return std::filesystem::path(__FILE__).parent_path() / "corpus";
}

inline std::string read_text_file(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  EXPECT_TRUE(stream) << path;
  return {std::istreambuf_iterator<char>(stream), {}};
}

inline std::vector<std::filesystem::path> files(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> result;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == ".yaml") result.push_back(entry.path());
  std::sort(result.begin(), result.end());
  EXPECT_FALSE(result.empty()) << folder;
  return result;
}

// One source, named "lvs.yaml".
inline tl::expected<Loaded, std::vector<Diagnostic>> parse_text(const std::string& text) {
  const Source source{"lvs.yaml", text};
  return parse(std::span(&source, 1));
}

inline std::string all(const std::vector<Diagnostic>& diagnostics) {
  std::string text;
  for (const Diagnostic& diagnostic : diagnostics) text += diagnostic.to_string() + "\n";
  return text;
}

// Of a text that is meant to be right.
inline Loaded load(const std::string& text) {
  auto loaded = parse_text(text);
  EXPECT_TRUE(loaded) << all(loaded.error());
  return loaded ? *loaded : Loaded{};
}

}  // namespace xlvs::config
