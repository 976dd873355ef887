// SPDX-License-Identifier: Apache-2.0
#include "control/client.h"

#include <thread>

#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/server.h"
#include "tests/support/event_loop.h"
#include "tests/support/fake_operations.h"

namespace xlvs::control {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class ClientTest : public testing::Test {
 protected:
  TemporaryDirectory directory;
  std::string path = directory.file("lvsd.sock");
};

// Listens, and answers each connection with `text` once something has come; an empty text never answers.
class OddServer {
 public:
  OddServer(const std::string& path, std::string text) : fd_(socket(AF_UNIX, SOCK_STREAM, 0)), text_(std::move(text)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    if (bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 || listen(fd_, 8) != 0) abort();
    thread_ = std::thread([this] { serve(); });
  }
  ~OddServer() {
    shutdown(fd_, SHUT_RDWR);
    thread_.join();
    close(fd_);
  }

 private:
  void serve() {
    for (int peer = accept(fd_, nullptr, nullptr); peer >= 0; peer = accept(fd_, nullptr, nullptr)) {
      char request[4096];
      const bool got = recv(peer, request, sizeof(request), 0) > 0;
      if (got && !text_.empty()) (void)!write(peer, text_.data(), text_.size());
      if (text_.empty()) (void)!recv(peer, request, sizeof(request), 0);  // until the client gives up
      close(peer);
    }
  }
  int fd_;
  std::string text_;
  std::thread thread_;
};

TEST_F(ClientTest, NobodyListens) {
  const auto answer = Client(path).get("/v1/version");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::unavailable);
  EXPECT_FALSE(answer.error().answered);
  EXPECT_THAT(answer.error().message, StartsWith("lvsd is not running: nobody listens on " + path));
}

TEST_F(ClientTest, AStaleSocketIsNobodyToo) {
  {
    const OddServer gone(path, "x");
  }
  const auto answer = Client(path).get("/v1/version");
  ASSERT_FALSE(answer);
  EXPECT_THAT(answer.error().message, StartsWith("lvsd is not running: "));
}

TEST_F(ClientTest, ALongPathIsRefusedNotCut) {
  const auto answer = Client(directory.file(std::string(150, 'x'))).get("/v1/version");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::invalid);
}

TEST_F(ClientTest, AServerThatDoesNotAnswerTimesOut) {
  const OddServer mute(path, "");
  const auto begin = std::chrono::steady_clock::now();
  const auto answer = Client(path, std::chrono::milliseconds(200)).get("/v1/version");
  const auto took = std::chrono::steady_clock::now() - begin;
  ASSERT_FALSE(answer);
  EXPECT_FALSE(answer.error().answered);
  EXPECT_THAT(answer.error().message, HasSubstr("did not answer on " + path + " within 0.2 s"));
  EXPECT_GE(took, std::chrono::milliseconds(200));
}

TEST_F(ClientTest, WhatIsNotHttpIsAnError) {
  const OddServer odd(path, "220 mail.example ESMTP\r\n");
  const auto answer = Client(path).get("/v1/version");
  ASSERT_FALSE(answer);
  EXPECT_FALSE(answer.error().answered);
  EXPECT_THAT(answer.error().message, HasSubstr("broke the connection off"));
}

TEST_F(ClientTest, WhatIsNotJsonIsNotLvsd) {
  const OddServer odd(path, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>");
  const auto answer = Client(path).get("/v1/version");
  ASSERT_FALSE(answer);
  EXPECT_THAT(answer.error().message, HasSubstr("what answers on " + path + " is not lvsd"));
}

TEST_F(ClientTest, AnErrorWithoutAReasonKeepsItsStatus) {
  const OddServer odd(path, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 2\r\n\r\n{}");
  const auto answer = Client(path).get("/v1/version");
  ASSERT_FALSE(answer);
  EXPECT_TRUE(answer.error().answered);
  EXPECT_EQ(answer.error().message, "lvsd answered 502");
}

TEST_F(ClientTest, CarriesAnswersAndErrors) {
  FakeOperations fake;
  EventLoop loop;
  auto server = loop.call([&] { return serve_unix(loop.context(), path, fake).value(); });
  const Client client(path);
  EXPECT_EQ(client.get("/v1/status").value(), Json(fake.canned));
  EXPECT_TRUE(client.post("/v1/backends/drain", BackendChange{"web", "10.0.0.11:8080", {}}));
  fake.refusal = Error{ErrorKind::conflict, "not now"};
  const auto refused = client.post("/v1/config/apply", Json::object());
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().answered);
  EXPECT_EQ(refused.error().kind, ErrorKind::conflict);
  EXPECT_EQ(refused.error().message, "not now");
  loop.call([&] { server.reset(); });
}

// The server answers and closes while the body is still on its way: the answer must not be lost to a broken pipe.
TEST_F(ClientTest, HearsWhyItsBodyWasRefused) {
  FakeOperations fake;
  EventLoop loop;
  ServerOptions options;
  options.body_bytes = 1000;
  auto server = loop.call([&] { return serve_unix(loop.context(), path, fake, options).value(); });
  const auto answer = Client(path).post("/v1/config/check", ConfigText{"a", std::string(8'000'000, 'x')});
  ASSERT_FALSE(answer);
  EXPECT_TRUE(answer.error().answered);
  EXPECT_EQ(answer.error().message, "the body exceeds 1000 bytes");
  loop.call([&] { server.reset(); });
}

}  // namespace
}  // namespace xlvs::control
