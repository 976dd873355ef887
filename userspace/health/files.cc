// SPDX-License-Identifier: Apache-2.0
#include "health/files.h"

#include <sys/resource.h>

#include <cerrno>
#include <cstring>

namespace xlvs::health {

// select(2) breaks on descriptors above 1023, which is why the soft limit is that low; nothing here uses it.
Result<std::uint64_t> raise_file_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return fail(ErrorKind::unavailable, "getrlimit: {}", std::strerror(errno));
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) return fail(ErrorKind::unavailable, "setrlimit: {}", std::strerror(errno));
  return limit.rlim_cur;
}

}  // namespace xlvs::health
