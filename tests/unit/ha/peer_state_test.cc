// SPDX-License-Identifier: Apache-2.0
#include "ha/peer_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace xlvs::ha {
namespace {

using std::chrono::milliseconds;
using Body = std::vector<std::uint8_t>;

PeerState state() {
  PeerState state;
  state.role = Role::active;
  state.priority = 150;
  state.released = true;
  state.source = IpAddress::parse("10.0.0.1").value();
  state.interval = milliseconds(200);
  state.facts = {0x0102030405060708, "00c0ffee", {5, 4, 300, 299}};
  return state;
}

constexpr std::size_t kFamilyAt = 3, kIntervalAt = 20, kLengthAt = 48;

TEST(PeerState, AsBytes) {
  const Body body = encode(state());
  Body wanted{2, 1, 150, 4, 10, 0, 0, 1};
  wanted.resize(20);
  const Body rest{0, 0, 0, 200, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 5, 0, 0, 0, 4, 0, 0, 1, 44, 0, 0, 1, 43, 8};
  wanted.insert(wanted.end(), rest.begin(), rest.end());
  for (const char c : std::string("00c0ffee")) wanted.push_back(static_cast<std::uint8_t>(c));
  EXPECT_EQ(body, wanted);
}

TEST(PeerState, WhatWasEncodedIsDecoded) {
  EXPECT_EQ(decode_state(encode(state())), state());
  EXPECT_EQ(decode_state(encode(PeerState{})), PeerState{});
  PeerState six = state();
  six.role = Role::backup;
  six.released = false;
  six.source = IpAddress::parse("fe80::1:2").value();
  six.facts.config = std::string(kLongestConfigHash, 'f');
  EXPECT_EQ(decode_state(encode(six)), six);
}

TEST(PeerState, LaterVersionsMayAddToIt) {
  Body body = encode(state());
  body.insert(body.end(), {1, 2, 3});
  EXPECT_EQ(decode_state(body), state());
}

TEST(PeerState, EveryShorterLengthIsRefused) {
  const Body body = encode(state());
  for (std::size_t length = 0; length < body.size(); ++length)
    EXPECT_EQ(decode_state(std::span(body).first(length)), std::nullopt) << length;
}

TEST(PeerState, ValuesThatNoRouterSends) {
  const auto with = [](std::size_t at, std::uint8_t value) {
    Body body = encode(state());
    body[at] = value;
    return decode_state(body);
  };
  EXPECT_FALSE(with(0, 3));
  EXPECT_FALSE(with(kFamilyAt, 5));
  EXPECT_FALSE(with(kIntervalAt + 3, 0));
  EXPECT_FALSE(with(kIntervalAt + 1, 1));  // more than a minute
  EXPECT_FALSE(with(kLengthAt, 65));
  EXPECT_FALSE(with(kLengthAt + 1, '\n'));
  EXPECT_TRUE(with(1, 0xfe));  // flags of later versions
}

}  // namespace
}  // namespace xlvs::ha
