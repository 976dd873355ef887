// SPDX-License-Identifier: Apache-2.0
// A sender and a receiver with a network between them that loses, doubles and reorders.
#include "ha/config_transfer.h"

#include <gmock/gmock.h>

#include <deque>
#include <random>

namespace xlvs::ha {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::SizeIs;

std::vector<std::uint8_t> bytes(std::size_t size) {
  std::vector<std::uint8_t> out(size);
  std::mt19937 random(1);
  for (std::uint8_t& byte : out) byte = static_cast<std::uint8_t>(random());
  return out;
}

class ConfigTransferTest : public ::testing::Test {
 protected:
  void begin(std::size_t size, bool dry_run = false) {
    whole = bytes(size);
    sender.emplace(now, ++transfer, whole, dry_run);
    put(sender->tick(now), to_receiver);
  }
  void put(std::vector<ConfigOutgoing> messages, std::deque<ConfigOutgoing>& network) {
    for (ConfigOutgoing& message : messages) {
      const int copies = lose(random) ? 0 : (double_(random) ? 2 : 1);
      for (int i = 0; i < copies; ++i) {
        const std::size_t back = network.empty() || !reorder(random) ? 0 : random() % network.size();
        network.insert(network.end() - static_cast<std::ptrdiff_t>(back), message);
      }
    }
    most_under_way = std::max(most_under_way, to_receiver.size());
  }
  // Everything that is under way arrives, and what follows from it.
  void settle() {
    while (!to_receiver.empty() || !to_sender.empty()) {
      if (!to_receiver.empty()) {
        const ConfigOutgoing message = to_receiver.front();
        to_receiver.pop_front();
        if (deaf) continue;
        auto received = receiver.receive(now, message.body);
        ASSERT_TRUE(received);
        if (received->send) put({*received->send}, to_sender);
        if (received->arrived) {
          arrived.push_back(*received->arrived);
          put({receiver.answer(received->arrived->transfer, verdict)}, to_sender);
        }
      }
      if (!to_sender.empty()) {
        const ConfigOutgoing message = to_sender.front();
        to_sender.pop_front();
        const auto next = sender->receive(now, message.type, message.body);
        ASSERT_TRUE(next);
        put(*next, to_receiver);
      }
    }
  }
  void run(std::chrono::milliseconds time) {
    const Time end = now + time;
    for (; now < end && !sender->over(); now += 50ms) {
      put(sender->tick(now), to_receiver);
      settle();
    }
  }

