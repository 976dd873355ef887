// SPDX-License-Identifier: Apache-2.0
// Checksums, against sums over the whole packet: the corners of ones' complement, and thousands of random packets.
#include <fmt/format.h>

#include <random>

#include "tests/datapath/fixture.h"

namespace xlvs::test {
namespace {

class Checksum : public PerFamily {
 protected:
  // A two-byte payload that makes this segment's checksum come out as zero.
  static Bytes payload_for_zero(Segment segment) {
    segment.payload = {0, 0};
    segment.checksum.reset();
    const Bytes bytes = frame(segment);
    const auto at = parse(bytes);
    const std::size_t field = at->l4 + (segment.protocol == IPPROTO_TCP ? 16 : 6);
    return {bytes[field], bytes[field + 1]};
  }
};
XLVS_FOR_BOTH_FAMILIES(Checksum);

TEST_P(Checksum, UdpThatComputesToZeroIsSentAsAllOnes) {
  XdpHarness x;
  const BackendSpec spec{.address = n.server1, .port = 5353};
  add_pool(x, n.vip, 53, IPPROTO_UDP, {spec});
  Segment request{.src = n.client, .dst = n.vip, .dport = 53, .protocol = IPPROTO_UDP};
  request.payload = payload_for_zero(towards(request, spec));
  const Bytes expected = frame(towards(request, spec));
  ASSERT_EQ(expected[expected.size() - 4], 0xff);  // the checksum, before two bytes of payload
  ASSERT_EQ(expected[expected.size() - 3], 0xff);
  EXPECT_FORWARDED(x.run(frame(request)), XDP_REDIRECT, expected);

  Segment reply = answer(request, spec);
  reply.payload = payload_for_zero(answered(request, reply));
  const Bytes replied = frame(answered(request, reply));
  ASSERT_EQ(replied[replied.size() - 4], 0xff);
  EXPECT_FORWARDED(x.run(frame(reply), 2), XDP_REDIRECT, replied);
}

TEST_P(Checksum, UdpThatWasAllOnesStaysCorrect) {
  XdpHarness x;
  const BackendSpec spec{.address = n.server1, .port = 5353};
  add_pool(x, n.vip, 53, IPPROTO_UDP, {spec});
  Segment request{.src = n.client, .dst = n.vip, .dport = 53, .protocol = IPPROTO_UDP};
  request.payload = payload_for_zero(request);
  EXPECT_FORWARDED(x.run(frame(request)), XDP_REDIRECT, frame(towards(request, spec)));
}

TEST_P(Checksum, TcpThatComputesToZeroVerifies) {
  XdpHarness x;
  const BackendSpec spec{.address = n.server1, .port = 8080};
  add_pool(x, n.vip, 80, IPPROTO_TCP, {spec});
  for (const bool before : {true, false}) {
    Segment request{.src = n.client, .dst = n.vip};
    request.payload = payload_for_zero(before ? request : towards(request, spec));
    EXPECT_FORWARDED(x.run(frame(request)), XDP_REDIRECT, frame(towards(request, spec)));
  }
}

TEST(ChecksumIPv4, UdpWithoutChecksumStaysWithoutInBothDirections) {
  const Net& n = net(AF_INET);
  for (const lvs_method method : {LVS_METHOD_NAT, LVS_METHOD_DR}) {
    XdpHarness x;
    const BackendSpec spec{.address = n.server1,
                           .port = static_cast<std::uint16_t>(method == LVS_METHOD_NAT ? 5353 : 53),
                           .method = method};
    add_pool(x, n.vip, 53, IPPROTO_UDP, {spec});
    const Segment request{.src = n.client,
                          .dst = n.vip,
                          .dport = 53,
                          .protocol = IPPROTO_UDP,
                          .payload = text("abc"),
                          .checksum = std::uint16_t{0}};
    EXPECT_FORWARDED(x.run(frame(request)), XDP_REDIRECT, frame(towards(request, spec)));
    if (method != LVS_METHOD_NAT) continue;
    const Segment reply = answer(request, spec);
    EXPECT_FORWARDED(x.run(frame(reply), 2), XDP_REDIRECT, frame(answered(request, reply)));
  }
}

TEST_P(Checksum, DirectRoutingDoesNotTouchTheTransportChecksum) {
  XdpHarness x;
  const BackendSpec spec{.address = n.server1, .port = 80, .method = LVS_METHOD_DR};
  add_pool(x, n.vip, 80, IPPROTO_TCP, {spec});
  const Segment request{.src = n.client, .dst = n.vip, .checksum = std::uint16_t{0xbad1}};
  EXPECT_FORWARDED(x.run(frame(request)), XDP_REDIRECT, frame(towards(request, spec)));
}

// A wrong checksum must stay wrong: the receiver has to see the damage.
TEST_P(Checksum, NatKeepsAWrongChecksumWrong) {
  XdpHarness x;
  const BackendSpec spec{.address = n.server1, .port = 8080};
  add_pool(x, n.vip, 80, IPPROTO_TCP, {spec});
  Segment request{.src = n.client, .dst = n.vip};
  Bytes sent = frame(request);
  sent.back() ^= 0x01;  // the urgent pointer
  const Outcome outcome = x.run(sent);
  EXPECT_VERDICT(outcome, XDP_REDIRECT);
  const auto at = parse(outcome.frame);
  ASSERT_TRUE(at);
  EXPECT_FALSE(l4_checksum_correct(outcome.frame, *at));
}

// ---- random packets ------------------------------------------------------------------------------------------------

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  std::uint32_t below(std::uint32_t limit) { return static_cast<std::uint32_t>(engine_() % limit); }
  // Words of all zeros and all ones come often: that is where carries are.
  std::string address(int family, const char* prefix4, const char* prefix6) {
    if (family == AF_INET)
      return fmt::format("{}.{}.{}.{}", prefix4, octet(), octet(), below(2) ? octet() : 255 * below(2));
    std::string text = prefix6;
    for (int i = 0; i < 7; i++) text += fmt::format(":{:x}", word());
    return text;
  }
  std::uint16_t port() { return static_cast<std::uint16_t>(below(4) == 0 ? 65535 : 1 + below(65535)); }
  std::uint32_t octet() { return below(4) == 0 ? 255 * below(2) : below(256); }
  std::uint32_t word() { return below(4) == 0 ? 65535 * below(2) : below(65536); }
  Bytes payload() {
    Bytes bytes(below(64));
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(octet());
    return bytes;
  }

