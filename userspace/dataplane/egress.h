// SPDX-License-Identifier: Apache-2.0
// The egress program of an interface: a classifier at clsact, which kernels before 6.6 have, too. Knows nothing of
// maps. Filters of others are left alone.
#pragma once

#include <cstdint>
#include <string>

#include "core/result.h"

namespace xlvs::dataplane {

// Ours is attached once, whatever was there of an earlier lvsd: it is replaced between two packets. Conflict: the place
// is taken by another's.
[[nodiscard]] Result<void> attach_egress(unsigned ifindex, const std::string& interface, int program);
// Whether the program of this id is attached there.
[[nodiscard]] bool has_egress(unsigned ifindex, std::uint32_t program);
// Also an earlier lvsd's; clsact goes with it when nobody else uses it. Nothing there is fine.
void detach_egress(unsigned ifindex);

}  // namespace xlvs::dataplane
