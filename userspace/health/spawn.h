// SPDX-License-Identifier: Apache-2.0
// Starts one foreign program, confined. Private to health/; process.h runs and ends what is started here.
#pragma once

#include <sys/types.h>

#include <chrono>

#include "health/process.h"
#include "health/run_group.h"

namespace xlvs::health {

struct Spawned {
  int pidfd = -1;   // readable once the program has ended; close-on-exec
  int output = -1;  // the read end of its standard output, non-blocking; close-on-exec
  RunGroup group;   // what the program and all that it has started are in: to be killed when it has ended
};

// The program sees and can signal the host's processes, as from a shell; it is in a group of its own. Where there are
// no groups (RunGroup::make), and the whole promise can not be kept, it is process 1 of a PID namespace instead: what
// it has started ends with it, but the processes that it reads of in /proc are not those that it can signal.
//
// It is killed when lvsd dies. It runs as `program.user` alone (no supplementary groups, no way to gain privileges, and
// no capability, unless that is root: then those of lvsd), in a session of its own, in /, with default signals,
// /dev/null as input, and no descriptor but 0, 1 and 2.
//
// `cpu` bounds the processor time of each of its processes.
//
// The caller waits until the program has been executed or refused: its file has to be on a local file system. Nothing
// of lvsd's memory is copied, however much it is. Needs CAP_SYS_ADMIN, CAP_SETUID, CAP_SETGID.
[[nodiscard]] Result<Spawned> spawn(const Program& program, std::chrono::seconds cpu);

}  // namespace xlvs::health
