// SPDX-License-Identifier: Apache-2.0
// What advertisements say that is not as it should be, remembered for people. Plain values.
#pragma once

#include <chrono>
#include <optional>
#include <vector>

#include "core/ip.h"

namespace xlvs::ha {

// One member's. Each has who sent it, and when the last such advertisement came.
struct Oddities {
  using Moment = std::chrono::steady_clock::time_point;
  // An interval beyond what this router adopts.
  struct Interval {
    IpAddress source;
    std::chrono::milliseconds advertised{0};
    Moment at;
  };
  // Not the addresses that this router has for the virtual router. `foreign`: none of them, so it is another one.
  struct Addresses {
    IpAddress source;
    std::vector<IpAddress> missing;  // ours, not advertised
    std::vector<IpAddress> unknown;  // advertised, not ours
    bool foreign = false;
    Moment at;
  };
  // It is not followed: the peer link says that no router of the pair is the one that advertises this.
  struct Overruled {
    IpAddress source;
    std::uint8_t priority = 0;
    Moment at;
  };
  std::optional<Interval> interval;
  std::optional<Addresses> addresses;
  std::optional<Overruled> overruled;
};

// nullopt: the same addresses, in whatever order, or this router has none to compare.
[[nodiscard]] std::optional<Oddities::Addresses> compare_addresses(const std::vector<IpAddress>& own,
                                                                   const std::vector<IpAddress>& advertised);

}  // namespace xlvs::ha
