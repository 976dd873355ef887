// SPDX-License-Identifier: Apache-2.0
#include "control/uri.h"

#include <optional>

namespace xlvs::control {
namespace {

bool is_unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
         c == '_' || c == '~';
}

std::optional<unsigned> hex_digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A' + 10);
  return std::nullopt;
}

// Calls `take` for each piece of `text` between separators until it fails.
Result<void> for_each_piece(std::string_view text, char separator, const auto& take) {
  while (true) {
    const std::size_t end = text.find(separator);
    if (auto taken = take(text.substr(0, end)); !taken) return taken;
    if (end == std::string_view::npos) return {};
    text.remove_prefix(end + 1);
  }
}

Result<void> parse_path(std::string_view path, Target& target) {
  return for_each_piece(path, '/', [&](std::string_view piece) -> Result<void> {
    auto segment = percent_decode(piece);
    if (!segment) return tl::make_unexpected(segment.error());
    if (segment->empty() || *segment == "." || *segment == "..") {
      return fail(ErrorKind::invalid, "the path has an empty or dot segment");
    }
    target.segments.push_back(std::move(*segment));
    return {};
  });
}

Result<void> parse_query(std::string_view query, Target& target) {
  return for_each_piece(query, '&', [&](std::string_view piece) -> Result<void> {
    if (piece.empty()) return {};
    const std::size_t equals = piece.find('=');
    auto name = percent_decode(piece.substr(0, equals));
    if (!name) return tl::make_unexpected(name.error());
    auto value = percent_decode(equals == std::string_view::npos ? std::string_view() : piece.substr(equals + 1));
    if (!value) return tl::make_unexpected(value.error());
    target.query.emplace_back(std::move(*name), std::move(*value));
    return {};
  });
}

}  // namespace

std::string percent_encode(std::string_view text) {
  std::string encoded;
  for (const char c : text) {
    if (is_unreserved(c)) {
      encoded += c;
    } else {
      encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return encoded;
}

Result<std::string> percent_decode(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      const auto high = i + 1 < text.size() ? hex_digit(text[i + 1]) : std::nullopt;
      const auto low = i + 2 < text.size() ? hex_digit(text[i + 2]) : std::nullopt;
      if (!high || !low) return fail(ErrorKind::invalid, "bad percent-encoding in the request target");
      c = static_cast<char>(*high * 16 + *low);
      i += 2;
    }
    if (c == '\0') return fail(ErrorKind::invalid, "a NUL in the request target");
    decoded += c;
  }
  return decoded;
}

Result<Target> parse_target(std::string_view text) {
  if (text.empty() || text.front() != '/') return fail(ErrorKind::invalid, "the request target must start with /");
  const std::size_t question = text.find('?');
  const std::string_view path = text.substr(1, question == std::string_view::npos ? question : question - 1);
  Target target;
  if (!path.empty()) {
    if (auto parsed = parse_path(path, target); !parsed) return tl::make_unexpected(parsed.error());
  }
  if (question != std::string_view::npos) {
    if (auto parsed = parse_query(text.substr(question + 1), target); !parsed) {
      return tl::make_unexpected(parsed.error());
    }
  }
  return target;
}

}  // namespace xlvs::control
