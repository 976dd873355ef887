// SPDX-License-Identifier: Apache-2.0
#include "ha/flow_sync.h"

#include <utility>

namespace xlvs::ha {

FlowSync::FlowSync(const FlowExchange& exchange, const FlowSyncConfig& config, SendBody send, RandomNumber random)
    : sender_(exchange.source, config, send, random), receiver_(exchange.sink, std::move(send), std::move(random)) {}

void FlowSync::set_active(Time now, bool active) {
  if (started_ && active == active_) return;
  started_ = true;
  active_ = active;
  holding_ = !active;
  backup_since_ = now;
  if (active) {
    receiver_.stop();
    sender_.start(now);
  } else {
    sender_.stop();
    receiver_.start(now);
  }
}

bool FlowSync::receive(Time now, std::span<const std::uint8_t> body) {
  auto message = decode_flow_message(body);
  if (!message) return false;
  if (!started_) return true;
  if (const auto* ask = std::get_if<FlowAsk>(&*message))
    sender_.receive(now, *ask);
  else if (auto* data = std::get_if<FlowData>(&*message))
    receiver_.receive(now, std::move(*data));
  else if (const auto* idle = std::get_if<FlowIdle>(&*message))
    receiver_.receive(now, *idle);
  else
    receiver_.receive(now, std::get<FlowPassive>(*message));
  update_hold(now);
  return true;
}

void FlowSync::tick(Time now) {
  sender_.tick(now);
  receiver_.tick(now);
  update_hold(now);
}

void FlowSync::services_changed(Time now) {
  if (receiver_.report().imports.misconfigured() > 0) receiver_.ask_again(now);
}

void FlowSync::update_hold(Time now) {
  if (!holding_) return;
  const FlowReception state = receiver_.report().state;
  if (state == FlowReception::in_step)
    why_ = "the other router's flows are here";
  else if (state == FlowReception::passive)
    why_ = "the other router is not active";
  else if (state == FlowReception::silent)
    why_ = "the other router has fallen silent";
  else if (state == FlowReception::asking && now - backup_since_ >= kAnswerWait)
    why_ = "nobody answers";
  else if (now - backup_since_ >= kHoldLimit)
    why_ = "the other router's flows took too long to come";
  else
    return;
  holding_ = false;
}

FlowSyncReport FlowSync::report() const {
  return {active_, holding_, sender_.report(), receiver_.report()};
}

}  // namespace xlvs::ha
