// SPDX-License-Identifier: Apache-2.0
#include "ha/vrrp_socket.h"

#include <ifaddrs.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "ha/advertisement.h"

namespace xlvs::ha {
namespace {

constexpr int kTrafficClass = 0xc0;  // CS6, network control (RFC 4594)
constexpr std::size_t kLargestMessage = 8 + 255 * 16 + 8;

IpAddress address_of(const in_addr& from) {
  std::array<std::uint8_t, 4> bytes{};
  std::memcpy(bytes.data(), &from, bytes.size());
  return IpAddress::v4(bytes);
}

IpAddress address_of(const in6_addr& from) {
  std::array<std::uint8_t, 16> bytes{};
  std::memcpy(bytes.data(), &from, bytes.size());
  return IpAddress::v6(bytes);
}

// A socket address; zero-initialised as far as the family goes.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

SocketAddress socket_address(const IpAddress& address, unsigned ifindex) {
  SocketAddress result;
  if (address.is_v4()) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    std::memcpy(&in.sin_addr, address.bytes().data(), sizeof in.sin_addr);
    std::memcpy(&result.storage, &in, result.length = sizeof in);
  } else {
    sockaddr_in6 in{};
    in.sin6_family = AF_INET6;
    std::memcpy(&in.sin6_addr, address.bytes().data(), sizeof in.sin6_addr);
    if (is_link_local(address) || address.bytes()[0] == 0xff) in.sin6_scope_id = ifindex;
    std::memcpy(&result.storage, &in, result.length = sizeof in);
  }
  return result;
}

// Sets options until one fails, and remembers which.
class Options {
 public:
  explicit Options(int fd) : fd_(fd) {}
  template <typename T>
  Options& set(int level, int name, const T& value, const char* what) {
    if (failed_ == nullptr && setsockopt(fd_, level, name, &value, sizeof value) != 0) failed_ = what;
    return *this;
  }
  [[nodiscard]] const char* failed() const { return failed_; }

 private:
  int fd_;
  const char* failed_ = nullptr;
};

void set_ipv4(Options& options, unsigned ifindex, bool unicast) {
  options.set(IPPROTO_IP, IP_TTL, int{kVrrpTtl}, "IP_TTL")
      .set(IPPROTO_IP, IP_MULTICAST_TTL, int{kVrrpTtl}, "IP_MULTICAST_TTL")
      .set(IPPROTO_IP, IP_MULTICAST_LOOP, 0, "IP_MULTICAST_LOOP")
      .set(IPPROTO_IP, IP_TOS, kTrafficClass, "IP_TOS");
  if (unicast) return;
  ip_mreqn group{};
  std::memcpy(&group.imr_multiaddr, vrrp_multicast(Family::ipv4).bytes().data(), sizeof group.imr_multiaddr);
  group.imr_ifindex = static_cast<int>(ifindex);
  options.set(IPPROTO_IP, IP_ADD_MEMBERSHIP, group, "joining 224.0.0.18")
      .set(IPPROTO_IP, IP_MULTICAST_IF, group, "IP_MULTICAST_IF");
}

void set_ipv6(Options& options, unsigned ifindex, bool unicast) {
  options.set(IPPROTO_IPV6, IPV6_UNICAST_HOPS, int{kVrrpTtl}, "IPV6_UNICAST_HOPS")
      .set(IPPROTO_IPV6, IPV6_MULTICAST_HOPS, int{kVrrpTtl}, "IPV6_MULTICAST_HOPS")
      .set(IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0, "IPV6_MULTICAST_LOOP")
      .set(IPPROTO_IPV6, IPV6_TCLASS, kTrafficClass, "IPV6_TCLASS")
      .set(IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1, "IPV6_RECVHOPLIMIT")
      .set(IPPROTO_IPV6, IPV6_RECVPKTINFO, 1, "IPV6_RECVPKTINFO");
  if (unicast) return;
  ipv6_mreq group{};
  std::memcpy(&group.ipv6mr_multiaddr, vrrp_multicast(Family::ipv6).bytes().data(), sizeof group.ipv6mr_multiaddr);
  group.ipv6mr_interface = ifindex;
  options.set(IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, group, "joining ff02::12")
      .set(IPPROTO_IPV6, IPV6_MULTICAST_IF, static_cast<int>(ifindex), "IPV6_MULTICAST_IF");
}

// IPv4 raw sockets deliver the IP header, which the kernel has looked at. Without one: an empty packet.
VrrpPacket without_ip_header(std::span<const std::uint8_t> bytes) {
  VrrpPacket packet;
  iphdr header{};
  if (bytes.size() < sizeof header) return packet;
  std::memcpy(&header, bytes.data(), sizeof header);
  const std::size_t length = header.ihl * std::size_t{4};
  if (length < sizeof header || bytes.size() < length) return packet;
  packet.source = address_of(in_addr{header.saddr});
  packet.destination = address_of(in_addr{header.daddr});
  packet.ttl = header.ttl;
  packet.message.assign(bytes.begin() + static_cast<std::ptrdiff_t>(length), bytes.end());
  return packet;
}

VrrpPacket with_control(msghdr& message, const sockaddr_storage& from, std::span<const std::uint8_t> bytes) {
  VrrpPacket packet;
  sockaddr_in6 source{};
  std::memcpy(&source, &from, sizeof source);
  packet.source = address_of(source.sin6_addr);
  for (cmsghdr* control = CMSG_FIRSTHDR(&message); control != nullptr; control = CMSG_NXTHDR(&message, control)) {
    if (control->cmsg_level != IPPROTO_IPV6) continue;
    if (control->cmsg_type == IPV6_HOPLIMIT) {
      int hops = 0;
      std::memcpy(&hops, CMSG_DATA(control), sizeof hops);
      packet.ttl = static_cast<std::uint8_t>(hops);
    } else if (control->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info{};
      std::memcpy(&info, CMSG_DATA(control), sizeof info);
      packet.destination = address_of(info.ipi6_addr);
    }
  }
  packet.message.assign(bytes.begin(), bytes.end());
  return packet;
}

}  // namespace

