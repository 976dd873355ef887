// SPDX-License-Identifier: Apache-2.0
#include "control/peer.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <sys/socket.h>

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59  // Linux 4.13; glibc takes it from asm/socket.h
#endif

namespace xlvs::control {

Result<Peer> peer_of(int socket) {
  ucred credentials{};
  socklen_t size = sizeof(credentials);
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
    return fail(ErrorKind::unavailable, "can not read the peer's credentials: {}", std::strerror(errno));
  }
  Peer peer{credentials.pid, credentials.uid, {}};
  socklen_t bytes = 0;  // first call: ERANGE and the size, or success when there are none
  if (getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, nullptr, &bytes) != 0 && errno == ERANGE) {
    peer.groups.resize(bytes / sizeof(gid_t));
    if (getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, peer.groups.data(), &bytes) != 0) peer.groups.clear();
  }
  peer.groups.push_back(credentials.gid);
  return peer;
}

bool may_control(const Peer& peer, uid_t own_user, gid_t socket_group) {
  return peer.uid == 0 || peer.uid == own_user ||
         std::find(peer.groups.begin(), peer.groups.end(), socket_group) != peer.groups.end();
}

}  // namespace xlvs::control
