// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "abi.h"

namespace xlvs::dataplane {

// Has the import program (bpf/import.h) put `flows`, at most LVS_IMPORT_MAX, into its flow table; each `result` says
// what became of one. False: the program did not run, and errno says why.
[[nodiscard]] bool run_import(int program, std::span<lvs_import> flows);

}  // namespace xlvs::dataplane