bool is_link_local(const IpAddress& address) {
  return address.is_v6() && address.bytes()[0] == 0xfe && (address.bytes()[1] & 0xc0) == 0x80;
}

Result<LocalInterface> read_interface(const std::string& name) {
  ifaddrs* first = nullptr;
  if (getifaddrs(&first) != 0)
    return fail(ErrorKind::unavailable, "reading the addresses of {}: {}", name, std::strerror(errno));
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> all(first, &freeifaddrs);
  LocalInterface result;
  result.name = name;
  for (const ifaddrs* entry = first; entry != nullptr; entry = entry->ifa_next) {
    if (name != entry->ifa_name || entry->ifa_addr == nullptr) continue;
    result.up = (entry->ifa_flags & IFF_UP) != 0 && (entry->ifa_flags & IFF_RUNNING) != 0;
    if (entry->ifa_addr->sa_family == AF_PACKET) {
      sockaddr_ll link{};
      std::memcpy(&link, entry->ifa_addr, sizeof link);
      result.ifindex = static_cast<unsigned>(link.sll_ifindex);
      std::copy_n(link.sll_addr, result.mac.bytes.size(), result.mac.bytes.begin());
    } else if (entry->ifa_addr->sa_family == AF_INET) {
      sockaddr_in in{};
      std::memcpy(&in, entry->ifa_addr, sizeof in);
      result.addresses.push_back(address_of(in.sin_addr));
    } else if (entry->ifa_addr->sa_family == AF_INET6) {
      sockaddr_in6 in{};
      std::memcpy(&in, entry->ifa_addr, sizeof in);
      result.addresses.push_back(address_of(in.sin6_addr));
    }
  }
  if (result.ifindex == 0) return fail(ErrorKind::not_found, "interface {} does not exist", name);
  return result;
}

Result<IpAddress> primary_address(const LocalInterface& interface, Family family, std::span<const IpAddress> vips,
                                  std::span<const IpAddress> peers) {
  const bool link_local =
      family == Family::ipv6 && std::all_of(peers.begin(), peers.end(), [](const auto& p) { return is_link_local(p); });
  for (const IpAddress& address : interface.addresses) {
    if (address.family() != family || is_link_local(address) != link_local) continue;
    if (std::find(vips.begin(), vips.end(), address) == vips.end()) return address;
  }
  return fail(ErrorKind::invalid, "interface {} has no {} address of its own to send VRRP from", interface.name,
              family == Family::ipv4 ? "IPv4" : (link_local ? "link-local IPv6" : "global IPv6"));
}

