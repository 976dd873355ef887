// SPDX-License-Identifier: Apache-2.0
// lvsd's exit codes, documented in docs/operations.md and relied upon by packaging/lvsd.service.
#pragma once

#include "core/result.h"

namespace xlvs::agent {

enum ExitCode : int {
  kExitOk = 0,
  kExitFailure = 1,
  kExitUsage = 2,
  kExitConfig = 3,
  kExitConflict = 4,     // a second lvsd, a foreign XDP program, a port in use, maps of other sizes
  kExitUnsupported = 5,  // missing permission, or this kernel or driver can not do it
};

[[nodiscard]] constexpr ExitCode exit_code(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::invalid:
      return kExitConfig;
    case ErrorKind::conflict:
      return kExitConflict;
    case ErrorKind::permission:
    case ErrorKind::unsupported:
      return kExitUnsupported;
    case ErrorKind::not_found:
    case ErrorKind::unavailable:
      break;
  }
  return kExitFailure;
}

}  // namespace xlvs::agent
