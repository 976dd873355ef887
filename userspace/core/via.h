// SPDX-License-Identifier: Apache-2.0
// Checks that go to a VIP on the backend (CheckSpec::via): what the data plane has to know about them. Pure.
#pragma once

#include <compare>
#include <cstdint>
#include <set>

#include "core/model.h"

namespace xlvs {

inline constexpr std::size_t kMaxVia = 1024;  // VIPs that checks go to

// Packets with this mark go to the VIP instead of the address they are for; answers come from the VIP and this port.
struct ViaCheck {
  std::uint32_t mark = 0;
  IpAddress vip;
  std::uint16_t port = 0;
  friend auto operator<=>(const ViaCheck&, const ViaCheck&) = default;
};

// Of all backends.
[[nodiscard]] std::set<ViaCheck> via_checks(const Config& config);

// Gives every check that has `via` its mark: config.check_mark in the high half, a number that belongs to the VIP in
// the low one. It is made of the address, so that it stays when others come and go: what is under way during a reload
// still goes where it was meant to.
void assign_check_marks(Config& config);

}  // namespace xlvs
