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
  state.instances = {{51, 160, state.source}, {52, 70, IpAddress::parse("fe80::1").value()}};
  return state;
}

constexpr std::size_t kFamilyAt = 3, kIntervalAt = 20, kLengthAt = 48, kCountAt = 57;

TEST(PeerState, AsBytes) {
  const Body body = encode(state());
  Body wanted{2, 1, 150, 4, 10, 0, 0, 1};
  wanted.resize(20);
  const Body rest{0, 0, 0, 200, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 5, 0, 0, 0, 4, 0, 0, 1, 44, 0, 0, 1, 43, 8};
  wanted.insert(wanted.end(), rest.begin(), rest.end());
  for (const char c : std::string("00c0ffee")) wanted.push_back(static_cast<std::uint8_t>(c));
  wanted.insert(wanted.end(), {2, 51, 160, 4, 10, 0, 0, 1});
  wanted.resize(wanted.size() + 12);
  wanted.insert(wanted.end(), {52, 70, 6, 0xfe, 0x80});
  wanted.resize(wanted.size() + 13);
  wanted.push_back(1);
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

TEST(PeerState, EarlierVersionsDoNotTellOfInstances) {
  PeerState earlier = state();
  earlier.instances.clear();
  const Body body = encode(state());
  EXPECT_EQ(decode_state(std::span(body).first(kCountAt)), earlier);
}

TEST(PeerState, AsManyInstancesAsADatagramHasRoomFor) {
  PeerState many = state();
  many.facts.config = std::string(kLongestConfigHash, 'f');
  many.instances.assign(1000, many.instances[0]);
  const Body body = encode(many);
  EXPECT_LE(body.size(), 1372U);
  many.instances.resize(kMostPeerInstances);
  EXPECT_EQ(decode_state(body), many);
}

TEST(PeerState, LaterVersionsMayAddToIt) {
  Body body = encode(state());
  body.insert(body.end(), {1, 2, 3});
  EXPECT_EQ(decode_state(body), state());
}

TEST(PeerState, EveryShorterLengthIsRefused) {
  const Body body = encode(state());
  for (std::size_t length = 0; length < body.size(); ++length)
    EXPECT_EQ(decode_state(std::span(body).first(length)).has_value(), length == kCountAt) << length;
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
  EXPECT_FALSE(with(kCountAt, kMostPeerInstances + 1));
  EXPECT_FALSE(with(kCountAt + 3, 5));
  EXPECT_TRUE(with(1, 0xfe));  // flags of later versions
}

}  // namespace
}  // namespace xlvs::ha