Result<VrrpSocket> VrrpSocket::open(const LocalInterface& interface, const IpAddress& source,
                                    std::vector<IpAddress> peers) {
  const bool unicast = !peers.empty();
  const int fd = socket(source.is_v4() ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, kVrrpProtocol);
  if (fd < 0) {
    const bool denied = errno == EPERM;
    return fail(denied ? ErrorKind::permission : ErrorKind::unavailable, "raw socket for VRRP: {}{}",
                std::strerror(errno), denied ? " (CAP_NET_RAW is needed)" : "");
  }
  if (!unicast) peers.push_back(vrrp_multicast(source.family()));
  VrrpSocket result(fd, interface.ifindex, source, std::move(peers));

  ifreq device{};
  interface.name.copy(device.ifr_name, sizeof device.ifr_name - 1);
  Options options(fd);
  options.set(SOL_SOCKET, SO_BINDTODEVICE, device, "SO_BINDTODEVICE").set(SOL_SOCKET, SO_PRIORITY, 6, "SO_PRIORITY");
  if (source.is_v4())
    set_ipv4(options, interface.ifindex, unicast);
  else
    set_ipv6(options, interface.ifindex, unicast);
  if (options.failed() != nullptr)
    return fail(ErrorKind::unavailable, "VRRP on {}: {}: {}", interface.name, options.failed(), std::strerror(errno));
  return result;
}

VrrpSocket::VrrpSocket(VrrpSocket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      ifindex_(other.ifindex_),
      source_(other.source_),
      destinations_(std::move(other.destinations_)) {}

VrrpSocket::~VrrpSocket() {
  if (fd_ >= 0) close(fd_);
}

// The source is given with each packet: a socket bound to it would no longer receive multicast.
int VrrpSocket::send(const IpAddress& destination, std::span<const std::uint8_t> bytes) {
  SocketAddress to = socket_address(destination, ifindex_);
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(in6_pktinfo))> control{};
  std::vector<std::uint8_t> copy(bytes.begin(), bytes.end());
  iovec part{copy.data(), copy.size()};
  msghdr message{};
  message.msg_name = to.get();
  message.msg_namelen = to.length;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  const auto put = [&](int level, int type, const auto& info) {
    header->cmsg_level = level;
    header->cmsg_type = type;
    header->cmsg_len = CMSG_LEN(sizeof info);
    message.msg_controllen = CMSG_SPACE(sizeof info);
    std::memcpy(CMSG_DATA(header), &info, sizeof info);
  };
  if (source_.is_v4()) {
    in_pktinfo info{};
    info.ipi_ifindex = static_cast<int>(ifindex_);
    std::memcpy(&info.ipi_spec_dst, source_.bytes().data(), sizeof info.ipi_spec_dst);
    put(IPPROTO_IP, IP_PKTINFO, info);
  } else {
    in6_pktinfo info{};
    info.ipi6_ifindex = ifindex_;
    std::memcpy(&info.ipi6_addr, source_.bytes().data(), sizeof info.ipi6_addr);
    put(IPPROTO_IPV6, IPV6_PKTINFO, info);
  }
  return sendmsg(fd_, &message, 0) >= 0 ? 0 : errno;
}

std::optional<VrrpPacket> VrrpSocket::receive() {
  std::array<std::uint8_t, kLargestMessage + 60> buffer;
  alignas(cmsghdr) std::array<char, 256> control{};
  sockaddr_storage from{};
  iovec part{buffer.data(), buffer.size()};
  msghdr message{};
  message.msg_name = &from;
  message.msg_namelen = sizeof from;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t n = recvmsg(fd_, &message, 0);
  if (n < 0) return std::nullopt;
  const std::span<const std::uint8_t> bytes(buffer.data(), static_cast<std::size_t>(n));
  return from.ss_family == AF_INET6 ? with_control(message, from, bytes) : without_ip_header(bytes);
}

}  // namespace xlvs::ha
