// SPDX-License-Identifier: Apache-2.0
#include "net/netlink.h"

#include <fcntl.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "net/attributes.h"

namespace xlvs::net {
namespace {

constexpr int kDumpAttempts = 4;  // a dump during which the table changed is read again

NetlinkError error_of(const nlmsghdr* message) {
  const auto* error = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(message));
  NetlinkError result{-error->error, std::strerror(-error->error)};
  if ((message->nlmsg_flags & NLM_F_ACK_TLVS) == 0) return result;
  std::size_t offset = sizeof(nlmsgerr);
  if ((message->nlmsg_flags & NLM_F_CAPPED) == 0) offset += MNL_ALIGN(error->msg.nlmsg_len) - sizeof(nlmsghdr);
  const nlattr* text = attributes<NLMSGERR_ATTR_MSG + 1>(message, offset)[NLMSGERR_ATTR_MSG];
  if (text != nullptr && mnl_attr_validate(text, MNL_TYPE_NUL_STRING) >= 0) result.text = mnl_attr_get_str(text);
  return result;
}

NetlinkError system_error() {
  return {errno, std::strerror(errno)};
}

}  // namespace

Message::Message(std::uint16_t type, std::uint16_t flags) : message_(mnl_nlmsg_put_header(buffer_)) {
  message_->nlmsg_type = type;
  message_->nlmsg_flags = flags;
}

void Message::put(std::uint16_t attribute, const IpAddress& address) {
  put(attribute, address.bytes().data(), address.bytes().size());
}
void Message::put(std::uint16_t attribute, std::uint8_t value) {
  put(attribute, &value, sizeof value);
}
void Message::put(std::uint16_t attribute, std::uint32_t value) {
  put(attribute, &value, sizeof value);
}
void Message::put(std::uint16_t attribute, const std::string& text) {
  put(attribute, text.c_str(), text.size() + 1);
}
void Message::put(std::uint16_t attribute, const void* data, std::size_t length) {
  if (!mnl_attr_put_check(message_, sizeof buffer_, attribute, length, data)) std::abort();
}

