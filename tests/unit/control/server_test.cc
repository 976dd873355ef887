// SPDX-License-Identifier: Apache-2.0
#include "control/server.h"

#include <chrono>
#include <deque>
#include <fstream>

#include <gmock/gmock.h>
#include <grp.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "control/json.h"
#include "tests/support/event_loop.h"
#include "tests/support/fake_operations.h"
#include "tests/unit/control/raw_client.h"

namespace xlvs::control {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr const char* kGetVersion = "GET /v1/version HTTP/1.1\r\nHost: lvsd\r\n\r\n";
constexpr const char* kGetVersionAndClose = "GET /v1/version HTTP/1.1\r\nHost: lvsd\r\nConnection: close\r\n\r\n";

std::string post(const std::string& target, const std::string& body) {
  return fmt::format("POST {} HTTP/1.1\r\nHost: lvsd\r\nContent-Length: {}\r\n\r\n{}", target, body.size(), body);
}

class ServerTest : public testing::Test {
 protected:
  ~ServerTest() override { stop(); }

  void start(const ServerOptions& options = {}) {
    auto made = loop.call([&] { return serve_unix(loop.context(), path, fake, options); });
    ASSERT_TRUE(made) << made.error().message;
    server = std::move(*made);
  }
  std::uint16_t start_tcp(const ServerOptions& options = {}) {
    const Endpoint any{IpAddress::v4({127, 0, 0, 1}), 0};
    auto made = loop.call([&] { return serve_tcp(loop.context(), any, fake, options); });
    EXPECT_TRUE(made) << made.error().message;
    server = std::move(*made);
    return static_cast<std::uint16_t>(std::stoi(server->where().substr(server->where().rfind(':') + 1)));
  }
  void stop() {
    loop.call([&] { server.reset(); });
  }
  std::string error_of_a_second_server() {
    return loop.call([&]() -> std::string {
      const auto second = serve_unix(loop.context(), path, fake);
      if (second) return "";
      return std::string(to_string(second.error().kind)) + ": " + second.error().message;
    });
  }

