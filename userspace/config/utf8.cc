// SPDX-License-Identifier: Apache-2.0
#include "config/utf8.h"

#include <cstdint>

namespace xlvs::config {
namespace {

struct Sequence {
  std::size_t length;
  std::uint32_t least;  // the smallest code point that needs this length
  std::uint32_t bits;   // of the first byte
};

std::optional<Sequence> sequence(std::uint8_t first) {
  if (first < 0x80) return Sequence{1, 0, first};
  if ((first & 0xe0) == 0xc0) return Sequence{2, 0x80, first & 0x1fU};
  if ((first & 0xf0) == 0xe0) return Sequence{3, 0x800, first & 0x0fU};
  if ((first & 0xf8) == 0xf0) return Sequence{4, 0x10000, first & 0x07U};
  return std::nullopt;
}

bool is_text(std::uint32_t code) {
  if (code == '\t' || code == '\n' || code == '\r') return true;
  return code >= 0x20 && !(code >= 0x7f && code < 0xa0) && !(code >= 0xd800 && code < 0xe000) && code <= 0x10ffff;
}

}  // namespace

std::optional<std::size_t> first_non_text(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const auto lead = sequence(static_cast<std::uint8_t>(text[at]));
    if (!lead || at + lead->length > text.size()) return at;
    std::uint32_t code = lead->bits;
    for (std::size_t i = 1; i < lead->length; ++i) {
      const auto next = static_cast<std::uint8_t>(text[at + i]);
      if ((next & 0xc0) != 0x80) return at;
      code = code << 6 | (next & 0x3fU);
    }
    if (code < lead->least || !is_text(code)) return at;
    at += lead->length;
  }
  return std::nullopt;
}

}  // namespace xlvs::config