Result<NetlinkSocket> NetlinkSocket::open(std::initializer_list<int> groups, int receive_buffer) {
  mnl_socket* raw = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | (groups.size() != 0 ? SOCK_NONBLOCK : 0));
  if (raw == nullptr) return fail(ErrorKind::unavailable, "netlink socket: {}", std::strerror(errno));
  NetlinkSocket socket(raw);
  if (mnl_socket_bind(raw, 0, MNL_SOCKET_AUTOPID) < 0) {
    return fail(ErrorKind::unavailable, "netlink socket: bind: {}", std::strerror(errno));
  }
  int on = 1;
  mnl_socket_setsockopt(raw, NETLINK_EXT_ACK, &on, sizeof on);  // kernel's words in errors; without them: strerror
  mnl_socket_setsockopt(raw, NETLINK_CAP_ACK, &on, sizeof on);
  const timeval patience{1, 0};
  setsockopt(socket.fd(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (receive_buffer > 0 &&
      setsockopt(socket.fd(), SOL_SOCKET, SO_RCVBUFFORCE, &receive_buffer, sizeof receive_buffer) != 0) {
    setsockopt(socket.fd(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);  // up to rmem_max
  }
  for (int group : groups) {
    if (mnl_socket_setsockopt(raw, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) < 0) {
      return fail(ErrorKind::unavailable, "netlink group {}: {}", group, std::strerror(errno));
    }
  }
  return socket;
}

NetlinkSocket::NetlinkSocket(NetlinkSocket&& other) noexcept
    : socket_(std::exchange(other.socket_, nullptr)), sequence_(other.sequence_), buffer_(std::move(other.buffer_)) {}

NetlinkSocket& NetlinkSocket::operator=(NetlinkSocket&& other) noexcept {
  std::swap(socket_, other.socket_);
  std::swap(sequence_, other.sequence_);
  std::swap(buffer_, other.buffer_);
  return *this;
}

NetlinkSocket::~NetlinkSocket() {
  if (socket_ != nullptr) mnl_socket_close(socket_);
}

std::optional<NetlinkError> NetlinkSocket::request(Message& message, const OnMessage& on_message) {
  nlmsghdr* raw = message.raw();
  const bool dump = (raw->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
  raw->nlmsg_flags = static_cast<std::uint16_t>(raw->nlmsg_flags | NLM_F_REQUEST | (dump ? 0 : NLM_F_ACK));
  raw->nlmsg_seq = ++sequence_;
  if (mnl_socket_sendto(socket_, raw, raw->nlmsg_len) < 0) return system_error();
  return receive_answer(raw->nlmsg_seq, dump, on_message);
}

// Until the acknowledgement (or the end of the dump) of `sequence`. Late answers to a request that timed out carry
// another number and are skipped.
std::optional<NetlinkError> NetlinkSocket::receive_answer(std::uint32_t sequence, bool dump,
                                                          const OnMessage& on_message) {
  bool interrupted = false;
  for (;;) {
    const ssize_t received = mnl_socket_recvfrom(socket_, buffer_.data(), buffer_.size());
    if (received < 0 && errno == EINTR) continue;
    if (received < 0 && errno == EAGAIN) return NetlinkError{ETIMEDOUT, "the kernel does not answer"};
    if (received < 0) return system_error();
    int left = static_cast<int>(received);
    for (auto* message = static_cast<const nlmsghdr*>(static_cast<const void*>(buffer_.data()));
         mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
      if (message->nlmsg_seq != sequence) continue;
      interrupted = interrupted || (message->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
      if (message->nlmsg_type == NLMSG_ERROR) {
        const NetlinkError error = error_of(message);
        if (error.code != 0) return error;
        return std::nullopt;
      }
      if (message->nlmsg_type == NLMSG_DONE) {
        if (dump && interrupted) return NetlinkError{EINTR, "the table changed while it was read"};
        return std::nullopt;
      }
      if (message->nlmsg_type >= NLMSG_MIN_TYPE && on_message) on_message(message);
    }
  }
}

NetlinkSocket::Received NetlinkSocket::receive(const OnMessage& on_message) {
  const ssize_t received = mnl_socket_recvfrom(socket_, buffer_.data(), buffer_.size());
  if (received < 0) {
    // ENOSPC: the datagram was longer than the buffer; what it said is as lost as in an overrun.
    return errno == ENOBUFS || errno == ENOSPC ? Received::overrun : Received::nothing;
  }
  int left = static_cast<int>(received);
  for (auto* message = static_cast<const nlmsghdr*>(static_cast<const void*>(buffer_.data()));
       mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
    if (message->nlmsg_type >= NLMSG_MIN_TYPE) on_message(message);
  }
  return Received::messages;
}

Result<std::vector<LinkInfo>> dump_links(NetlinkSocket& socket) {
  NetlinkError error;
  for (int attempt = 0; attempt < kDumpAttempts; ++attempt) {
    std::vector<LinkInfo> links;
    Message message(RTM_GETLINK, NLM_F_DUMP);
    message.header<ifinfomsg>();
    const auto failed = socket.request(message, [&](const nlmsghdr* answer) {
      if (auto link = parse_link(answer)) links.push_back(std::move(*link));
    });
    if (!failed) return links;
    error = *failed;
    if (error.code != EINTR) break;
  }
  return fail(ErrorKind::unavailable, "reading the interfaces: {}", error.text);
}

Result<std::set<IpAddress>> dump_addresses(NetlinkSocket& socket, unsigned ifindex) {
  NetlinkError error;
  for (int attempt = 0; attempt < kDumpAttempts; ++attempt) {
    std::set<IpAddress> addresses;
    Message message(RTM_GETADDR, NLM_F_DUMP);
    message.header<ifaddrmsg>().ifa_index = ifindex;
    const auto failed = socket.request(message, [&](const nlmsghdr* answer) {
      if (const auto info = parse_address(answer); info && info->ifindex == ifindex) addresses.insert(info->address);
    });
    if (!failed) return addresses;
    error = *failed;
    if (error.code != EINTR) break;
  }
  return fail(ErrorKind::unavailable, "reading the addresses of an interface: {}", error.text);
}

// The kernel is asked for this table and protocol only: another one may hold a million routes.
Result<std::set<IpAddress>> dump_vip_routes(NetlinkSocket& socket, std::uint32_t table) {
  std::set<IpAddress> destinations;
  int strict = 1;
  (void)setsockopt(socket.fd(), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &strict, sizeof strict);
  for (const int family : {AF_INET, AF_INET6}) {
    std::optional<NetlinkError> failed;
    for (int attempt = 0; attempt < kDumpAttempts; ++attempt) {
      Message message(RTM_GETROUTE, NLM_F_DUMP);
      auto& header = message.header<rtmsg>();
      header.rtm_family = static_cast<std::uint8_t>(family);
      header.rtm_protocol = kVipRouteProtocol;
      message.put(RTA_TABLE, table);
      failed = socket.request(message, [&](const nlmsghdr* answer) {
        const auto route = parse_table_route(answer);
        if (route && route->to && route->table == table && route->protocol == kVipRouteProtocol)
          destinations.insert(*route->to);
      });
      if (!failed || failed->code != EINTR) break;
    }
    // No such table: nothing has been put into it yet. No such family: the kernel has no IPv6.
    if (failed && failed->code != ENOENT && failed->code != EAFNOSUPPORT && failed->code != EOPNOTSUPP)
      return fail(ErrorKind::unavailable, "reading the routes in table {}: {}", table, failed->text);
  }
  return destinations;
}

Result<Route> get_route(NetlinkSocket& socket, const IpAddress& address) {
  Message message(RTM_GETROUTE, 0);
  auto& header = message.header<rtmsg>();
  header.rtm_family = address.is_v4() ? AF_INET : AF_INET6;
  header.rtm_dst_len = address.is_v4() ? 32 : 128;
  message.put(RTA_DST, address);
  std::optional<Route> route;
  const auto failed = socket.request(message, [&](const nlmsghdr* answer) { route = parse_route(answer); });
  if (failed) {
    const bool no_route =
        failed->code == ENETUNREACH || failed->code == EHOSTUNREACH || failed->code == EACCES || failed->code == EINVAL;
    return fail(no_route ? ErrorKind::not_found : ErrorKind::unavailable, "no route to {} ({})", address.to_string(),
                failed->text);
  }
  if (!route) return fail(ErrorKind::unavailable, "no route to {} (the kernel gave none)", address.to_string());
  return *route;
}

Result<NeighbourInfo> get_neighbour(NetlinkSocket& socket, const NeighbourKey& key) {
  Message message(RTM_GETNEIGH, 0);
  auto& header = message.header<ndmsg>();
  header.ndm_family = key.address.is_v4() ? AF_INET : AF_INET6;
  header.ndm_ifindex = static_cast<int>(key.ifindex);
  message.put(NDA_DST, key.address);
  NeighbourInfo found{key, NUD_NONE, std::nullopt};
  const auto failed = socket.request(message, [&](const nlmsghdr* answer) {
    if (auto neighbour = parse_neighbour(answer); neighbour && neighbour->key == key) found = *neighbour;
  });
  if (failed && failed->code != ENOENT) {
    return fail(ErrorKind::unavailable, "reading neighbour {}: {}", key.address.to_string(), failed->text);
  }
  return found;
}

namespace {

void name_neighbour(Message& message, const NeighbourKey& key, std::uint8_t flags) {
  auto& header = message.header<ndmsg>();
  header.ndm_family = key.address.is_v4() ? AF_INET : AF_INET6;
  header.ndm_ifindex = static_cast<int>(key.ifindex);
  header.ndm_state = NUD_NONE;
  header.ndm_flags = flags;
  message.put(NDA_DST, key.address);
}

}  // namespace

void forget_neighbour(NetlinkSocket& socket, const NeighbourKey& key) {
  Message message(RTM_DELNEIGH, 0);
  name_neighbour(message, key, 0);
  (void)socket.request(message);
}

Result<void> use_neighbour(NetlinkSocket& socket, const NeighbourKey& key) {
  Message message(RTM_NEWNEIGH, NLM_F_CREATE);
  name_neighbour(message, key, NTF_USE);
  const auto failed = socket.request(message);
  if (!failed) return {};
  if (failed->code == ENOBUFS) {
    return fail(ErrorKind::unavailable, "the kernel's neighbour table is full: raise net.{}.neigh.default.gc_thresh3",
                key.address.is_v4() ? "ipv4" : "ipv6");
  }
  if (failed->code == EPERM) {
    return fail(ErrorKind::permission, "resolving {}: {} (CAP_NET_ADMIN is needed)", key.address.to_string(),
                failed->text);
  }
  return fail(ErrorKind::unavailable, "resolving {}: {}", key.address.to_string(), failed->text);
}

}  // namespace xlvs::net
