// SPDX-License-Identifier: Apache-2.0
#include "dataplane/prerequisites.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <cap-ng.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include <fmt/ranges.h>

namespace xlvs::dataplane {
namespace {

bool have(unsigned capability) {
  return capng_have_capability(CAPNG_EFFECTIVE, capability) != 0;
}

Result<void> check_capabilities() {
  capng_clear(CAPNG_SELECT_BOTH);
  if (capng_get_caps_process() != 0) return fail(ErrorKind::permission, "cannot read this process's capabilities");
  std::vector<std::string_view> missing;
  if (!have(CAP_NET_ADMIN)) missing.push_back("CAP_NET_ADMIN");
  if (!have(CAP_BPF) && !have(CAP_SYS_ADMIN)) missing.push_back("CAP_BPF");
  if (!have(CAP_PERFMON) && !have(CAP_SYS_ADMIN)) missing.push_back("CAP_PERFMON");
  if (missing.empty()) return {};
  return fail(ErrorKind::permission, "loading XDP programs needs {}: run as root or give lvsd these capabilities",
              fmt::join(missing, " and "));
}

Result<void> check_btf() {
  const std::unique_ptr<btf, decltype(&btf__free)> types(btf__new_empty(), btf__free);
  if (types && btf__add_int(types.get(), "int", 4, BTF_INT_SIGNED) > 0 && btf__load_into_kernel(types.get()) == 0)
    return {};
  return fail(
      ErrorKind::unsupported,
      "this kernel takes no BPF type information (BTF): {}; Linux 5.18 or newer with CONFIG_BPF_SYSCALL is needed",
      std::strerror(errno));
}

Result<void> check_program_type() {
  if (libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_XDP, nullptr) == 1 &&
      libbpf_probe_bpf_helper(BPF_PROG_TYPE_XDP, BPF_FUNC_ktime_get_coarse_ns, nullptr) == 1 &&
      libbpf_probe_bpf_helper(BPF_PROG_TYPE_XDP, BPF_FUNC_xdp_get_buff_len, nullptr) == 1)
    return {};
  return fail(ErrorKind::unsupported,
              "this kernel can not run lvsd's XDP program (multi-buffer XDP); Linux 5.18 or newer is needed");
}

}  // namespace

Result<void> check_prerequisites() {
  if (auto good = check_capabilities(); !good) return good;
  if (auto good = check_btf(); !good) return good;
  return check_program_type();
}

}  // namespace xlvs::dataplane
