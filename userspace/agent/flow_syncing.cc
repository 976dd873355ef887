// SPDX-License-Identifier: Apache-2.0
#include "agent/flow_syncing.h"

#include <utility>

#include <spdlog/spdlog.h>

#include "agent/random_number.h"

namespace xlvs::agent {
namespace {

constexpr std::uint8_t kFlowsType = ha::kPeerFlows;
constexpr PeerPort::Use kUse{ha::PeerUse::flows, 1, "flow synchronisation"};

}  // namespace

FlowSyncing::FlowSyncing(boost::asio::io_context& loop, dataplane::Dataplane& dataplane, std::function<void(bool)> hold)
    : loop_(loop),
      dataplane_(dataplane),
      hold_(std::move(hold)),
      port_(loop, kUse, [this](std::uint8_t type, std::span<const std::uint8_t> body) {
        if (type == ha::kPeerGreeting) return true;  // it asks soon, or is asked again
        const bool taken = type == kFlowsType && sync_->receive(ha::Clock::now(), body);
        look_at_flush();
        return taken;
      }) {}

Result<FlowSyncing::Next> FlowSyncing::prepare(const std::optional<HaConfig>& config) const {
  std::optional<PeerConfig> peer;
  if (config && config->peer && config->peer->flows.on) peer = config->peer;
  auto port = port_.prepare(peer);
  if (!port) return tl::make_unexpected(port.error());
  const bool same_rules = peer && config_ ? peer->flows == *config_ : !peer && !config_;
  return Next{std::move(*port), port->keep && same_rules};
}

void FlowSyncing::use(Next next, bool active) {
  if (!next.keep) {
    end_flush("flow synchronisation is set up anew");
    ticker_.reset();
    sync_.reset();
    config_.reset();
    if (next.port.config) config_ = next.port.config->flows;
    port_.use(std::move(next.port));
    if (config_) {
      sync_.emplace(
          dataplane_.flow_exchange(), *config_,
          [this](std::span<const std::uint8_t> body) { port_.send(kFlowsType, body); }, random_number);
      ticker_.emplace(loop_, ha::kFlowTick, [this] { tick(); });
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
    port_.take_within(ha::kFlowTick);
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
  report.send_errors = port_.send_errors();
  report.rejected = port_.rejected();
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
  return report;
}

}  // namespace xlvs::agent
