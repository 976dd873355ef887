// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/health/servers.h"

namespace xlvs::health::test {
namespace {

using namespace std::chrono_literals;

using TcpProberTest = HealthTest;

TEST_F(TcpProberTest, PassesWhenAConnectionIsMade) {
  const Server server(loop_, never_answer());
  const ProbeResult result = probe(server.endpoint(), spec("tcp"));
  EXPECT_TRUE(result.passed) << result.detail;
  EXPECT_EQ(result.reason, "ok");
  EXPECT_GT(result.latency, 0us);
  EXPECT_LT(result.latency, 5s);
}

TEST_F(TcpProberTest, PassesOverIpv6) {
  const Server server(loop_, never_answer(), "::1");
  EXPECT_TRUE(probe(server.endpoint(), spec("tcp")).passed);
}

TEST_F(TcpProberTest, ClosesItsConnectionAtOnce) {
  bool closed = false;
  const Server server(loop_,
                      [&](tcp::socket socket) -> awaitable<void> { closed = (co_await read_request(socket)).empty(); });
  const auto prober = make_prober(server.endpoint(), spec("tcp"));
  prober->start(5s, [](const ProbeResult&) {});
  run_until("the server sees the end", [&] { return closed; });
}

TEST_F(TcpProberTest, RefusedIsAFailure) {
  const ProbeResult result = probe(closed_port(loop_), spec("tcp"));
  EXPECT_FALSE(result.passed);
  EXPECT_EQ(result.reason, "refused");
  EXPECT_EQ(result.detail, "connect: Connection refused");
}

TEST_F(TcpProberTest, NoAnswerIsATimeoutInTime) {
  const SilentListener silent(loop_);
  run_for(50ms);
  const ProbeResult result = probe(silent.endpoint(), spec("tcp"), 200ms);
  EXPECT_FALSE(result.passed);
  EXPECT_EQ(result.reason, "timeout");
  EXPECT_EQ(result.detail, "no connection within 200 ms");
  EXPECT_GE(result.latency, 200ms);
  EXPECT_LT(result.latency, 1s);
}

TEST_F(TcpProberTest, UnreachableIsAFailureOfItsOwn) {
  // A broadcast address: connect() fails within the host.
  const ProbeResult result = probe(Endpoint::parse("127.255.255.255:80").value(), spec("tcp"));
  EXPECT_EQ(result.reason, "unreachable") << result.detail;
}

TEST_F(TcpProberTest, DestroyedWhileAskingReportsNothing) {
  const Server server(loop_, never_answer());
  auto prober = make_prober(server.endpoint(), spec("tcp"));
  bool called = false;
  prober->start(100ms, [&](const ProbeResult&) { called = true; });
  loop_.poll_one();
  prober.reset();
  run_for(300ms);
  EXPECT_FALSE(called);
}

TEST_F(TcpProberTest, MayBeStartedAndDestroyedByItsOwnReport) {
  const Server server(loop_, never_answer());
  auto prober = make_prober(server.endpoint(), spec("tcp"));
  int reports = 0;
  const std::function<void(ProbeResult)> again = [&](const ProbeResult& result) {
    EXPECT_TRUE(result.passed) << result.detail;
    if (++reports < 3) {
      prober->start(5s, again);
    } else {
      prober.reset();
    }
  };
  prober->start(5s, again);
  run_until("three reports", [&] { return reports == 3; });
}

}  // namespace
}  // namespace xlvs::health::test
