// SPDX-License-Identifier: Apache-2.0
#include "tests/support/xdp_harness.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cstring>
#include <stdexcept>

#include "lvs.skel.h"

namespace xlvs::test {

void XdpHarness::add_check(std::uint32_t mark, const std::string& vip, std::uint16_t port, std::uint8_t protocol) {
  const Bytes bytes = address_bytes(vip);
  lvs_via via{};
  std::memcpy(via.addr, bytes.data(), bytes.size());
  via.family = static_cast<std::uint8_t>(family_of(vip));
  lvs_real real{};
  real.backend = LVS_MAX_BACKENDS;
  real.flags = LVS_REAL_CHECK;
  lvs_key4 key4{};
  lvs_key6 key6{};
  const bool v4 = bytes.size() == 4;
  std::memcpy(v4 ? static_cast<void*>(&key4.addr) : key6.addr, bytes.data(), bytes.size());
  key4.port = key6.port = htons(port);
  key4.protocol = key6.protocol = protocol;
  const auto& maps = skeleton_->maps;
  const bool done = bpf_map_update_elem(bpf_map__fd(maps.via), &mark, &via, BPF_ANY) == 0 &&
                    bpf_map_update_elem(bpf_map__fd(v4 ? maps.reals4 : maps.reals6),
                                        v4 ? static_cast<const void*>(&key4) : &key6, &real, BPF_ANY) == 0;
  if (!done) throw std::runtime_error("adding a check");
}

Outcome XdpHarness::send_check(View frame, std::uint32_t mark) const {
  Outcome outcome;
  outcome.frame.resize(frame.size() + 256);
  __sk_buff context{};
  context.mark = mark;
  LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame.data(), .data_out = outcome.frame.data(),
              .data_size_in = static_cast<std::uint32_t>(frame.size()),
              .data_size_out = static_cast<std::uint32_t>(outcome.frame.size()), .ctx_in = &context,
              .ctx_size_in = sizeof context, .repeat = 1);
  if (bpf_prog_test_run_opts(bpf_program__fd(skeleton_->progs.lvs_check), &options) != 0)
    throw std::runtime_error("running the egress program");
  outcome.verdict = options.retval;
  outcome.frame.resize(options.data_size_out);
  return outcome;
}

}  // namespace xlvs::test
