// SPDX-License-Identifier: Apache-2.0
#include "agent/flow_syncing.h"

#include <poll.h>
#include <sys/socket.h>

#include <cstring>
#include <utility>

#include <spdlog/spdlog.h>

namespace xlvs::agent {
namespace {

constexpr std::uint8_t kFlowsType = ha::kPeerFlowsFirst;
// Of one turn of the loop before others get theirs.
constexpr int kPacketsPerTurn = 64;
// What a pause of either event loop may let queue up: some 2,000 datagrams.
constexpr int kReceiveBuffer = 4 << 20;
constexpr int kSendBuffer = 1 << 20;
constexpr std::chrono::milliseconds kGreetingPause{50};

std::uint64_t random_number() {
  const ha::PeerNonce nonce = ha::random_nonce();
  std::uint64_t number = 0;
  std::memcpy(&number, nonce.data(), sizeof number);
  return number | 1;  // 0 means none
}

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

FlowSyncing::FlowSyncing(boost::asio::io_context& loop, dataplane::Dataplane& dataplane, std::function<void(bool)> hold)
    : loop_(loop), dataplane_(dataplane), hold_(std::move(hold)) {}

FlowSyncing::~FlowSyncing() {
  flush_.reset();
  close();
}

void FlowSyncing::close() {
  life_.reset();
  end_flush("flow synchronisation is set up anew");
  ticker_.reset();
  sync_.reset();
  if (readable_) (void)readable_->release();
  readable_.reset();
}

Result<FlowSyncing::Next> FlowSyncing::prepare(const std::optional<HaConfig>& config) const {
  Next next;
  if (config && config->peer && config->peer->flows.on) next.config = config->peer;
  next.keep = next.config == config_;
  if (next.keep || !next.config) return next;
  auto key = ha::PeerKey::load(next.config->key_file);
  if (!key) return tl::make_unexpected(key.error().in("flow synchronisation"));
  next.channel = std::make_unique<ha::PeerChannel>(ha::PeerUse::flows, *std::move(key));
  if (config_ && same_socket(*config_, *next.config)) return next;
  auto socket =
      ha::PeerSocket::open(next.config->local, next.config->address, static_cast<std::uint16_t>(next.config->port + 1));
  if (!socket) return tl::make_unexpected(socket.error().in("flow synchronisation"));
  prepare_socket(socket->fd());
  next.socket = std::make_unique<ha::PeerSocket>(*std::move(socket));
  return next;
}

void FlowSyncing::use(Next next, bool active) {
  if (!next.keep) {
    close();
    config_ = std::move(next.config);
    channel_ = std::move(next.channel);
    if (next.socket || !config_) socket_ = std::move(next.socket);
    if (config_) {
      life_ = std::make_shared<const char>();
      readable_.emplace(loop_, socket_->fd());
      sync_.emplace(
          dataplane_.flow_exchange(), config_->flows,
          [this](std::span<const std::uint8_t> body) { send(kFlowsType, body); }, random_number);
      ticker_.emplace(loop_, ha::kFlowTick, [this] { tick(); });
      wait();
    }
  }
  if (sync_) sync_->set_active(ha::Clock::now(), active);
  const bool was_held = std::exchange(held_, sync_ && sync_->holding());
  if (held_ || was_held) hold_(held_);
}

void FlowSyncing::set_active(bool active) {
  if (!sync_) return;
  sync_->set_active(ha::Clock::now(), active);
  tell_hold();
  if (!active) end_flush("the role has gone already");
}

void FlowSyncing::flush(Flushed done) {
  if (!sync_) return done("flow synchronisation is off");
  if (!sync_->report().active) return done("this router is not active");
  const ha::Time now = ha::Clock::now();
  flush_ = Flush{flush_ ? flush_->until : now + kFlushLimit, std::move(done)};
  sync_->flush(now);
  look_at_flush();
}

std::string FlowSyncing::flush_now() {
  std::optional<std::string> shortfall;
  flush([&](const std::string& why) { shortfall = why; });
  while (!shortfall) {
    pollfd waiting{socket_->fd(), POLLIN, 0};
    (void)poll(&waiting, 1, static_cast<int>(ha::kFlowTick.count()));
    receive();
    tick();
  }
  return *shortfall;
}

void FlowSyncing::look_at_flush() {
  if (!flush_) return;
  const ha::FlowFlush flushed = sync_->flushed();
  if (flushed == ha::FlowFlush::done)
    end_flush("");
  else if (flushed == ha::FlowFlush::none)
    end_flush("the other router does not ask for them");
  else if (ha::Clock::now() >= flush_->until)
    end_flush(fmt::format("the other router has not acknowledged them within {} ms", kFlushLimit.count()));
}

void FlowSyncing::end_flush(const std::string& shortfall) {
  if (!flush_) return;
  const Flushed done = std::move(flush_->done);
  cancel_flush();
  done(shortfall);
}

void FlowSyncing::cancel_flush() {
  flush_.reset();
  if (sync_) sync_->end_flush();
}

void FlowSyncing::services_changed() {
  if (sync_) sync_->services_changed(ha::Clock::now());
}

void FlowSyncing::wait() {
  readable_->async_wait(boost::asio::posix::descriptor_base::wait_read,
                        [this, life = std::weak_ptr(life_)](const boost::system::error_code& error) {
                          if (error == boost::asio::error::operation_aborted || life.expired()) return;
                          receive();
                          wait();
                        });
}

void FlowSyncing::receive() {
  for (int i = 0; i < kPacketsPerTurn; ++i) {
    const auto packet = socket_->receive();
    if (!packet) break;
    take(*packet);
  }
  look_at_flush();
}

void FlowSyncing::take(const ha::PeerPacket& packet) {
  if (!packet.from_peer) {
    channel_->refuse(ha::PeerRefusal::source);
    return;
  }
  const auto message = channel_->open(packet.bytes);
  if (!message) {
    if (message.error() == ha::PeerRefusal::hello) greet();
    return;
  }
  if (message->type == ha::kPeerGreeting) return;
  if (message->type != kFlowsType || !sync_->receive(ha::Clock::now(), message->body))
    channel_->refuse(ha::PeerRefusal::malformed);
}

// What is sealed lets the peer in, which asks again soon.
void FlowSyncing::greet() {
  const ha::Time now = ha::Clock::now();
  if (now - greeted_ < kGreetingPause) return;
  greeted_ = now;
  send(ha::kPeerGreeting, {});
}

void FlowSyncing::send(std::uint8_t type, std::span<const std::uint8_t> body) {
  if (socket_->send(channel_->seal(type, body)) != 0) ++send_errors_;
}

void FlowSyncing::tick() {
  sync_->tick(ha::Clock::now());
  tell_hold();
  look_at_flush();
}

void FlowSyncing::tell_hold() {
  if (sync_->holding() == held_) return;
  held_ = !held_;
  if (held_)
    spdlog::info("ha: waits for the other router's flows before it preempts");
  else
    spdlog::info("ha: may preempt: {}", sync_->report().active ? "active already" : sync_->why());
  hold_(held_);
}

std::optional<control::HaFlowsReport> FlowSyncing::report() const {
  if (!sync_) return std::nullopt;
  const ha::FlowSyncReport from = sync_->report();
  control::HaFlowsReport report;
  report.sends = from.active;
  report.holds = from.holding;
  report.state = !from.active          ? std::string(to_string(from.receiver.state))
                 : !from.sender.peer   ? "no-peer"
                 : from.sender.in_step ? "in-step"
                                       : "sending";
  report.sent = from.sender.flows;
  report.received = from.receiver.flows;
  report.datagrams_sent = from.sender.datagrams;
  report.datagrams_resent = from.sender.resent;
  report.datagrams_received = from.receiver.datagrams;
  report.datagrams_repeated = from.receiver.repeated;
  report.send_errors = send_errors_;
  const FlowImports& imports = from.receiver.imports;
  report.imported = {
      {"created", imports.created}, {"updated", imports.updated}, {"kept", imports.kept}, {"ended", imports.ended}};
  report.refused = {{"conflict", imports.conflict},     {"no_room", imports.no_room},
                    {"no_service", imports.no_service}, {"no_listener", imports.no_listener},
                    {"no_backend", imports.no_backend}, {"failed", imports.failed}};
  report.snapshots_sent = from.sender.snapshots;
  report.snapshots_received = from.receiver.snapshots;
  report.snapshot_flows = from.active ? from.sender.snapshot_flows : from.receiver.snapshot_flows;
  report.snapshot_time =
      std::chrono::duration<double>(from.active ? from.sender.snapshot_time : from.receiver.snapshot_time).count();
  const ha::PeerChannelCounts& counts = channel_->counts();
  for (std::size_t i = 0; i < ha::kPeerRefusals; ++i) {
    const auto reason = static_cast<ha::PeerRefusal>(i);
    if (counts.refused[i] > 0 && reason != ha::PeerRefusal::hello)
      report.rejected[std::string(to_string(reason))] = counts.refused[i];
  }
  return report;
}

}  // namespace xlvs::agent
