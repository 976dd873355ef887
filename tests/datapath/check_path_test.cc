// SPDX-License-Identifier: Apache-2.0
// Checks that go to a VIP on a backend: their packets on the way out, the answers on the way in, and what is neither.
#include <linux/pkt_cls.h>

#include "tests/datapath/fixture.h"

namespace xlvs::test {
namespace {

constexpr std::uint32_t kMark = 0x6c760001;
constexpr std::uint32_t kUnspecified = static_cast<std::uint32_t>(TC_ACT_UNSPEC);

class CheckPath : public ::testing::TestWithParam<std::tuple<int, std::uint8_t>> {
 protected:
  CheckPath() { x.add_check(kMark, n.vip, 80, protocol); }

  const Net& n = net(std::get<0>(GetParam()));
  const std::uint8_t protocol = std::get<1>(GetParam());
  const std::string router = n.stranger;  // any address of this host
  XdpHarness x;
  const Segment sent{.src = router, .sport = 50000, .dst = n.server1, .protocol = protocol, .payload = text("ask")};

  [[nodiscard]] Segment at_vip(const Segment& from) const {
    Segment to = from;
    to.dst = n.vip;
    return to;
  }
  [[nodiscard]] Segment answer_from(const std::string& source) const {
    Segment from = sent;
    from.src = source;
    from.sport = 80;
    from.dst = router;
    from.dport = 50000;
    from.flags = kSyn | kAck;
    from.payload = text("an answer");
    return from;
  }
};

TEST_P(CheckPath, ACheckLeavesForTheVip) {
  EXPECT_FORWARDED(x.send_check(frame(sent), kMark), kUnspecified, frame(at_vip(sent)));
}

TEST_P(CheckPath, ItsAnswerComesFromTheBackend) {
  x.send_check(frame(sent), kMark);
  const Bytes answer = frame(answer_from(n.vip));
  EXPECT_FORWARDED(x.run(answer), XDP_PASS, frame(answer_from(n.server1)));
  EXPECT_THAT(x.reasons(), ::testing::IsEmpty());
}

// The same port of this host is used for one backend after the other: the newest counts.
TEST_P(CheckPath, APortUsedAnewMeansTheNewBackend) {
  x.send_check(frame(sent), kMark);
  Segment other = sent;
  other.dst = n.server2;
  x.send_check(frame(other), kMark);
  EXPECT_FORWARDED(x.run(frame(answer_from(n.vip))), XDP_PASS, frame(answer_from(n.server2)));
}

TEST_P(CheckPath, WithoutTheMarkNothingChanges) {
  for (const std::uint32_t mark : {0U, 1U, kMark + 1})
    EXPECT_FORWARDED(x.send_check(frame(sent), mark), kUnspecified, frame(sent));
}

TEST_P(CheckPath, AnswersThatNobodyWaitsForPassAsTheyAre) {
  const Bytes unasked = frame(answer_from(n.vip));
  EXPECT_UNTOUCHED(x.run(unasked), XDP_PASS, unasked);
  x.send_check(frame(sent), kMark);
  Segment other = answer_from(n.vip);
  other.dport++;  // another socket of this host
  EXPECT_UNTOUCHED(x.run(frame(other)), XDP_PASS, frame(other));
  other = answer_from(n.vip);
  other.sport++;
  EXPECT_UNTOUCHED(x.run(frame(other)), XDP_PASS, frame(other));
  other = answer_from(n.server1);  // from its own address: it does not have the VIP
  EXPECT_UNTOUCHED(x.run(frame(other)), XDP_PASS, frame(other));
}

// What can not be taken to the VIP must not ask the backend's own address instead.
TEST_P(CheckPath, WhatCanNotBeTakenThereIsDropped) {
  Packet shorter = packet(sent);
  Bytes cut = shorter.build();
  cut.resize(std::get<0>(GetParam()) == AF_INET ? 34 : 54);
  EXPECT_EQ(x.send_check(cut, kMark).verdict, static_cast<std::uint32_t>(TC_ACT_SHOT));
  if (std::get<0>(GetParam()) != AF_INET) return;
  Packet fragment = packet(sent);
  fragment.at<IPv4>().fragment = 0x2000;
  EXPECT_EQ(x.send_check(fragment.build(), kMark).verdict, static_cast<std::uint32_t>(TC_ACT_SHOT));
}

// A check's answer is told from a client's reply by its flow, and never takes one for the other.
TEST_P(CheckPath, ClientsAreServedAsBefore) {
  const Pool pool =
      add_pool(x, n.vip, 80, protocol, {{.address = n.server1, .port = 80, .method = LVS_METHOD_DR, .out = 2}});
  const Segment request{.src = n.client, .dst = n.vip, .protocol = protocol};
  EXPECT_VERDICT(x.run(frame(request)), XDP_REDIRECT);
  x.send_check(frame(sent), kMark);
  EXPECT_FORWARDED(x.run(frame(answer_from(n.vip)), 2), XDP_PASS, frame(answer_from(n.server1)));
  EXPECT_EQ(x.counters(pool.backends[0]).flows, 1U);
  EXPECT_EQ(x.drift(), "");
}

TEST_P(CheckPath, AVlanTagAndAMissingUdpChecksumPassThrough) {
  x.send_check(frame(sent), kMark);
  Segment answer = answer_from(n.vip);
  Segment expected = answer_from(n.server1);
  answer.tags = expected.tags = {{.tci = 100}};
  if (protocol == IPPROTO_UDP && std::get<0>(GetParam()) == AF_INET) answer.checksum = expected.checksum = 0;
  EXPECT_FORWARDED(x.run(frame(answer)), XDP_PASS, frame(expected));
}

INSTANTIATE_TEST_SUITE_P(All, CheckPath,
                         ::testing::Combine(::testing::Values(AF_INET, AF_INET6),
                                            ::testing::Values<std::uint8_t>(IPPROTO_TCP, IPPROTO_UDP)),
                         [](const auto& all) {
                           return std::string(std::get<0>(all.param) == AF_INET ? "IPv4" : "IPv6") +
                                  (std::get<1>(all.param) == IPPROTO_TCP ? "Tcp" : "Udp");
                         });

}  // namespace
}  // namespace xlvs::test
