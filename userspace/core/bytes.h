// SPDX-License-Identifier: Apache-2.0
// Bytes as people write and read them: "EHLO lvs\r\n", "\x00\xff".
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "core/result.h"

namespace xlvs {

// Replaces \n \r \t \\ \' \" and \xNN (two hexadecimal digits); any other character after a backslash is an error.
[[nodiscard]] Result<std::string> unescape(std::string_view text);

// Fit for a log or a terminal, in double quotes: whatever is no printable ASCII is escaped, so that unescape() reads it
// back; beyond `limit` bytes only their number is told.
[[nodiscard]] std::string quote_bytes(std::string_view bytes, std::size_t limit = 48);

}  // namespace xlvs
