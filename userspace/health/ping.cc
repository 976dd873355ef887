// SPDX-License-Identifier: Apache-2.0
#include "health/ping.h"

#include <net/if.h>  // Asio's; the kernel's linux/if.h gives way to it, not the other way round

#include <linux/errqueue.h>
#include <linux/icmp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <random>

#include <boost/asio/posix/stream_descriptor.hpp>

#include "health/icmp_echo.h"
#include "health/probers.h"

namespace xlvs::health {
namespace {

constexpr std::size_t kBuffer = 2048;    // bytes of a packet that are looked at
constexpr int kPacketsPerTurn = 64;      // of the event loop
constexpr int kReceiveBuffer = 2 << 20;  // bytes, for the replies of ten thousand checks in a burst
constexpr std::size_t kPayload = 16;     // random, the same for all: who answers has seen a request of ours

template <typename T>
T* as(void* pointer) {
  return static_cast<T*>(pointer);
}

struct SocketAddress {
  explicit SocketAddress(const IpAddress& address) {
    const auto bytes = address.bytes();
    if (address.is_v4()) {
      auto* v4 = as<sockaddr_in>(&storage);
      v4->sin_family = AF_INET;
      std::memcpy(&v4->sin_addr, bytes.data(), bytes.size());
      length = sizeof(sockaddr_in);
    } else {
      auto* v6 = as<sockaddr_in6>(&storage);
      v6->sin6_family = AF_INET6;
      std::memcpy(&v6->sin6_addr, bytes.data(), bytes.size());
      length = sizeof(sockaddr_in6);
    }
  }
  SocketAddress() = default;

  [[nodiscard]] std::optional<IpAddress> ip() const {
    if (storage.ss_family == AF_INET) {
      std::array<std::uint8_t, 4> bytes{};
      std::memcpy(bytes.data(), &static_cast<const sockaddr_in*>(static_cast<const void*>(&storage))->sin_addr, 4);
      return IpAddress::v4(bytes);
    }
    if (storage.ss_family == AF_INET6) {
      std::array<std::uint8_t, 16> bytes{};
      std::memcpy(bytes.data(), &static_cast<const sockaddr_in6*>(static_cast<const void*>(&storage))->sin6_addr, 16);
      return IpAddress::v6(bytes);
    }
    return std::nullopt;
  }
  [[nodiscard]] sockaddr* raw() { return as<sockaddr>(&storage); }

  sockaddr_storage storage{};
  socklen_t length = sizeof(sockaddr_storage);
};

std::string random_payload() {
  std::random_device random;
  std::string bytes;
  while (bytes.size() < kPayload) bytes += static_cast<char>(random() & 0xff);
  return bytes;
}

// The error that an error queue's message tells of; nullopt: it tells of something else.
std::optional<int> queued_error(msghdr& message) {
  for (cmsghdr* item = CMSG_FIRSTHDR(&message); item != nullptr; item = CMSG_NXTHDR(&message, item)) {
    const bool v4 = item->cmsg_level == SOL_IP && item->cmsg_type == IP_RECVERR;
    const bool v6 = item->cmsg_level == SOL_IPV6 && item->cmsg_type == IPV6_RECVERR;
    if (!v4 && !v6) continue;
    sock_extended_err error{};
    std::memcpy(&error, CMSG_DATA(item), sizeof error);
    if (error.ee_errno != 0) return static_cast<int>(error.ee_errno);
  }
  return std::nullopt;
}

}  // namespace

// A socket, and its waits, which share it and find it closed when they come late.
class Ping::Socket : public std::enable_shared_from_this<Socket> {
 public:
  Socket(Ping& ping, Family family) : ping_(ping), family_(family), descriptor_(ping.loop_) {}

  // 0, or the errno value.
  int open();
  void close() { descriptor_.close(); }
  [[nodiscard]] bool is_open() const { return descriptor_.is_open(); }
  int send(const IpAddress& destination, std::uint16_t sequence);

 private:
  void configure(int fd) const;
  void wait();
  void read_replies();
  void read_errors();

  Ping& ping_;
  Family family_;
  boost::asio::posix::stream_descriptor descriptor_;
  bool raw_ = false;
  std::string payload_ = random_payload();
  std::uint16_t id_ = static_cast<std::uint16_t>(std::random_device{}());
};

int Ping::Socket::open() {
  const bool v4 = family_ == Family::ipv4;
  const int protocol = v4 ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6};
  int fd = -1;
  for (const int type : {SOCK_DGRAM, SOCK_RAW}) {
    fd = ::socket(v4 ? AF_INET : AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    raw_ = type == SOCK_RAW;
    if (fd >= 0) break;
  }
  if (fd < 0) return errno;
  configure(fd);
  descriptor_.assign(fd);
  wait();
  return 0;
}

void Ping::Socket::configure(int fd) const {
  const bool v4 = family_ == Family::ipv4;
  const int on = 1;
  setsockopt(fd, v4 ? SOL_IP : SOL_IPV6, v4 ? IP_RECVERR : IPV6_RECVERR, &on, sizeof on);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &kReceiveBuffer, sizeof kReceiveBuffer);
  if (!raw_) return;
  // Other people's ICMP is not even copied.
  if (v4) {
    icmp_filter filter{};
    filter.data = ~(1U << ICMP_ECHOREPLY);
    setsockopt(fd, SOL_RAW, ICMP_FILTER, &filter, sizeof filter);
  } else {
    icmp6_filter filter{};
    ICMP6_FILTER_SETBLOCKALL(&filter);
    ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter);
    setsockopt(fd, SOL_ICMPV6, ICMP6_FILTER, &filter, sizeof filter);
  }
}

