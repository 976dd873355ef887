// SPDX-License-Identifier: Apache-2.0
// Packets from the service port of a nat server that belong to no flow, and packets whose source no client can have:
// nothing leaves untranslated, both ends learn, everything is counted.
#include "tests/datapath/fixture.h"

namespace xlvs::test {
namespace {

constexpr Mac kRouterMac = {0x02, 0, 0, 0, 0x0f, 0x01};

class Stray : public PerFamily {
 protected:
  // The host would forward what goes to the client, through port 3.
  Stray() {
    if (GetParam() == AF_INET)
      ip_batch("address replace 10.99.0.1/24 dev lvs3\nroute replace 192.0.2.0/24 via 10.99.0.9\n"
               "neighbor replace 10.99.0.9 lladdr " +
               to_text(kRouterMac) + " dev lvs3 nud permanent\n");
    else
      ip_batch("address replace fd99::1/64 dev lvs3 nodad\nroute replace 2001:db8:c::/48 via fd99::9\n"
               "neighbor replace fd99::9 lladdr " +
               to_text(kRouterMac) + " dev lvs3 nud permanent\n");
  }
  Segment query() const {
    return {.src = n.client, .sport = 999, .dst = n.vip, .dport = 53, .protocol = IPPROTO_UDP};
  }
  Segment late_answer() const { return answer(query(), dns_server); }

