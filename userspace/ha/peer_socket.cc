// SPDX-License-Identifier: Apache-2.0
#include "ha/peer_socket.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "ha/peer_channel.h"

namespace xlvs::ha {
namespace {

constexpr int kTrafficClass = 0xc0;  // CS6, network control (RFC 4594)

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

SocketAddress socket_address(const IpAddress& address, std::uint16_t port) {
  SocketAddress result;
  if (address.is_v4()) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(port);
    std::memcpy(&in.sin_addr, address.bytes().data(), sizeof in.sin_addr);
    std::memcpy(&result.storage, &in, result.length = sizeof in);
  } else {
    sockaddr_in6 in{};
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(port);
    std::memcpy(&in.sin6_addr, address.bytes().data(), sizeof in.sin6_addr);
    std::memcpy(&result.storage, &in, result.length = sizeof in);
  }
  return result;
}

Endpoint endpoint_of(const SocketAddress& from) {
  if (from.storage.ss_family == AF_INET6) {
    sockaddr_in6 in{};
    std::memcpy(&in, &from.storage, sizeof in);
    std::array<std::uint8_t, 16> bytes{};
    std::memcpy(bytes.data(), &in.sin6_addr, bytes.size());
    return {IpAddress::v6(bytes), ntohs(in.sin6_port)};
  }
  sockaddr_in in{};
  std::memcpy(&in, &from.storage, sizeof in);
  std::array<std::uint8_t, 4> bytes{};
  std::memcpy(bytes.data(), &in.sin_addr, bytes.size());
  return {IpAddress::v4(bytes), ntohs(in.sin_port)};
}

bool set(int fd, int level, int name, int value) {
  return setsockopt(fd, level, name, &value, sizeof value) == 0;
}

}  // namespace

Result<PeerSocket> PeerSocket::open(const IpAddress& local, const IpAddress& address, std::uint16_t port, bool beside) {
  const bool v4 = local.is_v4();
  const Endpoint from{local, port};
  const auto failed = [&](const char* what) {
    return fail(ErrorKind::unavailable, "peer link from {}: {}: {}", from.to_string(), what, std::strerror(errno));
  };
  const int fd = socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP);
  if (fd < 0) return failed("socket");
  PeerSocket result(fd, address, port);
  if (!set(fd, SOL_SOCKET, SO_PRIORITY, 6) || (beside && !set(fd, SOL_SOCKET, SO_REUSEADDR, 1)))
    return failed("setsockopt");
  if (v4 ? !set(fd, IPPROTO_IP, IP_FREEBIND, 1) || !set(fd, IPPROTO_IP, IP_TOS, kTrafficClass)
         : !set(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1) || !set(fd, IPPROTO_IPV6, IPV6_TCLASS, kTrafficClass) ||
               !set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1))
    return failed("setsockopt");
  SocketAddress own = socket_address(local, port);
  if (bind(fd, own.get(), own.length) != 0) return failed("bind");
  return result;
}

PeerSocket::PeerSocket(PeerSocket&& other) noexcept : fd_(std::exchange(other.fd_, -1)), peer_(other.peer_) {}

PeerSocket::~PeerSocket() {
  if (fd_ >= 0) close(fd_);
}

int PeerSocket::send(std::span<const std::uint8_t> datagram) {
  SocketAddress to = socket_address(peer_.address, peer_.port);
  return sendto(fd_, datagram.data(), datagram.size(), MSG_DONTWAIT, to.get(), to.length) >= 0 ? 0 : errno;
}

std::optional<PeerPacket> PeerSocket::receive() {
  std::array<std::uint8_t, kLargestPeerDatagram + 1> buffer;
  SocketAddress from;
  const ssize_t n = recvfrom(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT, from.get(), &from.length);
  if (n < 0) return std::nullopt;
  return PeerPacket{endpoint_of(from) == peer_, {buffer.begin(), buffer.begin() + n}};
}

}  // namespace xlvs::ha
