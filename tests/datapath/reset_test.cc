// SPDX-License-Identifier: Apache-2.0
// What clients of a failed backend get: flows_on_failure of docs/config.md, as the record's flags say it.
#include "tests/datapath/fixture.h"

namespace xlvs::test {
namespace {

constexpr std::uint8_t kReset = LVS_BACKEND_VALID | LVS_BACKEND_DOWN | LVS_BACKEND_RESET;
constexpr std::uint8_t kDrop = LVS_BACKEND_VALID | LVS_BACKEND_DOWN | LVS_BACKEND_DROP;
constexpr std::uint32_t kSeq = 0xfffffff0;  // so that sums wrap
constexpr std::uint32_t kAckSeq = 0x8899aabb;

class Reset : public PerFamily {
 protected:
  void serve(lvs_method method, std::uint8_t protocol = IPPROTO_TCP, lvs_pick pick = LVS_PICK_CURSOR) {
    const std::uint16_t port = method == LVS_METHOD_NAT ? 8080 : 80;
    pool_ = add_pool(x_, n.vip, 80, protocol,
                     {{.address = n.server1, .port = port, .method = method},
                      {.address = n.server2, .port = port, .method = method}},
                     pick);
    request_ = {.src = n.client, .dst = n.vip, .protocol = protocol};
    x_.set_table(pool_.service, {pool_.backends[0]});
    x_.run(frame(request_));
  }
  // The first backend failed, the second takes over.
  void fail(std::uint8_t flags) {
    x_.backend(pool_.backends[0]).flags = flags;
    x_.set_table(pool_.service, {pool_.backends[1]});
  }
  [[nodiscard]] Packet ethernet(bool towards_us) const {
    Packet p{towards_us ? Ethernet{.dst = XdpHarness::port_mac(1), .src = kClientMac}
                        : Ethernet{.dst = kClientMac, .src = XdpHarness::port_mac(1)}};
    for (const Vlan& tag : tags_) p.append(tag);
    return p;
  }
  Bytes segment(std::uint8_t flags, const Bytes& payload = {}, const Bytes& options = {}) {
    return (ethernet(true) / ip_layer(n.client, n.vip, 17) /
            Tcp{.flags = flags, .seq = kSeq, .ack = kAckSeq, .options = options} / Payload{payload})
        .build();
  }
  // Written out by hand: what RFC 9293 says, and nothing of the segment but addresses, ports and tags.
  Bytes reset(std::uint8_t flags, std::uint32_t seq, std::uint32_t ack) {
    const Layer ip = GetParam() == AF_INET
                         ? Layer{IPv4{.src = n.vip, .dst = n.client, .ttl = 64, .tos = 0, .id = 0, .fragment = 0x4000}}
                         : Layer{IPv6{.src = n.vip, .dst = n.client, .hop_limit = 64, .class_and_label = 0}};
    return (ethernet(false) / ip /
            Tcp{.sport = 80, .dport = 40000, .flags = flags, .seq = seq, .ack = ack, .window = 0})
        .build();
  }
  void expect_reset(const Bytes& sent, const Bytes& expected) {
    const Outcome outcome = x_.run(sent);
    EXPECT_FORWARDED(outcome, XDP_TX, expected);
    EXPECT_EQ(outcome.frame.size(), expected.size());
    const auto at = parse(outcome.frame);
    ASSERT_TRUE(at);
    EXPECT_TRUE(ip_checksum_correct(outcome.frame, *at));
    EXPECT_TRUE(l4_checksum_correct(outcome.frame, *at));
    EXPECT_EQ(x_.reason(LVS_REASON_flow_reset), 1U);
    EXPECT_EQ(x_.flows(GetParam()).size(), 0U) << "the flow has ended";
    EXPECT_EQ(x_.drift(), "");
  }

