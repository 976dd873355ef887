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

namespace {

Bytes arp_request(const MacAddress& mac, std::span<const std::uint8_t> sender, const IpAddress& target) {
  Bytes frame;
  frame.reserve(64);  // g++ 12 warns for no reason of a vector that begins full
  append(frame, kBroadcast);
  append(frame, mac.bytes);
  append(frame, std::array<std::uint8_t, 10>{0x08, 0x06,                      // ARP
                                             0, 1, 0x08, 0x00, 6, 4, 0, 1});  // Ethernet, IPv4, their lengths, request
  append(frame, mac.bytes);
  append(frame, sender);
  append(frame, std::array<std::uint8_t, 6>{});
  append(frame, target.bytes());
  return frame;
}

// `message`: ICMPv6, its checksum zero.
Bytes icmp6_frame(const MacAddress& mac, const std::array<std::uint8_t, 6>& to_mac,
                  std::span<const std::uint8_t> source, const std::array<std::uint8_t, 16>& to, const Bytes& message) {
  constexpr std::size_t kIcmp = 14 + 40;
  const auto length = static_cast<std::uint8_t>(message.size());
  Bytes frame;
  append(frame, to_mac);
  append(frame, mac.bytes);
  append(frame, std::array<std::uint8_t, 10>{0x86, 0xdd,                                       // IPv6
                                             0x6c, 0, 0, 0, 0, length, IPPROTO_ICMPV6, 255});  // class CS6
  append(frame, source);
  append(frame, to);
  append(frame, message);
  const std::span<const std::uint8_t> all(frame);
  const std::uint16_t sum = internet_checksum(all.subspan(22), length + IPPROTO_ICMPV6);  // from the source on
  frame[kIcmp + 2] = static_cast<std::uint8_t>(sum >> 8);
  frame[kIcmp + 3] = static_cast<std::uint8_t>(sum);
  return frame;
}

}  // namespace

Bytes arp_announcement(const MacAddress& mac, const IpAddress& address) {
  return arp_request(mac, address.bytes(), address);
}

Bytes neighbour_advertisement(const MacAddress& mac, const IpAddress& address) {
  Bytes message{136, 0, 0, 0, 0xa0, 0, 0, 0};  // router and override flags
  append(message, address.bytes());
  append(message, std::array<std::uint8_t, 2>{2, 1});  // target link-layer address
  append(message, mac.bytes);
  return icmp6_frame(mac, kAllNodesMac, address.bytes(), kAllNodes, message);
}

Bytes address_probe(const MacAddress& mac, const IpAddress& address) {
  constexpr std::array<std::uint8_t, 16> kNobody{};
  if (address.is_v4()) return arp_request(mac, std::span(kNobody).first(4), address);
  const std::span<const std::uint8_t> low = address.bytes().subspan(13);
  const std::array<std::uint8_t, 6> to_mac{0x33, 0x33, 0xff, low[0], low[1], low[2]};
  const std::array<std::uint8_t, 16> to{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, low[0], low[1], low[2]};
  Bytes message{135, 0, 0, 0, 0, 0, 0, 0};
  append(message, address.bytes());
  return icmp6_frame(mac, to_mac, kNobody, to, message);
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
  std::vector<Bytes> frames;
  frames.reserve(addresses.size());
  for (const IpAddress& address : addresses)
    frames.push_back(address.is_v4() ? arp_announcement(mac, address) : neighbour_advertisement(mac, address));
  return send(ifindex, std::move(frames));
}

std::size_t Announcer::probe(unsigned ifindex, const MacAddress& mac, std::span<const IpAddress> addresses) {
  std::vector<Bytes> frames;
  frames.reserve(addresses.size());
  for (const IpAddress& address : addresses) frames.push_back(address_probe(mac, address));
  return send(ifindex, std::move(frames));
}

std::size_t Announcer::send(unsigned ifindex, std::vector<Bytes> frames) {
  sockaddr_ll device{};
  device.sll_family = AF_PACKET;
  device.sll_ifindex = static_cast<int>(ifindex);
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
