// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace xlvs::config {

// Where `text` stops being printable UTF-8 text: an invalid sequence, or a control character but tab and line ends.
[[nodiscard]] std::optional<std::size_t> first_non_text(std::string_view text);

}  // namespace xlvs::config
