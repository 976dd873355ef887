// SPDX-License-Identifier: Apache-2.0
// c-ares behind net::Resolver. Each question has a channel of its own: it reads resolv.conf anew, and is gone with all
// its sockets when it is answered.
#include "net/resolver.h"

#include <ares.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>
#include <utility>

#include <fmt/ranges.h>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

namespace xlvs::net {
namespace {

namespace asio = boost::asio;
using Done = std::function<void(const Result<NameReply>&)>;

constexpr int kTryMilliseconds = 2000;
constexpr int kTries = 2;  // of each server
constexpr std::chrono::seconds kLongest{10};

IpAddress address_of(const ares_addrinfo_node& node) {
  if (node.ai_family == AF_INET) {
    std::array<std::uint8_t, 4> bytes{};
    std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in*>(node.ai_addr)->sin_addr, bytes.size());
    return IpAddress::v4(bytes);
  }
  std::array<std::uint8_t, 16> bytes{};
  std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in6*>(node.ai_addr)->sin6_addr, bytes.size());
  return IpAddress::v6(bytes);
}

// The shortest TTL on the way counts; what /etc/hosts says has none.
NameReply reply_of(const ares_addrinfo& info, Family family) {
  NameReply reply;
  int ttl = std::numeric_limits<int>::max();
  const int wanted = family == Family::ipv4 ? AF_INET : AF_INET6;
  for (const ares_addrinfo_node* node = info.nodes; node != nullptr; node = node->ai_next) {
    if (node->ai_family != wanted) continue;
    const IpAddress address = address_of(*node);
    if (!address.is_unicast()) continue;
    reply.addresses.insert(address);
    ttl = std::min(ttl, node->ai_ttl);
  }
  for (const ares_addrinfo_cname* alias = info.cnames; alias != nullptr; alias = alias->next)
    if (alias->name != nullptr) ttl = std::min(ttl, alias->ttl);
  reply.ttl = std::chrono::seconds(std::max(ttl, 0));
  return reply;
}

// One question. Its handlers keep it alive, and find `done_` empty once it has been answered or given up.
class Lookup : public std::enable_shared_from_this<Lookup> {
 public:
  Lookup(asio::io_context& loop, Name name, Done done)
      : loop_(loop), name_(std::move(name)), done_(std::move(done)), timer_(loop), deadline_(loop) {}
  Lookup(const Lookup&) = delete;
  Lookup& operator=(const Lookup&) = delete;
  ~Lookup() { close(); }

  void start(const std::vector<Endpoint>& servers) {
    if (const int status = open(servers); status != ARES_SUCCESS) return answer_later(failure(status));
    deadline_.expires_after(kLongest);
    deadline_.async_wait([self = shared_from_this()](boost::system::error_code error) {
      if (!error) self->finish(self->failure(ARES_ETIMEOUT));
    });
    ares_addrinfo_hints hints{};
    hints.ai_family = name_.family == Family::ipv4 ? AF_INET : AF_INET6;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = ARES_AI_NOSORT;
    ares_getaddrinfo(channel_, name_.host.c_str(), nullptr, &hints, &Lookup::on_answer, this);
    plan_timer();
  }

  void give_up() {
    done_ = nullptr;
    close();
  }

 private:
  struct Socket {
    Socket(asio::io_context& loop, ares_socket_t number) : descriptor(loop, number), fd(number) {}
    asio::posix::stream_descriptor descriptor;  // lent: released, never closed here
    ares_socket_t fd;
    bool readable = false, writable = false, open = true;
    bool waiting_in = false, waiting_out = false;
  };

  int open(const std::vector<Endpoint>& servers) {
    static const int initialised = ares_library_init(ARES_LIB_INIT_ALL);
    if (initialised != ARES_SUCCESS) return initialised;
    ares_options options{};
    options.timeout = kTryMilliseconds;
    options.tries = kTries;
    options.sock_state_cb = &Lookup::on_socket;
    options.sock_state_cb_data = this;
    const int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;
    if (const int status = ares_init_options(&channel_, &options, mask); status != ARES_SUCCESS) {
      channel_ = nullptr;
      return status;
    }
    if (servers.empty()) return ARES_SUCCESS;
    std::vector<std::string> list;
    for (const Endpoint& server : servers) list.push_back(server.to_string());
    return ares_set_servers_ports_csv(channel_, fmt::format("{}", fmt::join(list, ",")).c_str());
  }

  // c-ares calls back from within its own functions: what ends the channel comes later.
  static void on_answer(void* self, int status, int /*timeouts*/, ares_addrinfo* info) {
    auto& lookup = *static_cast<Lookup*>(self);
    Result<NameReply> result = lookup.failure(status);
    if (status == ARES_SUCCESS && info != nullptr) {
      NameReply reply = reply_of(*info, lookup.name_.family);
      result = reply.addresses.empty() ? Result<NameReply>(lookup.failure(ARES_ENODATA)) : std::move(reply);
    }
    if (info != nullptr) ares_freeaddrinfo(info);
    if (lookup.done_) lookup.answer_later(std::move(result));
  }

