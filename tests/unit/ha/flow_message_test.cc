// SPDX-License-Identifier: Apache-2.0
#include "ha/flow_message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace xlvs::ha {
namespace {

FlowRecord flow(const std::string& client, std::uint32_t target = 7, FlowState state = FlowState::established,
                std::uint16_t idle = 3) {
  return {*Endpoint::parse(client), target, state, std::chrono::duration<std::uint16_t>(idle)};
}

FlowTarget target(const std::string& service = "web") {
  return {service, *Listener::parse("198.51.100.10:80/tcp"), *Endpoint::parse("10.0.0.11:8080")};
}

FlowData data() {
  FlowData out{11, 12, 13, {}};
  out.batch.snapshot_ends = true;
  out.batch.targets = {{7, target()},
                       {kMaxFlowTargets - 1,
                        {"dns", *Listener::parse("[2001:db8::10]:53/udp"), *Endpoint::parse("[2001:db8:1::1]:5353")}}};
  out.batch.flows = {flow("203.0.113.1:40000"), flow("203.0.113.2:1", 7, FlowState::last_ack, 65535),
                     flow("[2001:db8:c::1]:40000", kMaxFlowTargets - 1, FlowState::udp, 0)};
  return out;
}

std::vector<FlowMessage> messages() {
  FlowAsk ask{1, 2, 3, {}};
  ask.set(0);
  ask.set(255);
  return {ask, data(), FlowIdle{4, 5, 6}, FlowPassive{7}};
}

TEST(FlowMessage, SaysTheSameOnTheOtherSide) {
  for (const FlowMessage& message : messages()) EXPECT_EQ(decode_flow_message(encode(message)), message);
  const auto ask = std::get<FlowAsk>(*decode_flow_message(encode(messages()[0])));
  EXPECT_TRUE(ask.has(0) && ask.has(255) && !ask.has(1) && !ask.has(254));
}

TEST(FlowMessage, NoPartOfOneIsOne) {
  for (const FlowMessage& message : messages()) {
    auto bytes = encode(message);
    for (std::size_t length = 0; length < bytes.size(); ++length)
      EXPECT_FALSE(decode_flow_message(std::span(bytes).first(length))) << length;
    bytes.push_back(0);
    EXPECT_FALSE(decode_flow_message(bytes)) << "longer than it says";
  }
}

TEST(FlowMessage, ContradictionsAreRefused) {
  const auto refused = [](const auto& change) {
    FlowData bad = data();
    change(bad);
    return !decode_flow_message(encode(bad));
  };
  EXPECT_FALSE(refused([](FlowData&) {}));
  EXPECT_TRUE(refused([](FlowData& d) { d.sequence = 0; }));
  EXPECT_TRUE(refused([](FlowData& d) { d.batch.targets[0].first = kMaxFlowTargets; }));
  EXPECT_TRUE(refused([](FlowData& d) { d.batch.targets[0].second.service.clear(); }));
  EXPECT_TRUE(refused([](FlowData& d) { d.batch.targets[0].second.listener.protocol = static_cast<Protocol>(1); }));
  EXPECT_TRUE(refused([](FlowData& d) { d.batch.flows[0].target = kMaxFlowTargets; }));
  EXPECT_TRUE(refused([](FlowData& d) { d.batch.flows[0].state = static_cast<FlowState>(0); }));
  EXPECT_TRUE(refused([](FlowData& d) { d.batch.flows[0].state = static_cast<FlowState>(kFlowStates); }));
  auto bytes = encode(FlowPassive{1});
  bytes[0] = 2;
  EXPECT_FALSE(decode_flow_message(bytes)) << "another version";
  bytes[0] = 1;
  bytes[1] = 99;
  EXPECT_FALSE(decode_flow_message(bytes)) << "another kind";
}

TEST(FlowMessage, ABatchIsFullWhenItsBodyIs) {
  for (const char* address : {"203.0.113.1", "2001:db8:c::1"}) {
    FlowBatchBuilder builder;
    const IpAddress client = *IpAddress::parse(address);
    std::size_t flows = 0;
    const FlowTarget named = target(std::string(63, 'n'));
    for (;; ++flows) {
      FlowRecord next = flow("203.0.113.1:1", static_cast<std::uint32_t>(flows));
      next.client = {client, static_cast<std::uint16_t>(flows)};
      if (!builder.add(next, flows % 10 == 0 ? &named : nullptr)) break;
    }
    const FlowData full{1, 2, 3, builder.take()};
    EXPECT_EQ(full.batch.flows.size(), flows);
    const auto body = encode(full);
    EXPECT_LE(body.size(), kMaxFlowBody);
    EXPECT_GT(body.size(), kMaxFlowBody - 130) << "and not much sooner";
    EXPECT_EQ(decode_flow_message(body), FlowMessage(full));
  }
  FlowBatchBuilder builder;
  std::size_t flows = 0;
  while (builder.add(flow("203.0.113.1:1"), nullptr)) ++flows;
  EXPECT_EQ(flows, 105U) << "12 bytes for each";
}

}  // namespace
}  // namespace xlvs::ha
