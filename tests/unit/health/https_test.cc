// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/health/servers.h"

namespace xlvs::health::test {
namespace {

using namespace std::chrono_literals;

class HttpsProberTest : public HealthTest {
 protected:
  ProbeResult ask(const Endpoint& endpoint, std::map<std::string, CheckValue> params) {
    return probe(endpoint, spec("https", std::move(params)));
  }
  Certificate named_{"DNS:www.example.test"};
  Certificate addressed_{"IP:127.0.0.1"};
};

TEST_F(HttpsProberTest, AnUnknownCertificateFailsUnlessTold) {
  const Server server(loop_, answer_tls(addressed_, ok()));
  const ProbeResult result = ask(server.endpoint(), {});
  EXPECT_FALSE(result.passed);
  EXPECT_EQ(result.reason, "certificate");
  EXPECT_NE(result.detail.find("self-signed certificate"), std::string::npos) << result.detail;
  EXPECT_TRUE(ask(server.endpoint(), {{"verify", false}}).passed);
}

TEST_F(HttpsProberTest, ACertificateForTheAddressPassesWithItsCa) {
  std::vector<std::string> server_names;
  const Server server(loop_, answer_tls(addressed_, ok(), &server_names));
  const ProbeResult result = ask(server.endpoint(), {{"ca_file", addressed_.file}});
  EXPECT_TRUE(result.passed) << result.detail;
  EXPECT_EQ(server_names, std::vector<std::string>{""});
}

TEST_F(HttpsProberTest, AnotherCaDoesNotHelp) {
  const Server server(loop_, answer_tls(addressed_, ok()));
  EXPECT_EQ(ask(server.endpoint(), {{"ca_file", named_.file}}).reason, "certificate");
  EXPECT_EQ(ask(server.endpoint(), {{"ca_file", "/nonexistent/ca.pem"}}).reason, "error");
}

TEST_F(HttpsProberTest, TheNameComesFromSniThenHost) {
  std::vector<std::string> server_names;
  const Server server(loop_, answer_tls(named_, ok(), &server_names));
  const CheckValue ca = named_.file;
  EXPECT_TRUE(ask(server.endpoint(), {{"ca_file", ca}, {"sni", "www.example.test"}}).passed);
  EXPECT_TRUE(ask(server.endpoint(), {{"ca_file", ca}, {"host", "www.example.test"}}).passed);
  EXPECT_TRUE(ask(server.endpoint(), {{"ca_file", ca}, {"host", "www.example.test:8443"}}).passed);
  EXPECT_TRUE(ask(server.endpoint(), {{"ca_file", ca}, {"sni", "www.example.test"}, {"host", "other.test"}}).passed);
  EXPECT_EQ(server_names, (std::vector<std::string>(4, "www.example.test")));
}

TEST_F(HttpsProberTest, AWrongNameFails) {
  const Server server(loop_, answer_tls(named_, ok()));
  const CheckValue ca = named_.file;
  for (const auto& params : std::vector<std::map<std::string, CheckValue>>{
           {{"ca_file", ca}}, {{"ca_file", ca}, {"sni", "other.test"}}, {{"ca_file", ca}, {"host", "127.0.0.1"}}}) {
    const ProbeResult result = ask(server.endpoint(), params);
    EXPECT_FALSE(result.passed);
    EXPECT_EQ(result.reason, "certificate") << result.detail;
  }
}

TEST_F(HttpsProberTest, TheCertificatesEndIsToldAndJudged) {
  const Server server(loop_, answer_tls(addressed_, ok()));
  const ProbeResult result = ask(server.endpoint(), {{"verify", false}});
  ASSERT_TRUE(result.certificate_end);
  const auto left = *result.certificate_end - std::chrono::system_clock::now();
  EXPECT_GT(left, 50min);
  EXPECT_LE(left, 60min);
  const ProbeResult soon = ask(server.endpoint(), {{"verify", false}, {"min_days", std::int64_t{1}}});
  EXPECT_EQ(soon.reason, "certificate");
  EXPECT_EQ(soon.detail, "the certificate is valid for 0 more days, fewer than 1");
  EXPECT_TRUE(soon.certificate_end);
}

TEST_F(HttpsProberTest, Http2NeedsAServerThatAgrees) {
  const Server server(loop_, answer_tls(addressed_, ok()));
  const ProbeResult result = ask(server.endpoint(), {{"verify", false}, {"http2", true}});
  EXPECT_EQ(result.reason, "protocol");
  EXPECT_EQ(result.detail, "the server speaks HTTP/1, not HTTP/2");
}

TEST_F(HttpsProberTest, StatusAndBodyCountAsInHttp) {
  const Server server(loop_, answer_tls(addressed_, ok("fine")));
  EXPECT_TRUE(ask(server.endpoint(), {{"verify", false}, {"body", "fine"}}).passed);
  EXPECT_EQ(ask(server.endpoint(), {{"verify", false}, {"body", "bad"}}).reason, "body");
  EXPECT_EQ(ask(server.endpoint(), {{"verify", false}, {"status", std::vector<StatusRange>{{201, 201}}}}).reason,
            "status");
}

TEST_F(HttpsProberTest, AServerWithoutTlsFails) {
  const Server plain(loop_, answer(ok()));
  const ProbeResult result = probe(plain.endpoint(), spec("https"), 2s);
  EXPECT_FALSE(result.passed);
  EXPECT_NE(result.reason, "ok");
  const Server talkative(loop_, [](tcp::socket socket) -> awaitable<void> {
    boost::system::error_code ignored;
    socket.send(boost::asio::buffer("220 mail.example.test ESMTP\r\n", 29), 0, ignored);
    while (!(co_await read_request(socket)).empty()) {
    }
  });
  EXPECT_EQ(probe(talkative.endpoint(), spec("https")).reason, "tls");
}

TEST_F(HttpsProberTest, AHandshakeThatHangsIsATimeout) {
  const Server server(loop_, never_answer());
  EXPECT_EQ(probe(server.endpoint(), spec("https"), 300ms).reason, "timeout");
}

}  // namespace
}  // namespace xlvs::health::test
