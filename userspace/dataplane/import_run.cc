// SPDX-License-Identifier: Apache-2.0
#include "dataplane/import_run.h"

#include <bpf/bpf.h>

namespace xlvs::dataplane {

bool run_import(int program, std::span<lvs_import> flows) {
  const auto bytes = static_cast<__u32>(flows.size_bytes());
  LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = flows.data(), .data_out = flows.data(), .data_size_in = bytes,
              .data_size_out = bytes, .repeat = 1);
  return bpf_prog_test_run_opts(program, &options) == 0;
}

}  // namespace xlvs::dataplane
