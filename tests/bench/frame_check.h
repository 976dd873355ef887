// SPDX-License-Identifier: Apache-2.0
// Whether a frame that the program sent is what it should have made of the benchmark's packet.
#pragma once

#include <cstdint>
#include <vector>

#include "bench_abi.h"
#include "core/result.h"

namespace xlvs::bench {

enum class Rewrite { dr, nat, reply };

// Looks at MACs, addresses, ports and hop limit, and sums up the checksums anew.
[[nodiscard]] Result<void> check_frame(const std::vector<std::uint8_t>& frame, const bench_spec& spec, Rewrite rewrite);

}  // namespace xlvs::bench
