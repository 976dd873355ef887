// SPDX-License-Identifier: Apache-2.0
// libfmt contains its formatter compiled, but its header shows the definition too, and so each file that logs would
// compile it once more (three quarters of the code of such a file at -O0). Part of the precompiled headers.
#pragma once

#include <fmt/format.h>

extern template void fmt::detail::vformat_to<char>(buffer<char>&, string_view, format_args, locale_ref);
