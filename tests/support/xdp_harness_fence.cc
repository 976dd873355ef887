// SPDX-License-Identifier: Apache-2.0
#include "tests/support/xdp_harness.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cstring>
#include <stdexcept>

#include "lvs.skel.h"

namespace xlvs::test {

void XdpHarness::fence_address(const std::string& address) {
  const Bytes bytes = address_bytes(address);
  lvs_address key{};
  if (bytes.size() == 4) {
    key.addr[2] = htonl(0xffff);
    std::memcpy(&key.addr[3], bytes.data(), bytes.size());
  } else {
    std::memcpy(key.addr, bytes.data(), bytes.size());
  }
  constexpr std::uint32_t kHere = 1;
  if (bpf_map_update_elem(bpf_map__fd(skeleton_->maps.fenced), &key, &kHere, BPF_ANY) != 0)
    throw std::runtime_error("fencing an address");
}

void XdpHarness::answer_until(std::uint64_t ns) const {
  constexpr std::uint32_t kOnly = 0;
  const lvs_fence fence{ns, 0};
  if (bpf_map_update_elem(bpf_map__fd(skeleton_->maps.fence), &kOnly, &fence, BPF_ANY) != 0)
    throw std::runtime_error("setting the fence");
}

}  // namespace xlvs::test
