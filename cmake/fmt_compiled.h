// SPDX-License-Identifier: Apache-2.0
// libfmt contains its formatter compiled, but its header shows the definition too, and so each file that logs would
// compile it once more (three quarters of the code of such a file at -O0). Part of the precompiled headers.
#pragma once

#include <fmt/format.h>

#if !defined(__clang__)  // which mangles the name in another way than libfmt's compiler did
extern template void fmt::detail::vformat_to<char>(buffer<char>&, string_view, format_args, locale_ref);
#endif
