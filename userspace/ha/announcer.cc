// SPDX-License-Identifier: Apache-2.0
#include "ha/announcer.h"

#include <linux/if_packet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace xlvs::ha {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::array<std::uint8_t, 6> kBroadcast{0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
constexpr std::array<std::uint8_t, 6> kAllNodesMac{0x33, 0x33, 0, 0, 0, 1};
constexpr std::array<std::uint8_t, 16> kAllNodes{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

void append(Bytes& to, std::span<const std::uint8_t> bytes) {
  to.insert(to.end(), bytes.begin(), bytes.end());
}

std::uint16_t internet_checksum(std::span<const std::uint8_t> bytes, std::uint32_t sum) {
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) sum += static_cast<std::uint32_t>(bytes[i] << 8 | bytes[i + 1]);
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum & 0xffff);
}

}  // namespace

Bytes arp_announcement(const MacAddress& mac, const IpAddress& address) {
  Bytes frame;
  append(frame, kBroadcast);
  append(frame, mac.bytes);
  append(frame, std::array<std::uint8_t, 10>{0x08, 0x06,                      // ARP
                                             0, 1, 0x08, 0x00, 6, 4, 0, 1});  // Ethernet, IPv4, their lengths, request
  append(frame, mac.bytes);
  append(frame, address.bytes());
  append(frame, std::array<std::uint8_t, 6>{});
  append(frame, address.bytes());
  return frame;
}

Bytes neighbour_advertisement(const MacAddress& mac, const IpAddress& address) {
  constexpr std::size_t kIcmp = 14 + 40;
  constexpr std::uint8_t kIcmpLength = 32;
  Bytes frame;
  append(frame, kAllNodesMac);
  append(frame, mac.bytes);
  append(frame, std::array<std::uint8_t, 10>{0x86, 0xdd,                                            // IPv6
                                             0x6c, 0, 0, 0, 0, kIcmpLength, IPPROTO_ICMPV6, 255});  // class CS6
  append(frame, address.bytes());
  append(frame, kAllNodes);
  append(frame, std::array<std::uint8_t, 8>{136, 0, 0, 0, 0xa0, 0, 0, 0});  // router and override flags
  append(frame, address.bytes());
  append(frame, std::array<std::uint8_t, 2>{2, 1});  // target link-layer address
  append(frame, mac.bytes);
  const std::span<const std::uint8_t> all(frame);
  const std::uint16_t sum = internet_checksum(all.subspan(22), kIcmpLength + IPPROTO_ICMPV6);  // from the source on
  frame[kIcmp + 2] = static_cast<std::uint8_t>(sum >> 8);
  frame[kIcmp + 3] = static_cast<std::uint8_t>(sum);
  return frame;
}

Result<Announcer> Announcer::open() {
  // Protocol 0: this socket receives nothing.
  const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) {
    const bool denied = errno == EPERM;
    return fail(denied ? ErrorKind::permission : ErrorKind::unavailable, "packet socket for ARP and ND: {}{}",
                std::strerror(errno), denied ? " (CAP_NET_RAW is needed)" : "");
  }
  const int priority = 6;  // TC_PRIO_INTERACTIVE: in front of other traffic in the device's queue
  (void)setsockopt(fd, SOL_SOCKET, SO_PRIORITY, &priority, sizeof priority);
  return Announcer(fd);
}

Announcer::Announcer(Announcer&& other) noexcept : socket_(std::exchange(other.socket_, -1)) {}

Announcer::~Announcer() {
  if (socket_ >= 0) close(socket_);
}

std::size_t Announcer::announce(unsigned ifindex, const MacAddress& mac, std::span<const IpAddress> addresses) {
  sockaddr_ll device{};
  device.sll_family = AF_PACKET;
  device.sll_ifindex = static_cast<int>(ifindex);
  std::vector<Bytes> frames;
  frames.reserve(addresses.size());
  for (const IpAddress& address : addresses)
    frames.push_back(address.is_v4() ? arp_announcement(mac, address) : neighbour_advertisement(mac, address));
  std::vector<iovec> parts(frames.size());
  std::vector<mmsghdr> messages(frames.size());
  for (std::size_t i = 0; i < frames.size(); ++i) {
    parts[i] = {frames[i].data(), frames[i].size()};
    messages[i].msg_hdr.msg_name = &device;
    messages[i].msg_hdr.msg_namelen = sizeof device;
    messages[i].msg_hdr.msg_iov = &parts[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  std::size_t sent = 0;
  while (sent < messages.size()) {
    const int n = sendmmsg(socket_, &messages[sent], static_cast<unsigned>(messages.size() - sent), 0);
    if (n <= 0) break;  // the device is down or its queue full: announcements are repeated anyway
    sent += static_cast<std::size_t>(n);
  }
  return sent;
}

}  // namespace xlvs::ha