  XdpHarness x_;
  Pool pool_;
  Segment request_;
  std::vector<Vlan> tags_;
};
XLVS_FOR_BOTH_FAMILIES(Reset);

TEST_P(Reset, AnAcknowledgingSegmentGetsTheSequenceNumberThatItExpects) {
  serve(LVS_METHOD_NAT);
  fail(kReset);
  expect_reset(segment(kAck | kPsh, text("GET / HTTP/1.1\r\n\r\n")), reset(kRst, kAckSeq, 0));
}

TEST_P(Reset, ForDrToo) {
  serve(LVS_METHOD_DR);
  fail(kReset);
  expect_reset(segment(kAck), reset(kRst, kAckSeq, 0));
}

TEST_P(Reset, OptionsAndALongPayloadAreCutOff) {
  serve(LVS_METHOD_NAT);
  fail(kReset);
  expect_reset(segment(kAck, Bytes(1300, 0xa5), Bytes(12, 1)), reset(kRst, kAckSeq, 0));
}

TEST_P(Reset, GoesBackThroughTheSameVlans) {
  tags_ = {Vlan{.tci = 100, .tpid = 0x88a8}, Vlan{.tci = 7}};
  serve(LVS_METHOD_NAT);
  fail(kReset);
  expect_reset(segment(kAck, text("x")), reset(kRst, kAckSeq, 0));
}

TEST_P(Reset, WithoutAcknowledgementItAcknowledgesAllThatWasSent) {
  serve(LVS_METHOD_NAT);
  fail(kReset);
  expect_reset(segment(kFin, Bytes(21, 1)), reset(kRst | kAck, 0, kSeq + 21 + 1));
}

TEST_P(Reset, AResetIsNeverAnsweredByOne) {
  serve(LVS_METHOD_NAT);
  fail(kReset);
  const Bytes sent = segment(kRst | kAck);
  EXPECT_UNTOUCHED(x_.run(sent), XDP_DROP, sent);
  EXPECT_EQ(x_.flows(GetParam()).size(), 0U);
  EXPECT_EQ(x_.drift(), "");
}

TEST_P(Reset, OnlyTheFirstSegmentThenTheConnectionIsUnknown) {
  serve(LVS_METHOD_NAT);
  fail(kReset);
  EXPECT_VERDICT(x_.run(segment(kAck)), XDP_TX);
  EXPECT_VERDICT(x_.run(segment(kAck)), XDP_PASS);
  EXPECT_EQ(x_.reason(LVS_REASON_no_flow_passed), 1U);
}

TEST_P(Reset, ANewConnectionFromTheSamePortGoesToAnotherServer) {
  serve(LVS_METHOD_NAT);
  fail(kReset);
  EXPECT_VERDICT(x_.run(frame(request_)), XDP_REDIRECT);
  EXPECT_EQ(x_.flow(n.client, 40000).backend(), pool_.backends[1]);
  EXPECT_EQ(x_.drift(), "");
}

TEST_P(Reset, HashSchedulersResetToo) {
  serve(LVS_METHOD_NAT, IPPROTO_TCP, LVS_PICK_SOURCE_HASH);
  fail(kReset);
  expect_reset(segment(kAck), reset(kRst, kAckSeq, 0));
}

TEST_P(Reset, ClientsOfARemovedBackendAreToldInTheSameWay) {
  serve(LVS_METHOD_NAT);
  fail(LVS_BACKEND_RESET);
  expect_reset(segment(kAck), reset(kRst, kAckSeq, 0));
}

TEST_P(Reset, WhileTheBackendIsUpNothingIsReset) {
  serve(LVS_METHOD_NAT);
  x_.backend(pool_.backends[0]).flags = LVS_BACKEND_VALID | LVS_BACKEND_RESET;
  EXPECT_VERDICT(x_.run(segment(kAck)), XDP_REDIRECT);
  x_.backend(pool_.backends[0]).flags = LVS_BACKEND_VALID | LVS_BACKEND_DROP;
  EXPECT_VERDICT(x_.run(segment(kAck)), XDP_REDIRECT);
}

TEST_P(Reset, UdpGoesToAnotherServer) {
  serve(LVS_METHOD_NAT, IPPROTO_UDP);
  fail(kReset);
  EXPECT_VERDICT(x_.run(frame(request_)), XDP_REDIRECT);
  EXPECT_EQ(x_.flow(n.client, 40000).backend(), pool_.backends[1]);
  EXPECT_EQ(x_.drift(), "");
}

TEST_P(Reset, MutedUdpGoesToAnotherServerToo) {
  serve(LVS_METHOD_NAT, IPPROTO_UDP);
  fail(kDrop);
  EXPECT_VERDICT(x_.run(frame(request_)), XDP_REDIRECT);
  EXPECT_EQ(x_.flow(n.client, 40000).backend(), pool_.backends[1]);
}

TEST_P(Reset, MutedFlowsAreDroppedAndGoOnWhenTheBackendIsBack) {
  serve(LVS_METHOD_NAT);
  fail(kDrop);
  const Bytes sent = segment(kAck);
  EXPECT_UNTOUCHED(x_.run(sent), XDP_DROP, sent);
  EXPECT_EQ(x_.reason(LVS_REASON_flow_muted), 1U);
  EXPECT_EQ(x_.flow(n.client, 40000).backend(), pool_.backends[0]);
  x_.backend(pool_.backends[0]).flags = LVS_BACKEND_VALID | LVS_BACKEND_DROP;
  EXPECT_VERDICT(x_.run(sent), XDP_REDIRECT);
  EXPECT_EQ(x_.drift(), "");
}

TEST_P(Reset, ANewConnectionFromTheSamePortIsNotMuted) {
  serve(LVS_METHOD_NAT);
  fail(kDrop);
  EXPECT_VERDICT(x_.run(frame(request_)), XDP_REDIRECT);
  EXPECT_EQ(x_.flow(n.client, 40000).backend(), pool_.backends[1]);
}

}  // namespace
}  // namespace xlvs::test