  XdpHarness x;
  const BackendSpec web_server{.address = n.server1, .port = 8080};
  const BackendSpec dns_server{.address = n.server1, .port = 53};
  const Pool web = add_pool(x, n.vip, 80, IPPROTO_TCP, {web_server});
  const Pool dns = add_pool(x, n.vip, 53, IPPROTO_UDP, {dns_server});
  const Segment request{.src = n.client, .dst = n.vip};
};
XLVS_FOR_BOTH_FAMILIES(Stray);

TEST_P(Stray, ASegmentOfAnExpiredFlowIsAnsweredWithAReset) {
  x.run(frame(request));
  XdpHarness::age(x.flow(n.client, request.sport), 902);
  const Segment late = answer(request, web_server, kAck | kPsh);
  const Outcome outcome = x.run(frame(late), 2);
  EXPECT_VERDICT(outcome, XDP_TX);
  EXPECT_EQ(x.reason(LVS_REASON_reply_reset), 1U);
  EXPECT_EQ(x.flow_count(n.client, request.sport), 0U);
  EXPECT_EQ(x.drift(), "");
}

TEST_P(Stray, ASegmentOfNoFlowIsAnsweredWithAReset) {
  EXPECT_VERDICT(x.run(frame(answer(request, web_server, kAck)), 2), XDP_TX);
  EXPECT_VERDICT(x.run(frame(answer(request, web_server, kSyn | kAck)), 2), XDP_TX);
  EXPECT_EQ(x.reason(LVS_REASON_reply_reset), 2U);
  const Bytes reset = frame(answer(request, web_server, kRst));
  EXPECT_UNTOUCHED(x.run(reset, 2), XDP_DROP, reset);
  EXPECT_EQ(x.reason(LVS_REASON_reply_dropped), 1U);
}

TEST_P(Stray, ADatagramLeavesAsTheVipsAndItsAnswerFindsTheServer) {
  const Outcome outcome = x.run(frame(late_answer()), 2);
  Segment expected = answered(query(), late_answer(), 3);
  expected.dst_mac = kRouterMac;
  EXPECT_FORWARDED(outcome, XDP_REDIRECT, frame(expected));
  EXPECT_EQ(x.reason(LVS_REASON_reply_adopted), 1U);
  EXPECT_EQ(x.flow(n.client, 999).backend(), dns.backends[0]);
  EXPECT_EQ(x.counters(dns.backends[0]).flows, 1U);
  EXPECT_EQ(x.drift(), "");
}

TEST_P(Stray, ADatagramOfAServerThatSeveralServicesShareIsDropped) {
  add_pool(x, n.vip2, 53, IPPROTO_UDP, {dns_server});
  const Bytes late = frame(late_answer());
  EXPECT_UNTOUCHED(x.run(late, 2), XDP_DROP, late);
  EXPECT_EQ(x.reason(LVS_REASON_reply_dropped), 1U);
}

TEST_P(Stray, AConnectionPastTheVipIsNobodysBusiness) {
  const Segment open{.src = n.client, .dst = n.server1, .dport = 8080};
  const Bytes out = frame(open);
  EXPECT_UNTOUCHED(x.run(out), XDP_PASS, out);
  for (const std::uint8_t flags : {std::uint8_t{kSyn | kAck}, kAck, kFin, kRst}) {
    const Bytes back = frame(answer(open, web_server, flags));
    EXPECT_UNTOUCHED(x.run(back, 2), XDP_PASS, back);
  }
  EXPECT_THAT(x.reasons(), ::testing::IsEmpty());
}

TEST_P(Stray, AConnectionThatTheServerOpensIsNoReply) {
  x.run(frame(request));  // a flow of the same client port, which must not translate it
  const Bytes open = frame(answer(request, web_server, kSyn));
  EXPECT_UNTOUCHED(x.run(open, 2), XDP_PASS, open);
  Segment other = request;
  other.sport++;
  const Bytes second = frame(answer(other, web_server, kSyn));
  EXPECT_UNTOUCHED(x.run(second, 2), XDP_PASS, second);
  const Bytes goes_on = frame(answer(other, web_server, kAck));
  EXPECT_UNTOUCHED(x.run(goes_on, 2), XDP_PASS, goes_on);
}

TEST_P(Stray, FragmentsOfAnAnswerAreDroppedAndCounted) {
  const auto piece = [&](std::uint16_t offset, bool more, std::uint16_t port) {
    const Ethernet ethernet{.dst = XdpHarness::port_mac(2), .src = kServerMac};
    Packet packet = ethernet / ip_layer(n.server1, n.client);
    if (GetParam() == AF_INET) {
      packet.at<IPv4>().fragment = static_cast<std::uint16_t>((more ? 0x2000 : 0) | offset / 8);
      packet.at<IPv4>().id = port;
    } else {
      const auto field = static_cast<std::uint16_t>(offset | (more ? 1 : 0));
      packet.append(Extension{.number = 44,
                              .body = {static_cast<std::uint8_t>(field >> 8), static_cast<std::uint8_t>(field), 0, 0,
                                       static_cast<std::uint8_t>(port >> 8), static_cast<std::uint8_t>(port)}});
    }
    packet.append(Udp{.sport = port, .dport = 999});
    packet.append(Payload(Bytes(64, 1)));
    return packet.build();
  };
  const std::vector<Bytes> answer_pieces{piece(0, true, 53), piece(72, true, 53), piece(144, false, 53)};
  for (const Bytes& bytes : answer_pieces) EXPECT_UNTOUCHED(x.run(bytes, 2), XDP_DROP, bytes);
  EXPECT_EQ(x.reason(LVS_REASON_fragment), 3U);
  const std::vector<Bytes> others{piece(0, true, 2049), piece(72, false, 2049)};  // the server's own business
  for (const Bytes& bytes : others) EXPECT_UNTOUCHED(x.run(bytes, 2), XDP_PASS, bytes);
  EXPECT_EQ(x.reason(LVS_REASON_fragment), 3U);
}

// ---- sources --------------------------------------------------------------------------------------------------------

class Martian : public PerFamily {
 protected:
  XdpHarness x;
  const Pool dns = add_pool(x, n.vip, 53, IPPROTO_UDP, {{.address = n.server1, .port = 53}});
  const Pool web = add_pool(x, n.vip2, 80, IPPROTO_TCP, {{.address = n.server2, .port = 80}});
};
XLVS_FOR_BOTH_FAMILIES(Martian);

TEST_P(Martian, SourcesThatCanNotBeMakeNoFlow) {
  const std::vector<std::string> four{"0.0.0.0", "127.0.0.1", "169.254.1.1", "224.0.0.1", "240.0.0.1",
                                      "255.255.255.255"};
  const std::vector<std::string> six{"::", "::1", "fe80::1", "ff02::1", "::ffff:192.0.2.1"};
  std::uint64_t dropped = 0;
  std::vector<std::string> sources = GetParam() == AF_INET ? four : six;
  sources.push_back(n.vip);
  sources.push_back(n.vip2);
  for (const std::string& source : sources) {
    SCOPED_TRACE(source);
    const Bytes udp = frame({.src = source, .sport = 53, .dst = n.vip, .dport = 53, .protocol = IPPROTO_UDP});
    EXPECT_UNTOUCHED(x.run(udp), XDP_DROP, udp);
    const Bytes tcp = frame({.src = source, .dst = n.vip2});
    EXPECT_UNTOUCHED(x.run(tcp), XDP_DROP, tcp);
    EXPECT_EQ(x.reason(LVS_REASON_martian), dropped += 2);
  }
  EXPECT_THAT(x.flows(GetParam()), ::testing::IsEmpty());
}

TEST_P(Martian, OneForgedDatagramDoesNotLetTwoServersTalkForEver) {
  x.add_backend(dns.service, {.address = n.server2, .port = 53});
  const Bytes forged = frame({.src = n.server2, .sport = 53, .dst = n.vip, .dport = 53, .protocol = IPPROTO_UDP});
  EXPECT_UNTOUCHED(x.run(forged), XDP_DROP, forged);
  EXPECT_EQ(x.reason(LVS_REASON_server_loop), 1U);
  const Segment honest{.src = n.server2, .sport = 5353, .dst = n.vip, .dport = 53, .protocol = IPPROTO_UDP};
  EXPECT_VERDICT(x.run(frame(honest)), XDP_REDIRECT);
}

// ---- failed and drained servers ---------------------------------------------------------------------------------------

class Failed : public PerFamily {
 protected:
  XdpHarness x;
  const BackendSpec first{.address = n.server1, .port = 80}, second{.address = n.server2, .port = 80};
  const Pool web = add_pool(x, n.vip, 80, IPPROTO_TCP, {first});
  const Pool dns = add_pool(x, n.vip, 53, IPPROTO_UDP, {first});
  Segment request{.src = n.client, .dst = n.vip};
  Segment query{.src = n.client, .sport = 999, .dst = n.vip, .dport = 53, .protocol = IPPROTO_UDP};