 private:
  std::mt19937_64 engine_;
};

TEST_P(Checksum, HoldsForRandomAddressesPortsAndPayloads) {
  constexpr unsigned kPools = 100, kClients = 30;
  Random random(GetParam() == AF_INET ? 41 : 61);
  XdpHarness x({.buckets4 = 4096, .buckets6 = 4096, .services = 256, .listeners = 256, .backends = 256});
  for (unsigned i = 0; i < kPools; i++) {
    const std::uint8_t protocol = random.below(2) ? IPPROTO_TCP : IPPROTO_UDP;
    const std::string vip = random.address(GetParam(), "198", "2001");
    const std::uint16_t port = random.port();
    const BackendSpec spec{
        .address = random.address(GetParam(), "10", "fd00"), .port = random.port(), .out = 1 + random.below(3)};
    add_pool(x, vip, port, protocol, {spec});
    for (unsigned client = 0; client < kClients; client++) {
      const Segment request{.src = random.address(GetParam(), "100", "2002"),
                            .sport = random.port(),
                            .dst = vip,
                            .dport = port,
                            .protocol = protocol,
                            .payload = random.payload()};
      ASSERT_EQ(difference(x.run(frame(request)).frame, frame(towards(request, spec))), "") << i << " " << client;
      Segment reply = answer(request, spec, kSyn | kAck);
      reply.payload = random.payload();
      ASSERT_EQ(difference(x.run(frame(reply), spec.out).frame, frame(answered(request, reply))), "")
          << i << " " << client;
    }
  }
  EXPECT_EQ(x.drift(), "");
}

}  // namespace
}  // namespace xlvs::test