  static void on_socket(void* self, ares_socket_t fd, int readable, int writable) {
    auto& lookup = *static_cast<Lookup*>(self);
    const auto found = lookup.sockets_.find(fd);
    if (readable == 0 && writable == 0) {
      if (found == lookup.sockets_.end()) return;
      found->second->open = false;
      found->second->descriptor.release();
      lookup.sockets_.erase(found);
      return;
    }
    if (!lookup.done_) return;  // closing: shared_from_this() may be gone
    auto& socket = lookup.sockets_[fd];
    if (!socket) socket = std::make_shared<Socket>(lookup.loop_, fd);
    socket->readable = readable != 0;
    socket->writable = writable != 0;
    lookup.arm(socket);
  }

  void arm(const std::shared_ptr<Socket>& socket) {
    using Descriptor = asio::posix::descriptor_base;
    if (!socket->open) return;
    if (socket->readable && !std::exchange(socket->waiting_in, true)) {
      socket->descriptor.async_wait(Descriptor::wait_read,
                                    [self = shared_from_this(), socket](boost::system::error_code error) {
                                      socket->waiting_in = false;
                                      if (!error) self->act(socket, socket->fd, ARES_SOCKET_BAD);
                                    });
    }
    if (socket->writable && !std::exchange(socket->waiting_out, true)) {
      socket->descriptor.async_wait(Descriptor::wait_write,
                                    [self = shared_from_this(), socket](boost::system::error_code error) {
                                      socket->waiting_out = false;
                                      if (!error) self->act(socket, ARES_SOCKET_BAD, socket->fd);
                                    });
    }
  }

  void act(const std::shared_ptr<Socket>& socket, ares_socket_t in, ares_socket_t out) {
    if (channel_ == nullptr || !socket->open) return;
    ares_process_fd(channel_, in, out);
    arm(socket);
    plan_timer();
  }

  void plan_timer() {
    timeval time{};
    if (channel_ == nullptr || ares_timeout(channel_, nullptr, &time) == nullptr) return;
    timer_.expires_after(std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec));
    timer_.async_wait([self = shared_from_this()](boost::system::error_code error) {
      if (error || self->channel_ == nullptr) return;
      ares_process_fd(self->channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
      self->plan_timer();
    });
  }

  [[nodiscard]] tl::unexpected<Error> failure(int status) const {
    const bool answered = status == ARES_ENOTFOUND || status == ARES_ENODATA;
    return fail(answered ? ErrorKind::not_found : ErrorKind::unavailable, "{} has no {} address: {}", name_.host,
                name_.family == Family::ipv4 ? "IPv4" : "IPv6", ares_strerror(status));
  }

  void answer_later(Result<NameReply> result) {
    asio::post(loop_, [self = shared_from_this(), result = std::move(result)] { self->finish(result); });
  }

  void finish(const Result<NameReply>& result) {
    if (!done_) return;
    const Done done = std::exchange(done_, nullptr);
    close();
    done(result);
  }

  void close() {
    timer_.cancel();
    deadline_.cancel();
    if (channel_ != nullptr) ares_destroy(std::exchange(channel_, nullptr));
    for (const auto& [fd, socket] : sockets_) {
      socket->open = false;
      socket->descriptor.release();
    }
    sockets_.clear();
  }

  asio::io_context& loop_;
  Name name_;
  Done done_;
  asio::steady_timer timer_;     // c-ares' own: the next try
  asio::steady_timer deadline_;  // ours: whatever the servers do
  ares_channel channel_ = nullptr;
  std::map<ares_socket_t, std::shared_ptr<Socket>> sockets_;
};

class AresResolver final : public Resolver {
 public:
  explicit AresResolver(asio::io_context& loop) : loop_(loop) {}
  AresResolver(const AresResolver&) = delete;
  AresResolver& operator=(const AresResolver&) = delete;
  ~AresResolver() override {
    for (const auto& lookup : lookups_)
      if (const auto running = lookup.lock()) running->give_up();
  }

  void resolve(const Name& name, Done done) override {
    std::erase_if(lookups_, [](const auto& lookup) { return lookup.expired(); });
    const auto lookup = std::make_shared<Lookup>(loop_, name, std::move(done));
    lookups_.push_back(lookup);
    lookup->start(servers_);
  }
  void use_servers(const std::vector<Endpoint>& servers) override { servers_ = servers; }

 private:
  asio::io_context& loop_;
  std::vector<Endpoint> servers_;
  std::vector<std::weak_ptr<Lookup>> lookups_;
};

}  // namespace

std::unique_ptr<Resolver> make_resolver(asio::io_context& loop) {
  return std::make_unique<AresResolver>(loop);
}

}  // namespace xlvs::net