// An error that came back for another destination is reported by the next call, whatever that is for: hence again.
int Ping::Socket::send(const IpAddress& destination, std::uint16_t sequence) {
  constexpr int kTries = 3;
  const std::string request = make_echo_request(family_, {id_, sequence, payload_});
  SocketAddress to(destination);
  int error = 0;
  for (int i = 0; i < kTries; ++i) {
    if (sendto(descriptor_.native_handle(), request.data(), request.size(), 0, to.raw(), to.length) >= 0) return 0;
    error = errno;
  }
  return error;
}

void Ping::Socket::wait() {
  descriptor_.async_wait(boost::asio::posix::descriptor_base::wait_read,
                         [self = shared_from_this()](boost::system::error_code error) {
                           if (error || !self->is_open()) return;
                           self->read_errors();
                           if (self->is_open()) self->read_replies();
                           if (self->is_open()) self->wait();
                         });
}

void Ping::Socket::read_replies() {
  std::array<char, kBuffer> buffer;
  for (int i = 0; i < kPacketsPerTurn && is_open(); ++i) {
    SocketAddress from;
    const ssize_t length =
        recvfrom(descriptor_.native_handle(), buffer.data(), buffer.size(), MSG_DONTWAIT, from.raw(), &from.length);
    if (length < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (length < 0) continue;  // of an error that the queue has told, too
    std::string_view message(buffer.data(), static_cast<std::size_t>(length));
    if (raw_ && family_ == Family::ipv4) message = skip_ipv4_header(message).value_or(std::string_view());
    const auto echo = read_echo_reply(family_, message);
    const auto address = from.ip();
    if (!echo || !address || echo->payload != payload_ || (raw_ && echo->id != id_)) continue;
    ping_.finish({echo->sequence, *address}, {true, "ok", "answered", {}});
  }
}

void Ping::Socket::read_errors() {
  std::array<char, kBuffer> buffer;
  std::array<char, 512> control;
  for (int i = 0; i < kPacketsPerTurn && is_open(); ++i) {
    SocketAddress destination;  // of the request
    iovec vector{buffer.data(), buffer.size()};
    msghdr message{};
    message.msg_name = destination.raw();
    message.msg_namelen = destination.length;
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t length = recvmsg(descriptor_.native_handle(), &message, MSG_ERRQUEUE | MSG_DONTWAIT);
    if (length < 0) return;
    const auto echo = read_quoted_request(family_, {buffer.data(), static_cast<std::size_t>(length)});
    const auto address = destination.ip();
    const auto error = queued_error(message);
    if (!echo || !address || !error || (raw_ && echo->id != id_)) continue;
    ping_.finish({echo->sequence, *address},
                 {false, "unreachable", fmt::format("ICMP error: {}", std::strerror(*error)), {}});
  }
}

boost::asio::execution_context::id Ping::id;

Ping& Ping::of(boost::asio::io_context& loop) {
  return boost::asio::use_service<Ping>(loop);
}

Ping::Ping(boost::asio::execution_context& context)
    : service(context), loop_(static_cast<boost::asio::io_context&>(context)) {}

Ping::~Ping() = default;

void Ping::shutdown() {
  for (const auto& [family, socket] : sockets_) socket->close();
  sockets_.clear();
  waiting_.clear();
}

Ping::Ticket Ping::start(const IpAddress& destination, Done done) {
  while (waiting_.contains({sequence_, destination})) ++sequence_;  // 65,536 at once for one address: there are fewer
  const Ticket ticket{sequence_++, destination};
  waiting_.emplace(ticket, std::move(done));
  auto& socket = sockets_[destination.family()];
  if (!socket) socket = std::make_shared<Socket>(*this, destination.family());
  if (const int error = socket->is_open() ? 0 : socket->open(); error != 0) {
    finish(ticket, lack_of_resources(fmt::format(
                       "an ICMP socket: {}: net.ipv4.ping_group_range or CAP_NET_RAW allow it", std::strerror(error))));
  } else if (const int failed = socket->send(destination, ticket.first); failed != 0) {
    finish(ticket, send_failure(failed));
  }
  return ticket;
}

void Ping::cancel(const Ticket& ticket) {
  waiting_.erase(ticket);
}

void Ping::finish(const Ticket& ticket, ProbeResult result) {
  const auto found = waiting_.find(ticket);
  if (found == waiting_.end()) return;
  const auto done = std::move(found->second);
  waiting_.erase(found);
  done(std::move(result));
}

}  // namespace xlvs::health