  std::mt19937 random{7};
  std::bernoulli_distribution lose{0}, double_{0}, reorder{0};
  Time now{1h};
  std::uint64_t transfer = 0;
  std::vector<std::uint8_t> whole;
  std::optional<ConfigSender> sender;
  ConfigReceiver receiver;
  std::deque<ConfigOutgoing> to_receiver, to_sender;
  std::size_t most_under_way = 0;
  bool deaf = false;
  std::vector<ConfigReceiver::Arrived> arrived;
  ConfigVerdict verdict{ConfigOutcome::applied, 5, {"service web: added"}};
};

TEST_F(ConfigTransferTest, OfEverySizeAroundAChunk) {
  for (const std::size_t size : {std::size_t{1}, kLargestChunk - 1, kLargestChunk, kLargestChunk + 1,
                                 ConfigSender::kWindow * kLargestChunk + 1, kLargestConfig}) {
    arrived.clear();
    begin(size);
    settle();
    ASSERT_EQ(sender->state(), ConfigSender::State::done) << size;
    ASSERT_THAT(arrived, SizeIs(1));
    EXPECT_EQ(arrived[0].whole, whole);
    EXPECT_EQ(sender->verdict(), verdict);
  }
  EXPECT_LE(most_under_way, ConfigSender::kWindow);
}

TEST_F(ConfigTransferTest, OverABadNetworkOnceAndWhole) {
  lose = std::bernoulli_distribution(0.2);
  double_ = std::bernoulli_distribution(0.1);
  reorder = std::bernoulli_distribution(0.1);
  for (int i = 0; i < 50; ++i) {
    arrived.clear();
    begin(30 * kLargestChunk + 17, i % 2 == 0);
    run(5min);
    ASSERT_EQ(sender->state(), ConfigSender::State::done) << i;
    ASSERT_THAT(arrived, SizeIs(1)) << "decided once, however often it was asked";
    EXPECT_EQ(arrived[0].whole, whole);
    EXPECT_EQ(arrived[0].dry_run, i % 2 == 0);
    EXPECT_EQ(sender->verdict(), verdict);
  }
}

TEST_F(ConfigTransferTest, NobodyThereIsNoticed) {
  deaf = true;
  begin(100);
  run(4950ms);
  EXPECT_EQ(sender->state(), ConfigSender::State::sending);
  run(100ms);
  EXPECT_EQ(sender->state(), ConfigSender::State::silent);
  EXPECT_THAT(sender->tick(now + 1h), SizeIs(0));
}

TEST_F(ConfigTransferTest, ALateVerdictIsWaitedForAndALostOneAskedFor) {
  begin(2 * kLargestChunk);
  put(sender->tick(now), to_receiver);
  std::optional<ConfigReceiver::Arrived> whole_one;
  while (!to_receiver.empty()) {
    auto received = receiver.receive(now, to_receiver.front().body);
    to_receiver.pop_front();
    ASSERT_TRUE(received);
    if (received->arrived) whole_one = received->arrived;
    ASSERT_TRUE(sender->receive(now, received->send->type, received->send->body));
  }
  ASSERT_TRUE(whole_one);
  EXPECT_EQ(sender->state(), ConfigSender::State::deciding);
  now += 20s;
  const auto asked = sender->tick(now);
  ASSERT_THAT(asked, SizeIs(1));
  EXPECT_EQ(sender->state(), ConfigSender::State::deciding) << "loading may take long";
  (void)receiver.answer(whole_one->transfer, verdict);  // and is lost
  const auto again = receiver.receive(now, asked[0].body);
  ASSERT_TRUE(again && again->send && !again->arrived);
  EXPECT_EQ(again->send->type, kConfigVerdict);
  ASSERT_TRUE(sender->receive(now, again->send->type, again->send->body));
  EXPECT_EQ(sender->verdict(), verdict);
}

TEST_F(ConfigTransferTest, ARestartedReceiverGetsItAgain) {
  begin(40 * kLargestChunk);
  for (int i = 0; i < 3; ++i) {
    const auto received = receiver.receive(now, to_receiver.front().body);
    to_receiver.pop_front();
    ASSERT_TRUE(sender->receive(now, received->send->type, received->send->body));
  }
  EXPECT_EQ(sender->arrived(), 3 * kLargestChunk);
  receiver = {};
  run(1min);
  EXPECT_EQ(sender->state(), ConfigSender::State::done);
  ASSERT_THAT(arrived, SizeIs(1));
  EXPECT_EQ(arrived[0].whole, whole);
}

TEST_F(ConfigTransferTest, ALaterTransferReplacesAnEarlierOneThatIsNotWhole) {
  begin(40 * kLargestChunk);
  (void)receiver.receive(now, to_receiver.front().body);
  to_receiver.clear();
  begin(3 * kLargestChunk);
  settle();
  EXPECT_EQ(sender->state(), ConfigSender::State::done);
  ASSERT_THAT(arrived, SizeIs(1));
  EXPECT_EQ(arrived[0].transfer, transfer);
}

TEST_F(ConfigTransferTest, WhatIsLeftHalfDoneIsForgotten) {
  begin(40 * kLargestChunk);
  (void)receiver.receive(now, to_receiver.front().body);
  const ConfigOutgoing second = to_receiver[1];
  receiver.tick(now + ConfigReceiver::kForget - 1s);
  auto received = receiver.receive(now, second.body);
  EXPECT_EQ(decode_progress(received->send->body)->arrived, 2 * kLargestChunk);
  receiver.tick(now + ConfigReceiver::kForget);
  received = receiver.receive(now, second.body);
  EXPECT_EQ(decode_progress(received->send->body)->arrived, 0U);
}

TEST_F(ConfigTransferTest, ContradictionsAndStrangersAreRefused) {
  begin(40 * kLargestChunk);
  ASSERT_TRUE(receiver.receive(now, to_receiver.front().body));
  const std::vector<std::uint8_t> some{1};
  EXPECT_FALSE(receiver.receive(now, encode(ConfigChunk{transfer, false, 7, 0, some}))) << "another length";
  EXPECT_FALSE(receiver.receive(now, some));
  EXPECT_FALSE(sender->receive(now, kConfigProgress, encode(ConfigProgress{transfer, 1'000'000})));
  EXPECT_FALSE(sender->receive(now, kConfigVerdict, some));
  const auto strange = sender->receive(now, kConfigVerdict, encode(ConfigAnswer{99, verdict}));
  ASSERT_TRUE(strange);
  EXPECT_THAT(*strange, ElementsAre());
  EXPECT_EQ(sender->state(), ConfigSender::State::sending);
}

}  // namespace
}  // namespace xlvs::ha