  std::uint32_t heir_of(const Pool& pool) {
    const std::uint32_t heir = x.add_backend(pool.service, second);
    x.set_table(pool.service, {heir});
    return heir;
  }
};
XLVS_FOR_BOTH_FAMILIES(Failed);

TEST_P(Failed, DatagramsAndNewConnectionsLeaveUnderThePolicyKeepAndEstablishedOnesStay) {
  x.run(frame(request));
  x.run(frame(query));
  heir_of(web);
  heir_of(dns);
  for (const std::uint32_t id : {web.backends[0], dns.backends[0]})
    x.backend(id).flags = LVS_BACKEND_VALID | LVS_BACKEND_DOWN;
  EXPECT_FORWARDED(x.run(frame(query)), XDP_REDIRECT, frame(towards(query, second)));
  request.flags = kAck;
  EXPECT_FORWARDED(x.run(frame(request)), XDP_REDIRECT, frame(towards(request, first)));
  request.flags = kSyn;
  EXPECT_FORWARDED(x.run(frame(request)), XDP_REDIRECT, frame(towards(request, second)));
  EXPECT_EQ(x.drift(), "");
}

TEST_P(Failed, ASynOnAFixedPortLeavesADrainedServer) {
  x.run(frame(request));
  heir_of(web);
  x.load(web.backends[0]).weight = 0;
  request.flags = kAck;
  EXPECT_FORWARDED(x.run(frame(request)), XDP_REDIRECT, frame(towards(request, first)));
  request.flags = kSyn;
  EXPECT_FORWARDED(x.run(frame(request)), XDP_REDIRECT, frame(towards(request, second)));
  EXPECT_EQ(x.drift(), "");
}

TEST_P(Failed, NoNewFlowIsGivenToAServerThatRefusesIt) {
  x.backend(web.backends[0]).flags = LVS_BACKEND_VALID | LVS_BACKEND_DOWN;
  EXPECT_VERDICT(x.run(frame(request)), XDP_DROP);
  EXPECT_EQ(x.reason(LVS_REASON_no_backend), 1U);
}

// ---- many listeners, full tables --------------------------------------------------------------------------------------

TEST_P(Failed, OneClientPortReachesSixtyListeners) {
  for (const lvs_method method : {LVS_METHOD_NAT, LVS_METHOD_DR}) {
    XdpHarness big({.buckets4 = 1024, .buckets6 = 1024, .overflow4 = 64, .overflow6 = 64, .listeners = 256});
    const std::uint32_t service = big.add_service(LVS_PICK_CURSOR);
    const BackendSpec spec{.address = n.server1, .port = 5060, .method = method};
    big.add_backend(service, spec);
    for (std::uint16_t i = 0; i < 60; i++)
      big.add_listener(service, n.vip, static_cast<std::uint16_t>(6000 + i), IPPROTO_UDP,
                       static_cast<std::uint8_t>(i / 8));
    for (int round = 0; round < 3; round++)
      for (std::uint16_t i = 0; i < 60; i++) {
        const Segment call{.src = n.client, .sport = 5060, .dst = n.vip, .dport = static_cast<std::uint16_t>(6000 + i),
                           .protocol = IPPROTO_UDP};
        EXPECT_VERDICT(big.run(frame(call)), XDP_REDIRECT);
      }
    EXPECT_EQ(big.reason(LVS_REASON_flow_table_full), 0U);
    EXPECT_EQ(big.flow_count(n.client, 5060), 60U);
    EXPECT_EQ(big.drift(), "");
  }
}

TEST_P(Failed, WithAHashAndDirectRoutingAFullTableRefusesNobodyAndAResetFindsItsServer) {
  XdpHarness full({.buckets4 = 2, .buckets6 = 2});
  const BackendSpec spec{.address = n.server1, .port = 80, .method = LVS_METHOD_DR};
  const Pool pool = add_pool(full, n.vip, 80, IPPROTO_TCP, {spec}, LVS_PICK_SOURCE_HASH);
  std::uint16_t port = 1;
  for (const Slot& slot : full.slots(GetParam()))
    full.put(slot, n.stranger, port++, 80,
             LVS_WORD(pool.backends[0], pool.listener, 0, LVS_STATE_ESTABLISHED, XdpHarness::now()));
  request.flags = kAck;
  EXPECT_FORWARDED(full.run(frame(request)), XDP_REDIRECT, frame(towards(request, spec)));
  EXPECT_EQ(full.reason(LVS_REASON_flow_untracked), 1U);
  request.flags = kRst;
  EXPECT_FORWARDED(full.run(frame(request)), XDP_REDIRECT, frame(towards(request, spec)));
  EXPECT_EQ(full.flow_count(n.client, request.sport), 0U);
  EXPECT_EQ(full.drift(), "");
}

// A router that is not active, and a server of the service itself: what the active one sends here is for the host.
TEST_P(Failed, ABackupThatIsAServerTakesWhatItIsSent) {
  const std::uint32_t service = x.add_service(LVS_PICK_CURSOR);
  x.add_listener(service, n.vip2, 80, IPPROTO_TCP, 0, LVS_LISTENER_HOST);
  x.add_backend(service, {.address = n.server2, .port = 80, .method = LVS_METHOD_DR});
  request.dst = n.vip2;
  const Bytes sent = frame(request);
  EXPECT_UNTOUCHED(x.run(sent), XDP_PASS, sent);
  EXPECT_EQ(x.reason(LVS_REASON_host_own), 1U);
  x.answer_until(~std::uint64_t{0});  // active
  EXPECT_VERDICT(x.run(sent), XDP_REDIRECT);
}

}  // namespace
}  // namespace xlvs::test
