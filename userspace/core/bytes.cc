// SPDX-License-Identifier: Apache-2.0
#include "core/bytes.h"

#include <charconv>
#include <optional>

namespace xlvs {
namespace {

constexpr std::string_view kLetters = "nrt\\'\"";
constexpr std::string_view kMeanings = "\n\r\t\\'\"";

// The character whose two digits `text` begins with.
std::optional<char> hexadecimal(std::string_view text) {
  if (text.size() < 2) return std::nullopt;
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + 2, value, 16);
  if (error != std::errc{} || end != text.data() + 2) return std::nullopt;
  return static_cast<char>(value);
}

}  // namespace

Result<std::string> unescape(std::string_view text) {
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      bytes += text[i];
      continue;
    }
    if (++i == text.size()) return fail(ErrorKind::invalid, "ends with a backslash: write \\\\ for one");
    if (text[i] == 'x') {
      const auto byte = hexadecimal(text.substr(i + 1));
      if (!byte) return fail(ErrorKind::invalid, "\\x needs two hexadecimal digits, as in \\x00");
      bytes += *byte;
      i += 2;
      continue;
    }
    const std::size_t which = kLetters.find(text[i]);
    if (which == std::string_view::npos) {
      return fail(ErrorKind::invalid, "unknown escape {}; there are \\n \\r \\t \\\\ \\' \\\" and \\xNN",
                  quote_bytes(text.substr(i - 1, 2)));
    }
    bytes += kMeanings[which];
  }
  return bytes;
}

std::string quote_bytes(std::string_view bytes, std::size_t limit) {
  std::string text = "\"";
  for (const char c : bytes.substr(0, limit)) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\'') {
      text += c;  // needs no escape within double quotes
    } else if (const std::size_t which = kMeanings.find(c); which != std::string_view::npos) {
      text += {'\\', kLetters[which]};
    } else if (byte < 0x20 || byte >= 0x7f) {
      text += fmt::format("\\x{:02x}", byte);
    } else {
      text += c;
    }
  }
  text += '"';
  if (bytes.size() > limit) text += fmt::format("... ({} bytes)", bytes.size());
  return text;
}

}  // namespace xlvs
