// SPDX-License-Identifier: Apache-2.0
// Who is at the other end of a UNIX socket, and may they control lvsd?
#pragma once

#include <span>
#include <vector>

#include <sys/types.h>

#include "core/result.h"

namespace xlvs::control {

struct Peer {
  pid_t pid = 0;
  uid_t uid = 0;
  std::vector<gid_t> groups;  // primary and supplementary, as they were at connect()
};

[[nodiscard]] Result<Peer> peer_of(int socket);

// Root, the daemon's own user, or a member of the socket file's group. The file mode asks the same of connect(); this
// holds even where a directory or a chmod is wrong.
[[nodiscard]] bool may_control(const Peer& peer, uid_t own_user, gid_t socket_group);

}  // namespace xlvs::control
