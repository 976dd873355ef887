// SPDX-License-Identifier: Apache-2.0
#include "health/reply_matcher.h"
#include "tests/unit/health/servers.h"

namespace xlvs::health::test {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using Params = std::map<std::string, CheckValue>;

class SendExpectTest : public HealthTest {
 protected:
  template <typename AnyServer>
  ProbeResult ask(const AnyServer& server, Params params, std::chrono::milliseconds timeout = 5s) {
    return probe(server.endpoint(), spec("send_expect", std::move(params)), timeout);
  }
};

TEST_F(SendExpectTest, AGreetingIsExpectedByItsBeginning) {
  const Server server(loop_, say({"220 mail.example.test ESMTP\r\n"}, Afterwards::silence));
  const ProbeResult result = ask(server, {{"expect", "220 "}});
  EXPECT_TRUE(result.passed) << result.detail;
  EXPECT_EQ(result.reason, "ok");
  EXPECT_EQ(result.detail, "received \"220 mail.example.test ESMTP\\r\\n\"");
}

TEST_F(SendExpectTest, WhatIsSentIsSentByteForByte) {
  const Server server(loop_, answer_to("PING\r\n\0\xff'\"\\"s, "+PONG\r\n"));
  const ProbeResult result = ask(server, {{"send", R"(PING\r\n\x00\xff\'\"\\)"}, {"expect", R"(+PONG\r\n)"}});
  EXPECT_TRUE(result.passed) << result.detail;
}

TEST_F(SendExpectTest, AnotherReplyFailsAtItsFirstWrongByte) {
  const Server server(loop_, say({"5"}, Afterwards::silence));
  const ProbeResult result = ask(server, {{"expect", "220 "}});
  EXPECT_EQ(result.reason, "reply");
  EXPECT_EQ(result.detail, "expected \"220 \", received \"5\"");
  EXPECT_LT(result.latency, 4s);
}

TEST_F(SendExpectTest, AReplyMayComeByteByByte) {
  const Server server(loop_, say({"2", "2", "0", " "}, Afterwards::silence, 20ms));
  EXPECT_TRUE(ask(server, {{"expect", "220 "}}).passed);
  EXPECT_TRUE(ask(server, {{"expect_regex", "^2.*0 "}}).passed);
}

TEST_F(SendExpectTest, AStarIsAnyByte) {
  const Server talks(loop_, say({"\0"s}, Afterwards::silence));
  EXPECT_TRUE(ask(talks, {{"expect", "*"}}).passed);
  const Server silent(loop_, never_answer());
  EXPECT_EQ(ask(silent, {{"expect", "*"}}, 200ms).reason, "timeout");
  const Server literal(loop_, say({"+OK"}));
  EXPECT_EQ(ask(literal, {{"expect", "\\x2a"}}).reason, "reply") << "an escaped star is a star";
}

TEST_F(SendExpectTest, ARegularExpressionMatchesSomewhere) {
  const Server server(loop_, say({"HTTP/1.0 200 OK\r\n", "\r\nstate: ready\n"}, Afterwards::silence, 20ms));
  EXPECT_TRUE(ask(server, {{"expect_regex", "state: (ready|ok)"}}).passed);
  EXPECT_EQ(ask(server, {{"expect_regex", "state: down"}}, 300ms).reason, "timeout") << "more could come";
  const Server closes(loop_, say({"HTTP/1.0 503 Unavailable\r\n"}));
  const ProbeResult result = ask(closes, {{"expect_regex", "state: ready"}});
  EXPECT_EQ(result.reason, "reply");
  EXPECT_EQ(result.detail, "no match in the reply \"HTTP/1.0 503 Unavailable\\r\\n\"");
}

TEST_F(SendExpectTest, WhoClosesEarlyFails) {
  const Server silent(loop_, say({}));
  EXPECT_EQ(ask(silent, {{"expect", "220"}}).reason, "closed");
  const Server short_reply(loop_, say({"22"}));
  const ProbeResult result = ask(short_reply, {{"expect", "220"}});
  EXPECT_EQ(result.reason, "closed");
  EXPECT_EQ(result.detail, "expected \"220\", received \"22\", then the server closed the connection");
  const Server resets(loop_, say({"22"}, Afterwards::reset));
  EXPECT_EQ(ask(resets, {{"send", "x"}, {"expect", "220"}}).reason, "closed");
}

TEST_F(SendExpectTest, WhatDoesNotEndIsNotReadToItsEnd) {
  const Server endless(loop_, say_endlessly(std::string(65536, 'x')));
  const ProbeResult result = ask(endless, {{"expect_regex", "y"}}, 15s);
  EXPECT_EQ(result.reason, "too_large");
  EXPECT_EQ(result.detail, "no match in the reply's first 4096 bytes");
  EXPECT_LT(result.latency, 10s);
  const Server slow(loop_, say_endlessly("2", 20ms));
  const ProbeResult late = ask(slow, {{"expect_regex", "0"}}, 300ms);
  EXPECT_EQ(late.reason, "timeout");
  EXPECT_EQ(late.detail, "connected, but no expected reply within 300 ms");
}

TEST_F(SendExpectTest, AnExpensiveExpressionIsGivenUp) {
  const Server server(loop_, say({std::string(4000, 'a')}, Afterwards::silence));
  const ProbeResult result = ask(server, {{"expect_regex", "(a+)+[bc]$"}});
  EXPECT_EQ(result.reason, "regex");
}

TEST_F(SendExpectTest, WithoutAServer) {
  EXPECT_EQ(probe(closed_port(loop_), spec("send_expect", {{"expect", "*"}})).reason, "refused");
  const SilentListener silent(loop_);
  const ProbeResult result = probe(silent.endpoint(), spec("send_expect", {{"expect", "*"}}), 200ms);
  EXPECT_EQ(result.reason, "timeout");
  EXPECT_EQ(result.detail, "no connection within 200 ms");
}

TEST_F(SendExpectTest, OverUdp) {
  const UdpServer server(loop_, [](const std::string& datagram) { return std::vector{"re: " + datagram}; });
  EXPECT_TRUE(ask(server, {{"protocol", "udp"}, {"send", "a\\x00"}, {"expect", "re: a\\x00"}}).passed);
  EXPECT_TRUE(ask(server, {{"protocol", "udp"}, {"expect_regex", "^re: $"}}).passed) << "an empty datagram";
  EXPECT_EQ(server.received(), (std::vector<std::string>{"a\0"s, ""}));
  EXPECT_EQ(ask(server, {{"protocol", "udp"}, {"send", "a"}, {"expect", "re: b"}}).reason, "reply");
  EXPECT_EQ(ask(server, {{"protocol", "udp"}, {"send", "a"}, {"expect", "re: ab"}}).reason, "reply")
      << "a datagram is the whole reply";
}

TEST_F(SendExpectTest, UdpWithoutAReply) {
  const UdpServer silent(loop_, [](const std::string&) { return std::vector<std::string>(); });
  const ProbeResult result = ask(silent, {{"protocol", "udp"}, {"expect", "*"}}, 200ms);
  EXPECT_EQ(result.reason, "timeout");
  EXPECT_EQ(result.detail, "no reply within 200 ms");
  EXPECT_EQ(probe(closed_udp_port(loop_), spec("send_expect", {{"protocol", "udp"}, {"expect", "*"}})).reason,
            "refused");
}

TEST_F(SendExpectTest, AnAbandonedProbeIsSilent) {
  const Server silent(loop_, never_answer());
  bool reported = false;
  auto prober = make_prober(silent.endpoint(), spec("send_expect", {{"expect", "*"}}));
  prober->start(200ms, [&](const ProbeResult&) { reported = true; });
  run_until("a connection", [&] { return silent.connections() == 1; });
  prober.reset();
  run_for(400ms);
  EXPECT_FALSE(reported);
}

TEST_F(SendExpectTest, AProberIsUsedAgainAndAgain) {
  const Server server(loop_, say({"220 ready"}));
  const auto prober = make_prober(server.endpoint(), spec("send_expect", {{"expect", "220"}}));
  int passed = 0;
  std::function<void()> again = [&] {
    prober->start(5s, [&](const ProbeResult& result) {
      passed += result.passed ? 1 : 0;
      if (passed < 20) again();
    });
  };
  again();
  run_until("20 probes", [&] { return passed == 20; });
  EXPECT_EQ(server.connections(), 20);
}

TEST(ReplyMatcherTest, HoweverTheReplyIsCutTheResultIsTheSame) {
  const Expectation prefix{"220 ready", std::nullopt};
  const Expectation regex{"", Regex::compile("^220.*dy\n").value()};
  for (const Expectation* expected : {&prefix, &regex}) {
    for (std::size_t cut = 0; cut <= 10; ++cut) {
      const std::string reply = "220 ready\n";
      ReplyMatcher matcher(*expected);
      auto result = matcher.feed(reply.substr(0, cut));
      if (!result) result = matcher.feed(reply.substr(cut));
      ASSERT_TRUE(result) << cut;
      EXPECT_TRUE(result->passed) << cut << result->detail;
    }
  }
}

}  // namespace
}  // namespace xlvs::health::test
