// SPDX-License-Identifier: Apache-2.0
#include "agent/peer_port.h"

#include <poll.h>
#include <sys/socket.h>

#include <utility>

namespace xlvs::agent {
namespace {

// Of one turn of the loop before others get theirs.
constexpr int kPacketsPerTurn = 64;
// What a pause of either event loop may let queue up: some 2,000 datagrams.
constexpr int kReceiveBuffer = 4 << 20;
constexpr int kSendBuffer = 1 << 20;
constexpr std::chrono::milliseconds kGreetingPause{50};

bool same_socket(const PeerConfig& a, const PeerConfig& b) {
  return a.local == b.local && a.address == b.address && a.port == b.port;
}

// Best effort: smaller buffers only lose more, which is sent again. The peer link's heartbeats go first.
void prepare_socket(int fd) {
  const int receive = kReceiveBuffer, send = kSendBuffer, usual = 0;
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &receive, sizeof receive) != 0)
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive, sizeof receive);
  if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &send, sizeof send) != 0)
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send, sizeof send);
  (void)setsockopt(fd, SOL_SOCKET, SO_PRIORITY, &usual, sizeof usual);
}

}  // namespace

PeerPort::PeerPort(boost::asio::io_context& loop, Use use, Received received)
    : loop_(loop), use_(use), received_(std::move(received)) {}

PeerPort::~PeerPort() {
  close();
}

void PeerPort::close() {
  life_.reset();
  if (readable_) (void)readable_->release();
  readable_.reset();
}

Result<PeerPort::Next> PeerPort::prepare(const std::optional<PeerConfig>& config) const {
  Next next;
  next.config = config;
  next.keep = (!config && !config_) ||
              (config && config_ && same_socket(*config, *config_) && config->key_file == config_->key_file);
  if (next.keep || !config) return next;
  auto key = ha::PeerKey::load(config->key_file);
  if (!key) return tl::make_unexpected(key.error().in(use_.what));
  next.channel = std::make_unique<ha::PeerChannel>(use_.use, *std::move(key));
  if (config_ && same_socket(*config_, *config)) return next;
  auto socket =
      ha::PeerSocket::open(config->local, config->address, static_cast<std::uint16_t>(config->port + use_.offset));
  if (!socket) return tl::make_unexpected(socket.error().in(use_.what));
  prepare_socket(socket->fd());
  next.socket = std::make_unique<ha::PeerSocket>(*std::move(socket));
  return next;
}

void PeerPort::use(Next next) {
  if (next.keep) {
    config_ = std::move(next.config);
    return;
  }
  close();
  config_ = std::move(next.config);
  channel_ = std::move(next.channel);
  if (next.socket || !config_) socket_ = std::move(next.socket);
  if (!config_) return;
  life_ = std::make_shared<const char>();
  readable_.emplace(loop_, socket_->fd());
  wait();
}

void PeerPort::wait() {
  readable_->async_wait(boost::asio::posix::descriptor_base::wait_read,
                        [this, life = std::weak_ptr(life_)](const boost::system::error_code& error) {
                          if (error == boost::asio::error::operation_aborted || life.expired()) return;
                          receive();
                          if (!life.expired()) wait();
                        });
}

// What is received may end in a reload that closes this port, or opens another.
void PeerPort::receive() {
  const std::weak_ptr life(life_);
  for (int i = 0; i < kPacketsPerTurn && !life.expired(); ++i) {
    const auto packet = socket_->receive();
    if (!packet) return;
    take(*packet);
  }
}

void PeerPort::take_within(std::chrono::milliseconds limit) {
  pollfd waiting{socket_->fd(), POLLIN, 0};
  (void)poll(&waiting, 1, static_cast<int>(limit.count()));
  receive();
}

void PeerPort::take(const ha::PeerPacket& packet) {
  if (!packet.from_peer) return channel_->refuse(ha::PeerRefusal::source);
  const auto message = channel_->open(packet.bytes);
  if (!message) {
    if (message.error() == ha::PeerRefusal::hello) greet();
    return;
  }
  if (!received_(message->type, message->body) && channel_) channel_->refuse(ha::PeerRefusal::malformed);
}

// What is sealed lets the peer in, which asks again soon.
void PeerPort::greet() {
  const ha::Time now = ha::Clock::now();
  if (now - greeted_ < kGreetingPause) return;
  greeted_ = now;
  send(ha::kPeerGreeting, {});
}

void PeerPort::send(std::uint8_t type, std::span<const std::uint8_t> body) {
  if (socket_->send(channel_->seal(type, body)) != 0) ++send_errors_;
}

std::map<std::string, std::uint64_t> PeerPort::rejected() const {
  std::map<std::string, std::uint64_t> rejected;
  if (!channel_) return rejected;
  const ha::PeerChannelCounts& counts = channel_->counts();
  for (std::size_t i = 0; i < ha::kPeerRefusals; ++i) {
    const auto reason = static_cast<ha::PeerRefusal>(i);
    if (counts.refused[i] > 0 && reason != ha::PeerRefusal::hello)
      rejected[std::string(to_string(reason))] = counts.refused[i];
  }
  return rejected;
}

}  // namespace xlvs::agent
