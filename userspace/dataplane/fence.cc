// SPDX-License-Identifier: Apache-2.0
// The fence: bpf/fence.h says what it does.
#include <algorithm>

#include "dataplane/encode.h"
#include "dataplane/xdp_dataplane.h"

namespace xlvs::dataplane {

FenceWord XdpDataplane::fence() {
  if (maps_.fence.size() == 0) return {};
  return FenceWord(maps_.fence[0].until, maps_.fence[0].role);
}

Result<void> XdpDataplane::set_fenced(const std::set<IpAddress>& addresses) {
  if (!maps_.has("fenced")) {
    if (addresses.empty()) return {};
    return fail(ErrorKind::unsupported, "the XDP program that runs is too old for `ha`: it can not be fenced");
  }
  if (addresses.size() > kMaxFenced)
    return fail(ErrorKind::invalid, "{} addresses move between routers: at most {} can", addresses.size(), kMaxFenced);
  std::set<IpAddress> present;
  for (const auto& [key, unused] : maps_.entries<lvs_address, std::uint32_t>("fenced")) present.insert(decode_any(key));
  std::vector<IpAddress> added;
  for (const IpAddress& address : addresses) {
    if (present.contains(address)) continue;
    const lvs_address key = encode_any(address);
    constexpr std::uint32_t kHere = 1;
    if (auto done = maps_.put("fenced", &key, &kHere); !done) {
      for (const IpAddress& undone : added) {
        const lvs_address gone = encode_any(undone);
        maps_.erase("fenced", &gone);
      }
      return done;
    }
    added.push_back(address);
  }
  for (const IpAddress& address : present) {
    if (addresses.contains(address)) continue;
    const lvs_address key = encode_any(address);
    maps_.erase("fenced", &key);
  }
  fenced_ = addresses;
  return {};
}

}  // namespace xlvs::dataplane