  TemporaryDirectory directory;
  std::string path = directory.file("lvsd.sock");
  FakeOperations fake;
  EventLoop loop;
  std::unique_ptr<Server> server;
};

// ---- the socket file
// ---------------------------------------------------------------------------------------------------

TEST_F(ServerTest, TheSocketFileIsForOwnerAndGroup) {
  start();
  struct stat file{};
  ASSERT_EQ(stat(path.c_str(), &file), 0);
  EXPECT_TRUE(S_ISSOCK(file.st_mode));
  EXPECT_EQ(file.st_mode & 07777U, 0660U);
  EXPECT_EQ(server->where(), path);
}

TEST_F(ServerTest, TakesOverAStaleSocket) {
  const int stale = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  ASSERT_EQ(bind(stale, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  close(stale);
  start();
  EXPECT_THAT(RawClient(path).request(kGetVersion), StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST_F(ServerTest, ALiveSocketIsAConflict) {
  start();
  EXPECT_EQ(error_of_a_second_server(),
            "conflict: another lvsd listens on " + path + "; stop it, or use another --instance");
  EXPECT_THAT(RawClient(path).request(kGetVersion), StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST_F(ServerTest, AFileThatIsNoSocketIsLeftAlone) {
  std::ofstream(path) << "precious";
  EXPECT_EQ(error_of_a_second_server(), "conflict: " + path + " exists and is not a socket; move it away");
  std::string text;
  std::ifstream(path) >> text;
  EXPECT_EQ(text, "precious");
}

TEST_F(ServerTest, ATooLongPathIsRefused) {
  path = directory.file(std::string(120, 'x'));
  EXPECT_THAT(error_of_a_second_server(), StartsWith("invalid: socket path '"));
}

TEST_F(ServerTest, RemovesItsSocketButNotASuccessors) {
  start();
  stop();
  EXPECT_NE(access(path.c_str(), F_OK), 0);
  start();
  ASSERT_EQ(unlink(path.c_str()), 0);
  std::ofstream(path) << "of somebody else";
  stop();
  EXPECT_EQ(access(path.c_str(), F_OK), 0);
}

// ---- HTTP
// --------------------------------------------------------------------------------------------------------------

TEST_F(ServerTest, KeepsAConnectionForManyRequests) {
  start();
  RawClient client(path);
  for (int i = 0; i < 100; ++i) ASSERT_THAT(client.request(kGetVersion), HasSubstr("\"instance\":\"default\""));
  ASSERT_THAT(client.request(kGetVersionAndClose), HasSubstr("Connection: close"));
  EXPECT_TRUE(client.closed_within(10'000));
}

TEST_F(ServerTest, AnswersPipelinedRequestsInOrder) {
  start();
  RawClient client(path);
  ASSERT_TRUE(client.send(std::string(kGetVersion) + "GET /nowhere HTTP/1.1\r\n\r\n" + kGetVersion));
  EXPECT_THAT(client.response(), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(client.response(), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(client.response(), StartsWith("HTTP/1.1 200"));
}

TEST_F(ServerTest, GarbageAfterARequestEndsTheConnectionOnly) {
  start();
  RawClient client(path);
  ASSERT_TRUE(client.send(std::string(kGetVersion) + "\x01\x02 garbage\r\n\r\n"));
  EXPECT_THAT(client.response(), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(client.response(), StartsWith("HTTP/1.1 400"));
  EXPECT_TRUE(client.closed_within(10'000));
  EXPECT_THAT(RawClient(path).request(kGetVersion), StartsWith("HTTP/1.1 200"));
}

class MalformedHttp : public ServerTest, public testing::WithParamInterface<const char*> {};

TEST_P(MalformedHttp, IsA400) {
  start();
  const std::string answer = RawClient(path).request(GetParam());
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 400 Bad Request\r\n"));
  EXPECT_THAT(answer, HasSubstr("{\"error\":{\"kind\":\"invalid\",\"message\":\""));
}

INSTANTIATE_TEST_SUITE_P(
    Texts, MalformedHttp,
    testing::Values("nonsense\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET /v1/version HTTP/1.1\r\nBad Header: x\r\n\r\n",
                    "POST /v1/config/check HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
                    "POST /v1/config/check HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
                    "POST /v1/config/check HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "\x16\x03\x01\x02",
                    "GET /a%zz HTTP/1.1\r\n\r\n"));

TEST_F(ServerTest, MalformedJsonIsA400AndTheConnectionGoesOn) {
  start();
  RawClient client(path);
  const std::string answer = client.request(post("/v1/backends/drain", "{\"address\": "));
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(answer, HasSubstr("request body: not JSON: "));
  EXPECT_THAT(client.request(kGetVersion), StartsWith("HTTP/1.1 200"));
}

TEST_F(ServerTest, AskedForItContinuesBeforeTheBody) {
  start();
  RawClient client(path);
  const std::string body = R"({"name": "a", "text": "b"})";
  ASSERT_TRUE(client.send(fmt::format(
      "POST /v1/config/check HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n", body.size())));
  EXPECT_THAT(client.response(), StartsWith("HTTP/1.1 100 Continue\r\n"));
  EXPECT_THAT(client.request(body), StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(fake.checked.text, "b");
}

TEST_F(ServerTest, WrongMethodsSayWhatIsAllowed) {
  start();
  const std::string answer = RawClient(path).request("DELETE /v1/status HTTP/1.1\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 405 Method Not Allowed\r\n"));
  EXPECT_THAT(answer, HasSubstr("\r\nAllow: GET\r\n"));
}

// ---- limits
// ------------------------------------------------------------------------------------------------------------

TEST_F(ServerTest, ABodyOverTheLimitIsA413BeforeItHasArrived) {
  start({.body_bytes = 1000});
  EXPECT_THAT(RawClient(path).request(post("/v1/config/check", std::string(1000, ' '))), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(RawClient(path).request(post("/v1/config/check", std::string(1001, ' '))), StartsWith("HTTP/1.1 413"));
  const std::string announced = "POST /v1/config/check HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n";
  EXPECT_THAT(RawClient(path).request(announced), StartsWith("HTTP/1.1 413"));
}

TEST_F(ServerTest, ALargeBodyIsTakenWhole) {
  static_assert(ServerOptions{}.body_bytes == 16U * 1024 * 1024);
  start();
  const std::string text(1'500'000, 'x');
  EXPECT_THAT(RawClient(path).request(post("/v1/config/check", R"({"name": "a", "text": ")" + text + "\"}")),
              StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(fake.checked.text, text);
}

TEST_F(ServerTest, AHeaderOverTheLimitIsA431) {
  start({.header_bytes = 4096});
  const std::string head = "GET /v1/version HTTP/1.1\r\nX-Filler: ";
  EXPECT_THAT(RawClient(path).request(head + std::string(3000, 'x') + "\r\n\r\n"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(RawClient(path).request(head + std::string(5000, 'x') + "\r\n\r\n"), StartsWith("HTTP/1.1 431"));
}

TEST_F(ServerTest, HalfARequestIsDroppedWhenItsClientLeaves) {
  start();
  {
    RawClient client(path);
    ASSERT_TRUE(client.send("POST /v1/backends/drain HTTP/1.1\r\nContent-Length: 100\r\n\r\n{\"addr"));
    client.finish_sending();
    EXPECT_TRUE(client.closed_within(10'000));
  }
  EXPECT_TRUE(fake.calls.empty());
  EXPECT_THAT(RawClient(path).request(kGetVersion), StartsWith("HTTP/1.1 200"));
}

TEST_F(ServerTest, AnIdleConnectionIsClosed) {
  start({.idle = std::chrono::milliseconds(100)});
  RawClient client(path);
  EXPECT_THAT(client.request(kGetVersion), StartsWith("HTTP/1.1 200"));
  EXPECT_TRUE(client.closed_within(10'000));
}

TEST_F(ServerTest, AClientThatDripsDoesNotHoldItsConnection) {
  start({.idle = std::chrono::milliseconds(200)});
  RawClient slow(path);
  ASSERT_TRUE(slow.send("GET /v1/version HTTP/1.1\r\n"));
  int drops = 0;  // each well within the idle time
  while (drops < 400 && slow.send("X") && !slow.closed_within(25)) ++drops;
  EXPECT_LT(drops, 400);
}

TEST_F(ServerTest, AClientThatDoesNotReadDoesNotHoldItsConnection) {
  fake.flow_list.flows.resize(1);
  fake.flow_list.flows[0].client = std::string(4'000'000, 'x');  // far more than a socket buffer takes
  start({.idle = std::chrono::milliseconds(200)});
  RawClient deaf(path);
  ASSERT_TRUE(deaf.send("GET /v1/flows HTTP/1.1\r\n\r\n"));
  // Its read side never runs; that it was closed shows in the write side.
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  bool open = true;
  while (open && std::chrono::steady_clock::now() < end) {
    open = deaf.send("\r\n");
    poll(nullptr, 0, 20);
  }
  EXPECT_FALSE(open);
}

// "64 sockets, one byte each, keep Prometheus out for 30 s, and can be renewed."
TEST_F(ServerTest, HalfOpenConnectionsKeepNobodyOut) {
  start();
  std::deque<RawClient> idle;
  for (int i = 0; i < 64; ++i) ASSERT_TRUE(idle.emplace_back(path).send("G")) << i;
  for (int i = 0; i < 8; ++i) EXPECT_THAT(RawClient(path).request(kGetVersion), StartsWith("HTTP/1.1 200")) << i;
  EXPECT_TRUE(idle.front().closed_within(10'000)) << "the one that has waited for the longest time goes first";
}

TEST_F(ServerTest, AHeaderThatHasBegunMustComeSoon) {
  start({.header = std::chrono::milliseconds(200)});
  RawClient half(path);
  ASSERT_TRUE(half.send("GET /v1/ver"));
  EXPECT_TRUE(half.closed_within(3'000));
}

// ---- end of life
// -------------------------------------------------------------------------------------------------------

TEST_F(ServerTest, StoppingClosesConnectionsInEveryPhase) {
  start();
  RawClient idle(path), half(path), served(path);
  ASSERT_TRUE(half.send("GET /v1/ver"));
  ASSERT_THAT(served.request(kGetVersion), StartsWith("HTTP/1.1 200"));
  stop();
  EXPECT_TRUE(idle.closed_within(10'000));
  EXPECT_TRUE(half.closed_within(10'000));
  EXPECT_TRUE(served.closed_within(10'000));
  EXPECT_FALSE(RawClient(path).connected());
}

// ---- readers in a hurry

// "As uid 65534 20 keep-alive connections that ask for /metrics without a pause for 30 s: 879 of 2,000 backends up."
TEST_F(ServerTest, ReadersWithoutAPauseShareOneTextASecond) {
  const std::uint16_t port = start_tcp({.requests_per_second = 1000});
  const auto begin = std::chrono::steady_clock::now();
  RawClient one(port), two(port);
  for (int i = 0; i < 50; ++i) {
    EXPECT_THAT(one.request("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"), HasSubstr("lvs_info"));
    EXPECT_THAT(two.request("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"), HasSubstr("lvs_info"));
  }
  const auto seconds = std::chrono::steady_clock::now() - begin;
  EXPECT_LE(loop.call([&] { return fake.status_calls; }), 2 + seconds / std::chrono::seconds(1));
}

TEST_F(ServerTest, RequestsOnTcpAreBounded) {
  const std::uint16_t port = start_tcp({.requests_per_second = 20});
  RawClient client(port);
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 40; ++i)
    EXPECT_THAT(client.request("GET /v1/version HTTP/1.1\r\nHost: localhost\r\n\r\n"), StartsWith("HTTP/1.1 200"));
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(800)) << "20 at once, then 20 a second";
}

// DNS rebinding: a page of evil.example whose name now leads here reads what it likes.
TEST_F(ServerTest, TcpAnswersForItsOwnNamesOnly) {
  const std::uint16_t port = start_tcp();
  const auto ask = [&](const std::string& host) {
    return RawClient(port).request("GET /v1/status HTTP/1.1\r\nHost: " + host + "\r\n\r\n");
  };
  char own[256] = "";
  gethostname(own, sizeof own - 1);
  for (const std::string& host : {std::string("127.0.0.1:9539"), std::string("[::1]:9539"), std::string("localhost"),
                                  std::string("LOCALHOST:9539"), std::string(own)})
    EXPECT_THAT(ask(host), StartsWith("HTTP/1.1 200")) << host;
  for (const char* host : {"evil.example:9539", "localhost.evil.example", "127.0.0.1.evil.example"})
    EXPECT_THAT(ask(host), StartsWith("HTTP/1.1 421")) << host;
}

// ---- without descriptors

TEST_F(ServerTest, TheControlSocketAnswersWithoutADescriptorLeft) {
  start();
  RawClient client(path);
  EXPECT_THAT(client.request(kGetVersion), StartsWith("HTTP/1.1 200"));
  RawClient late(path);  // its own descriptor is there before there are none
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  std::vector<int> taken;
  const rlimit few{64, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  for (int fd = dup(0); fd >= 0; fd = dup(0)) taken.push_back(fd);
  EXPECT_THAT(late.request(kGetVersion), StartsWith("HTTP/1.1 200"));
  for (const int fd : taken) close(fd);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}

// ---- TCP
// ---------------------------------------------------------------------------------------------------------------

TEST_F(ServerTest, TcpServesMetricsStatusAndThePage) {
  const std::uint16_t port = start_tcp();
  RawClient client(port);
  EXPECT_THAT(client.request("GET /metrics HTTP/1.1\r\n\r\n"), HasSubstr("\nlvs_info{version=\"0.1.0\""));
  EXPECT_THAT(client.request("GET /v1/status HTTP/1.1\r\n\r\n"), HasSubstr("\"pid\":4242"));
  EXPECT_THAT(client.request("GET /v1/services HTTP/1.1\r\n\r\n"), HasSubstr("\"name\":\"web\""));
  EXPECT_THAT(client.request("GET / HTTP/1.1\r\n\r\n"), HasSubstr("<!DOCTYPE html>"));
}

TEST_F(ServerTest, TcpChangesNothing) {
  const std::uint16_t port = start_tcp();
  RawClient client(port);
  EXPECT_THAT(client.request(post("/v1/backends/drain", R"({"address": "10.0.0.11:8080"})")),
              StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(client.request(post("/v1/config/apply", "{}")), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(client.request(post("/metrics", "{}")), StartsWith("HTTP/1.1 405"));
  EXPECT_THAT(RawClient(port).request(post("/metrics", std::string(5000, ' '))), StartsWith("HTTP/1.1 413"));
  EXPECT_TRUE(fake.calls.empty());
}

TEST_F(ServerTest, ATakenPortIsAConflictThatNamesIt) {
  const std::uint16_t port = start_tcp();
  const auto second = loop.call([&]() -> std::string {
    const auto made = serve_tcp(loop.context(), {IpAddress::v4({127, 0, 0, 1}), port}, fake);
    return made ? "" : std::string(to_string(made.error().kind)) + ": " + made.error().message;
  });
  EXPECT_THAT(second, StartsWith(fmt::format("conflict: can not serve metrics on 127.0.0.1:{}: ", port)));
}

TEST_F(ServerTest, TcpOverIpv6) {
  const auto loopback = IpAddress::parse("::1");
  ASSERT_TRUE(loopback);
  auto made = loop.call([&] { return serve_tcp(loop.context(), Endpoint{*loopback, 0}, fake); });
  ASSERT_TRUE(made) << made.error().message;
  server = std::move(*made);
  EXPECT_THAT(server->where(), StartsWith("[::1]:"));
}

// ---- who may
// -----------------------------------------------------------------------------------------------------------

// The first bytes that a process of another user and group reads back; "no connection" when it can not open the socket.
std::string as_user(uid_t user, gid_t group, const std::string& path) {
  int out[2];
  if (pipe(out) != 0) return "no pipe";
  const pid_t child = fork();
  if (child == 0) {
    if (setgroups(1, &group) != 0 || setresgid(65534, 65534, 65534) != 0 || setresuid(user, user, user) != 0) _exit(2);
    RawClient client(path);
    const std::string answer = client.connected() ? client.request(kGetVersion) : "no connection";
    (void)!write(out[1], answer.data(), std::min<std::size_t>(answer.size(), 4096));
    _exit(0);
  }
  close(out[1]);
  std::string answer(4096, '\0');
  const ssize_t size = read(out[0], answer.data(), answer.size());
  answer.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  close(out[0]);
  waitpid(child, nullptr, 0);
  return answer;
}

TEST_F(ServerTest, OnlyRootAndTheSocketsGroupMay) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root, to become other users";
  constexpr uid_t kSomebody = 64999;
  constexpr gid_t kOperators = 64998, kOthers = 64997;
  start();
  ASSERT_EQ(chmod(std::filesystem::path(path).parent_path().c_str(), 0755), 0);
  ASSERT_EQ(chown(path.c_str(), 0, kOperators), 0);
  EXPECT_THAT(as_user(kSomebody, kOperators, path), StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(as_user(kSomebody, kOthers, path), "no connection");
  ASSERT_EQ(chmod(path.c_str(), 0666), 0);  // a careless administrator: the credentials still tell
  const std::string answer = as_user(kSomebody, kOthers, path);
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 403 Forbidden\r\n"));
  EXPECT_THAT(answer, HasSubstr("user 64999 may not control lvsd"));
  EXPECT_THAT(as_user(kSomebody, kOperators, path), StartsWith("HTTP/1.1 200"));
}

}  // namespace
}  // namespace xlvs::control
