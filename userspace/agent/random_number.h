// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstring>

#include "ha/peer_channel.h"

namespace xlvs::agent {

// What tells a life or a transfer from all others; never 0, which means none.
[[nodiscard]] inline std::uint64_t random_number() {
  const ha::PeerNonce nonce = ha::random_nonce();
  std::uint64_t number = 0;
  std::memcpy(&number, nonce.data(), sizeof number);
  return number | 1;
}

}  // namespace xlvs::agent
