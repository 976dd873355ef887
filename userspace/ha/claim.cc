// SPDX-License-Identifier: Apache-2.0
#include "ha/claim.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace xlvs::ha {
namespace {

constexpr std::size_t kEthernet = 14;
constexpr std::size_t kArp = 28;  // RFC 826, IPv4 over Ethernet
constexpr std::size_t kIpv6 = 40;
constexpr std::size_t kAdvertisement = kIpv6 + 24;  // RFC 4861, section 4.4, without options
constexpr std::uint8_t kNeighbourAdvertisement = 136;

template <std::size_t n>
std::array<std::uint8_t, n> take(std::span<const std::uint8_t> from, std::size_t at) {
  std::array<std::uint8_t, n> out{};
  std::copy_n(from.begin() + static_cast<std::ptrdiff_t>(at), n, out.begin());
  return out;
}

std::optional<Claim> parse_arp(std::span<const std::uint8_t> arp) {
  constexpr std::array<std::uint8_t, 6> kIpv4OverEthernet{0, 1, 0x08, 0x00, 6, 4};
  if (arp.size() < kArp || take<6>(arp, 0) != kIpv4OverEthernet) return std::nullopt;
  const IpAddress sender = IpAddress::v4(take<4>(arp, 14));
  if (sender == IpAddress{}) return std::nullopt;  // a probe: it asks before it claims
  return Claim{sender, {take<6>(arp, 8)}};
}

std::optional<Claim> parse_advertisement(std::span<const std::uint8_t> packet, const MacAddress& source) {
  if (packet.size() < kAdvertisement || packet[6] != IPPROTO_ICMPV6 || packet[kIpv6] != kNeighbourAdvertisement)
    return std::nullopt;
  return Claim{IpAddress::v6(take<16>(packet, kIpv6 + 8)), source};
}

// Neighbour advertisements only; the kernel does not even queue the rest.
Result<void> filter_advertisements(int fd) {
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, kEthernet + 6),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_ICMPV6, 0, 3),
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, kEthernet + kIpv6),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kNeighbourAdvertisement, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, kEthernet + kAdvertisement),
      BPF_STMT(BPF_RET | BPF_K, 0),
  };
  const sock_fprog program{static_cast<unsigned short>(std::size(code)), code};
  if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0) return {};
  return fail(ErrorKind::unavailable, "packet socket for neighbour advertisements: {}", std::strerror(errno));
}

}  // namespace

std::optional<Claim> parse_claim(std::span<const std::uint8_t> frame) {
  if (frame.size() < kEthernet) return std::nullopt;
  const auto body = frame.subspan(kEthernet);
  switch (frame[12] << 8 | frame[13]) {
    case ETH_P_ARP:
      return parse_arp(body);
    case ETH_P_IPV6:
      return parse_advertisement(body, {take<6>(frame, 6)});
    default:
      return std::nullopt;
  }
}

Result<ClaimSocket> ClaimSocket::open(unsigned ifindex, Family family) {
  // Bound to nothing until the filter is there.
  const int fd = ::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) {
    const bool denied = errno == EPERM;
    return fail(denied ? ErrorKind::permission : ErrorKind::unavailable, "packet socket for ARP and ND: {}{}",
                std::strerror(errno), denied ? " (CAP_NET_RAW is needed)" : "");
  }
  ClaimSocket socket(fd);
  if (family == Family::ipv6)
    if (auto done = filter_advertisements(fd); !done) return tl::make_unexpected(done.error());
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(family == Family::ipv4 ? ETH_P_ARP : ETH_P_IPV6);
  address.sll_ifindex = static_cast<int>(ifindex);
  const void* generic = &address;
  if (bind(fd, static_cast<const sockaddr*>(generic), sizeof address) != 0)
    return fail(ErrorKind::unavailable, "packet socket for ARP and ND: {}", std::strerror(errno));
  return socket;
}

ClaimSocket::ClaimSocket(ClaimSocket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

ClaimSocket::~ClaimSocket() {
  if (fd_ >= 0) close(fd_);
}

bool ClaimSocket::receive(std::optional<Claim>& claim) {
  std::array<std::uint8_t, kEthernet + kAdvertisement> frame{};
  const ssize_t size = recv(fd_, frame.data(), frame.size(), 0);
  if (size < 0) return false;
  claim = parse_claim({frame.data(), static_cast<std::size_t>(size)});
  return true;
}

}  // namespace xlvs::ha
