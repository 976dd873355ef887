// SPDX-License-Identifier: Apache-2.0
#include "net/ack_solicitor.h"

#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <random>

namespace xlvs::net {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::uint8_t kTtl = 64;
constexpr std::size_t kTcpLength = 20;

void put16(Bytes& out, std::uint32_t value) {
  out.push_back(static_cast<std::uint8_t>(value >> 8));
  out.push_back(static_cast<std::uint8_t>(value));
}

void put32(Bytes& out, std::uint32_t value) {
  put16(out, value >> 16);
  put16(out, value & 0xffff);
}

void put(Bytes& out, const IpAddress& address) {
  const auto bytes = address.bytes();
  out.insert(out.end(), bytes.begin(), bytes.end());
}

// RFC 1071, over an even number of bytes.
std::uint16_t checksum(const Bytes& bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) sum += static_cast<std::uint32_t>(bytes[i] << 8 | bytes[i + 1]);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

void set16(Bytes& out, std::size_t at, std::uint16_t value) {
  out[at] = static_cast<std::uint8_t>(value >> 8);
  out[at + 1] = static_cast<std::uint8_t>(value);
}

Bytes tcp_segment(const Endpoint& server, const Endpoint& client, std::uint32_t seq) {
  Bytes segment;
  put16(segment, server.port);
  put16(segment, client.port);
  put32(segment, seq);
  put32(segment, ~seq);
  put16(segment, kTcpLength / 4 << 12 | TH_ACK);
  put32(segment, 0);  // window, checksum
  put16(segment, 0);
  Bytes pseudo;
  put(pseudo, server.address);
  put(pseudo, client.address);
  put32(pseudo, kTcpLength);
  put32(pseudo, IPPROTO_TCP);
  pseudo.insert(pseudo.end(), segment.begin(), segment.end());
  set16(segment, offsetof(tcphdr, check), checksum(pseudo));
  return segment;
}

Bytes ipv4_header(const Endpoint& server, const Endpoint& client) {
  Bytes header;
  put16(header, 0x4500);
  put16(header, sizeof(iphdr) + kTcpLength);
  put16(header, 0);
  put16(header, IP_DF);
  put16(header, kTtl << 8 | IPPROTO_TCP);
  put16(header, 0);
  put(header, server.address);
  put(header, client.address);
  set16(header, offsetof(iphdr, check), checksum(header));
  return header;
}

Bytes ipv6_header(const Endpoint& server, const Endpoint& client) {
  Bytes header;
  put32(header, 6U << 28);
  put16(header, kTcpLength);
  put16(header, IPPROTO_TCP << 8 | kTtl);
  put(header, server.address);
  put(header, client.address);
  return header;
}

int open_raw(int family, int level, int option) {
  const int fd = socket(family, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_RAW);
  const int on = 1;
  if (fd >= 0 && setsockopt(fd, level, option, &on, sizeof on) != 0) {
    close(fd);
    return -1;
  }
  return fd;
}

}  // namespace

Bytes solicitation(const Endpoint& server, const Endpoint& client, std::uint32_t seq) {
  Bytes packet = server.address.is_v4() ? ipv4_header(server, client) : ipv6_header(server, client);
  const Bytes segment = tcp_segment(server, client, seq);
  packet.insert(packet.end(), segment.begin(), segment.end());
  return packet;
}

Result<std::unique_ptr<AckSolicitor>> AckSolicitor::open() {
  const int ipv4 = open_raw(AF_INET, IPPROTO_IP, IP_HDRINCL);
  const int ipv6 = ipv4 < 0 ? -1 : open_raw(AF_INET6, IPPROTO_IPV6, IPV6_HDRINCL);
  if (ipv4 < 0 || (ipv6 < 0 && errno != EAFNOSUPPORT)) {
    const int error = errno;
    if (ipv4 >= 0) close(ipv4);
    return fail(error == EPERM ? ErrorKind::permission : ErrorKind::unavailable, "raw socket: {}{}",
                std::strerror(error), error == EPERM ? " (needs CAP_NET_RAW)" : "");
  }
  return std::unique_ptr<AckSolicitor>(new AckSolicitor(ipv4, ipv6));
}

AckSolicitor::~AckSolicitor() {
  close(ipv4_);
  if (ipv6_ >= 0) close(ipv6_);
}

bool AckSolicitor::ask(const Endpoint& server, const Endpoint& client) {
  static std::minstd_rand random{std::random_device{}()};
  const Bytes packet = solicitation(server, client, static_cast<std::uint32_t>(random() << 1));
  const auto address = client.address.bytes();
  if (client.address.is_v4()) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    std::copy(address.begin(), address.end(), static_cast<std::uint8_t*>(static_cast<void*>(&to.sin_addr)));
    const void* name = &to;
    return sendto(ipv4_, packet.data(), packet.size(), 0, static_cast<const sockaddr*>(name), sizeof to) > 0;
  }
  sockaddr_in6 to{};
  to.sin6_family = AF_INET6;
  std::copy(address.begin(), address.end(), static_cast<std::uint8_t*>(static_cast<void*>(&to.sin6_addr)));
  const void* name = &to;
  return sendto(ipv6_, packet.data(), packet.size(), 0, static_cast<const sockaddr*>(name), sizeof to) > 0;
}

}  // namespace xlvs::net
