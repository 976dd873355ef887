// SPDX-License-Identifier: Apache-2.0
#include <filesystem>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "health/http_prober.h"
#include "tests/unit/health/servers.h"

namespace xlvs::health::test {
namespace {

using namespace std::chrono_literals;
using boost::asio::use_awaitable;
using Headers = std::map<std::string, std::string>;

class HttpProberTest : public HealthTest {
 protected:
  ProbeResult ask(const Server& server, std::map<std::string, CheckValue> params = {},
                  std::chrono::milliseconds timeout = 5s) {
    return probe(server.endpoint(), spec("http", std::move(params)), timeout);
  }
  // The request that a check with these parameters sends.
  std::string request(std::map<std::string, CheckValue> params) {
    std::vector<std::string> seen;
    const Server server(loop_, answer(ok(), &seen));
    port_ = std::to_string(server.endpoint().port);
    EXPECT_EQ(ask(server, std::move(params)).detail, "HTTP status 200");
    return seen.empty() ? "" : seen.front();
  }
  std::string port_;
};

// Sends `piece` for ever.
Server::Script endless(std::string head, std::string piece) {
  return [head = std::move(head), piece = std::move(piece)](tcp::socket socket) -> awaitable<void> {
    co_await read_request(socket);
    co_await boost::asio::async_write(socket, boost::asio::buffer(head), use_awaitable);
    for (;;) co_await boost::asio::async_write(socket, boost::asio::buffer(piece), use_awaitable);
  };
}

TEST_F(HttpProberTest, SendsAPlainRequest) {
  const std::string text = request({});
  EXPECT_EQ(text, "GET / HTTP/1.1\r\nHost: 127.0.0.1:" + port_ +
                      "\r\nUser-Agent: lvsd\r\nAccept: */*\r\nConnection: close\r\n\r\n");
}

TEST_F(HttpProberTest, SendsWhatTheOperatorWants) {
  const std::string text = request({{"path", "/health?full=1#x"},
                                    {"method", "HEAD"},
                                    {"host", "www.example.test"},
                                    {"headers", Headers{{"X-Check", "yes"}, {"X-Empty", ""}, {"hOST", "no"}}}});
  EXPECT_TRUE(text.starts_with("HEAD /health?full=1#x HTTP/1.1\r\n")) << text;
  EXPECT_NE(text.find("\r\nHost: www.example.test\r\n"), std::string::npos) << text;
  EXPECT_NE(text.find("\r\nX-Check: yes\r\n"), std::string::npos) << text;
  EXPECT_NE(text.find("\r\nX-Empty:\r\n"), std::string::npos) << text;
  EXPECT_EQ(text.find("no"), std::string::npos) << text;
}

TEST_F(HttpProberTest, AHostHeaderAmongTheHeadersCounts) {
  const std::string text = request({{"headers", Headers{{"Host", "a.example.test"}}}});
  EXPECT_NE(text.find("\r\nHost: a.example.test\r\n"), std::string::npos) << text;
  EXPECT_EQ(text.find("127.0.0.1"), std::string::npos) << text;
}

TEST_F(HttpProberTest, APathCanNotSmuggleASecondRequest) {
  const std::string text = request({{"path", "/a b\r\nX: y"}});
  EXPECT_TRUE(text.starts_with("GET /a%20b%0D%0AX:%20y HTTP/1.1\r\n")) << text;
}

TEST_F(HttpProberTest, PassesOverIpv6) {
  std::vector<std::string> seen;
  const Server server(loop_, answer(ok(), &seen), "::1");
  EXPECT_TRUE(ask(server).passed);
  EXPECT_NE(seen.at(0).find("Host: [::1]:"), std::string::npos);
}

TEST_F(HttpProberTest, IgnoresProxiesOfTheEnvironment) {
  setenv("http_proxy", "http://127.0.0.1:1/", 1);
  setenv("all_proxy", "http://127.0.0.1:1/", 1);
  const Server server(loop_, answer(ok()));
  EXPECT_TRUE(ask(server).passed);
  unsetenv("http_proxy");
  unsetenv("all_proxy");
}

struct StatusCase {
  int status;
  std::vector<StatusRange> accepted;
  bool passes;
};

TEST_F(HttpProberTest, StatusDecides) {
  const std::vector<StatusRange> several{{200, 204}, {404, 404}};
  const std::vector<StatusCase> cases{
      {200, {{200, 200}}, true},  {201, {{200, 200}}, false}, {302, {{200, 399}}, true},
      {400, {{200, 399}}, false}, {204, several, true},       {205, several, false},
      {404, several, true},       {403, several, false},      {503, {{500, 599}}, true}};
  for (const StatusCase& c : cases) {
    const Server server(loop_, answer(with_status(c.status)));
    const ProbeResult result = ask(server, {{"status", c.accepted}});
    EXPECT_EQ(result.passed, c.passes) << c.status << ": " << result.detail;
    EXPECT_EQ(result.reason, c.passes ? "ok" : "status");
    EXPECT_EQ(server.connections(), 1) << "a redirect was followed";
  }
}

TEST_F(HttpProberTest, AWrongStatusIsSaidInFull) {
  const Server server(loop_, answer(with_status(503)));
  const ProbeResult result = ask(server, {{"status", std::vector<StatusRange>{{200, 299}, {404, 404}}}});
  EXPECT_EQ(result.detail, "HTTP status 503, expected 200-299, 404");
}

TEST_F(HttpProberTest, InterimRepliesAreNotTheAnswer) {
  const Server server(loop_, answer("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + with_status(503)));
  EXPECT_EQ(ask(server).reason, "status");
}

TEST_F(HttpProberTest, BodyMustContainTheText) {
  const Server server(loop_, answer(ok("all is well\n")));
  EXPECT_TRUE(ask(server, {{"body", "is well"}}).passed);
  const ProbeResult result = ask(server, {{"body", "is bad"}});
  EXPECT_FALSE(result.passed);
  EXPECT_EQ(result.reason, "body");
  EXPECT_EQ(result.detail, "\"is bad\" is not in the body of 12 bytes");
}

TEST_F(HttpProberTest, BodyMustMatchTheExpression) {
  const Server server(loop_, answer(ok("{\"state\": \"ready\"}\n")));
  EXPECT_TRUE(ask(server, {{"body_regex", R"re("state": *"(ready|up)")re"}}).passed);
  const ProbeResult result = ask(server, {{"body_regex", "down"}});
  EXPECT_EQ(result.reason, "body");
  EXPECT_EQ(result.detail, "a match of the regular expression is not in the body of 19 bytes");
  EXPECT_EQ(ask(server, {{"body_regex", "ready"}, {"body", "down"}}).reason, "body") << "both count";
  const Server costly(loop_, answer(ok(std::string(50'000, 'a'))));
  EXPECT_EQ(ask(costly, {{"body_regex", "(a+)+[bc]$"}}).reason, "regex");
  const Server large(loop_, answer(ok(std::string(300'000, 'a') + "b")));
  EXPECT_EQ(ask(large, {{"body_regex", "b"}}).reason, "too_large");
}

TEST_F(HttpProberTest, BodyMustHaveTheDigest) {
  // printf 'all is well\n' | sha256sum
  const std::string digest = "d40b628baf7f757149f5b6d6d6aca317d478ef3a29433064d21cfdd06fb33b8d";
  const Server server(loop_, answer(ok("all is well\n")));
  EXPECT_TRUE(ask(server, {{"body_sha256", digest}}).passed);
  const Server other(loop_, answer(ok("all is well")));
  const ProbeResult result = ask(other, {{"body_sha256", digest}});
  EXPECT_EQ(result.reason, "body");
  EXPECT_TRUE(result.detail.starts_with("the body's SHA-256 is ")) << result.detail;
  const Server large(loop_, answer(ok(std::string(kMaxBody, 'a'))));
  EXPECT_EQ(ask(large, {{"body_sha256", digest}}).reason, "too_large");
}

TEST_F(HttpProberTest, TheMethodIsSent) {
  EXPECT_TRUE(request({{"method", "OPTIONS"}, {"path", "/x"}}).starts_with("OPTIONS /x HTTP/1.1\r\n"));
}

TEST_F(HttpProberTest, Http2IsNotSpokenByAll) {
  const Server server(loop_, answer("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"));
  const ProbeResult result = ask(server, {{"http2", true}});
  EXPECT_FALSE(result.passed);
  EXPECT_EQ(result.reason, "protocol") << result.detail;
}

TEST_F(HttpProberTest, ChunkedBodyIsSearchedAsOne) {
  const Server server(
      loop_, answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nall \r\n4\r\nwell\r\n0\r\n\r\n"));
  EXPECT_TRUE(ask(server, {{"body", "all well"}}).passed);
}

// Both tests: long before the timeout, or nothing was cut.
TEST_F(HttpProberTest, AHugeBodyIsNotReadToItsEnd) {
  const Server server(loop_,
                      endless("HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\nmark", std::string(65536, 'x')));
  const ProbeResult any = ask(server, {}, 15s);
  EXPECT_TRUE(any.passed);
  EXPECT_LT(any.latency, 10s);
  EXPECT_TRUE(ask(server, {{"body", "mark"}}, 15s).passed);
  const ProbeResult result = ask(server, {{"body", "absent"}}, 15s);
  EXPECT_EQ(result.reason, "too_large");
  EXPECT_EQ(result.detail, "\"absent\" is not in the body's first 1048576 bytes");
  EXPECT_LT(result.latency, 10s);
}

TEST_F(HttpProberTest, ABodyOfExactlyTheLimitIsRead) {
  const Server server(loop_, answer(ok(std::string(kMaxBody - 3, 'x') + "end")));
  EXPECT_TRUE(ask(server, {{"body", "end"}}).passed);
}

TEST_F(HttpProberTest, EndlessHeadersAreCut) {
  const Server lines(loop_, endless("HTTP/1.1 200 OK\r\n", "X-Filler: " + std::string(1000, 'x') + "\r\n"));
  const Server one_line(loop_, endless("HTTP/1.1 200 OK\r\nX-Filler: ", std::string(4096, 'x')));
  const Server interim(loop_, endless("", "HTTP/1.1 100 Continue\r\n\r\n"));
  for (const Server* server : {&lines, &one_line, &interim}) {
    const ProbeResult result = ask(*server, {}, 15s);
    EXPECT_EQ(result.reason, "too_large") << result.detail;
    EXPECT_LT(result.latency, 10s);
  }
}

TEST_F(HttpProberTest, SilenceIsATimeoutInTime) {
  const Server server(loop_, never_answer());
  const ProbeResult result = ask(server, {}, 200ms);
  EXPECT_EQ(result.reason, "timeout");
  EXPECT_EQ(result.detail, "connected, but no complete reply within 200 ms");
  EXPECT_GE(result.latency, 190ms);
  EXPECT_LT(result.latency, 1s);
}

TEST_F(HttpProberTest, NoConnectionIsATimeoutToo) {
  const SilentListener silent(loop_);
  run_for(50ms);
  const ProbeResult result = probe(silent.endpoint(), spec("http"), 200ms);
  EXPECT_EQ(result.reason, "timeout");
  EXPECT_EQ(result.detail, "no connection within 200 ms");
}

TEST_F(HttpProberTest, AByteNowAndThenDoesNotStretchTheTimeout) {
  const Server server(loop_, [](tcp::socket socket) -> awaitable<void> {
    co_await read_request(socket);
    boost::asio::steady_timer timer(socket.get_executor());
    for (const char c : ok("slow")) {
      co_await boost::asio::async_write(socket, boost::asio::buffer(&c, 1), use_awaitable);
      timer.expires_after(20ms);
      co_await timer.async_wait(use_awaitable);
    }
  });
  const ProbeResult result = ask(server, {}, 300ms);
  EXPECT_EQ(result.reason, "timeout");
  EXPECT_LT(result.latency, 1s);
  EXPECT_TRUE(ask(server, {}, 10s).passed) << "slow, but in time";
}

TEST_F(HttpProberTest, RefusedAndUnreachable) {
  EXPECT_EQ(probe(closed_port(loop_), spec("http")).reason, "refused");
  EXPECT_EQ(probe(Endpoint::parse("127.255.255.255:80").value(), spec("http")).reason, "unreachable");
}

TEST_F(HttpProberTest, WhatIsNoReplyIsAProtocolFailure) {
  for (const char* reply : {"", "HTTP/1.1 200 OK\r\nContent-Le", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
                            "SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                            "HTTP/1.1 100 Continue\r\n\r\n"}) {
    const Server server(loop_, answer(reply));
    const ProbeResult result = ask(server);
    EXPECT_FALSE(result.passed) << reply;
    EXPECT_EQ(result.reason, "protocol") << reply << ": " << result.detail;
    EXPECT_FALSE(result.detail.empty());
  }
}

TEST_F(HttpProberTest, AWrongStatusCountsThoughTheBodyBreaksOff) {
  const Server server(loop_, answer("HTTP/1.1 500 Oops\r\nContent-Length: 10\r\n\r\nshort"));
  EXPECT_EQ(ask(server).reason, "status");
}

TEST_F(HttpProberTest, HeadNeedsNoBody) {
  const Server server(loop_, answer("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"));
  EXPECT_TRUE(ask(server, {{"method", "HEAD"}}).passed);
}

TEST_F(HttpProberTest, EachCheckIsAFreshConnection) {
  const Server server(loop_, [](tcp::socket socket) -> awaitable<void> {
    const std::string reply = ok("alive");
    while (!(co_await read_request(socket)).empty()) {
      co_await boost::asio::async_write(socket, boost::asio::buffer(reply), use_awaitable);
    }
  });
  const auto prober = make_prober(server.endpoint(), spec("http"));
  for (int i = 1; i <= 3; ++i) {
    bool passed = false;
    prober->start(5s, [&](const ProbeResult& result) { passed = result.passed; });
    run_until("a pass", [&] { return passed; });
    EXPECT_EQ(server.connections(), i);
  }
}

TEST_F(HttpProberTest, DestroyedWhileAskingReportsNothing) {
  const Server server(loop_, never_answer());
  auto prober = make_prober(server.endpoint(), spec("http"));
  bool called = false;
  prober->start(200ms, [&](const ProbeResult&) { called = true; });
  run_until("connected", [&] { return server.connections() == 1; });
  prober.reset();
  run_for(400ms);
  EXPECT_FALSE(called);
}

TEST_F(HttpProberTest, AReportMayDestroyItsProberAndOthers) {
  const Server server(loop_, answer(ok()));
  std::vector<std::unique_ptr<Prober>> probers;
  int reports = 0;
  for (int i = 0; i < 10; ++i) probers.push_back(make_prober(server.endpoint(), spec("http")));
  for (const auto& prober : probers) {
    prober->start(5s, [&](const ProbeResult&) {
      ++reports;
      probers.clear();
    });
  }
  run_until("the first report", [&] { return reports > 0; });
  run_for(100ms);
  EXPECT_EQ(reports, 1);
}

TEST_F(HttpProberTest, ManyAtOnceEndAsTheyShouldAndLeaveNoDescriptorBehind) {
  const Server good(loop_, answer(ok()));
  const Server silent(loop_, never_answer());
  const Server rude(loop_, [](tcp::socket) -> awaitable<void> { co_return; });
  const auto descriptors = [] {
    const std::filesystem::directory_iterator fds("/proc/self/fd");
    return std::distance(begin(fds), end(fds));
  };
  const Endpoint closed = closed_port(loop_);
  EXPECT_TRUE(ask(good).passed);  // what is made once is made now
  run_for(50ms);
  const auto before = descriptors();
  std::map<std::string, int> reasons;
  std::vector<std::unique_ptr<Prober>> probers;
  for (int round = 0; round < 100; ++round) {
    for (const Endpoint& endpoint : {good.endpoint(), silent.endpoint(), rude.endpoint(), closed}) {
      probers.push_back(make_prober(endpoint, spec("http")));
      const auto timeout = endpoint == silent.endpoint() ? 1s : 15s;
      probers.back()->start(timeout, [&](const ProbeResult& result) { ++reasons[result.reason]; });
    }
  }
  run_until("400 reports",
            [&] { return reasons["ok"] + reasons["timeout"] + reasons["protocol"] + reasons["refused"] == 400; });
  EXPECT_EQ(reasons, (std::map<std::string, int>{{"ok", 100}, {"timeout", 100}, {"protocol", 100}, {"refused", 100}}));
  run_until("servers have closed too", [&] { return descriptors() == before; });
}

}  // namespace
}  // namespace xlvs::health::test
