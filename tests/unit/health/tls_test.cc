// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <fstream>

#include "health/tls_contexts.h"
#include "tests/unit/health/servers.h"

namespace xlvs::health::test {
namespace {

using namespace std::chrono_literals;
using Params = std::map<std::string, CheckValue>;

class TlsTest : public HealthTest {
 protected:
  ProbeResult ask(const Endpoint& endpoint, Params params, std::chrono::milliseconds timeout = 5s) {
    return probe(endpoint, spec("tls", std::move(params)), timeout);
  }
  Certificate named_{"DNS:www.example.test", 24h * 10 + 1h};
  Certificate addressed_{"IP:127.0.0.1"};
  Certificate expired_{"IP:127.0.0.1", -60s};
};

TEST_F(TlsTest, AValidCertificatePassesAndTellsItsEnd) {
  std::vector<std::string> server_names;
  const Server server(loop_, answer_tls(named_, ok(), &server_names));
  const ProbeResult result = ask(server.endpoint(), {{"ca_file", named_.file}, {"sni", "www.example.test"}});
  EXPECT_TRUE(result.passed) << result.detail;
  EXPECT_EQ(result.detail, "TLSv1.3");
  ASSERT_TRUE(result.certificate_end);
  EXPECT_GT(*result.certificate_end - std::chrono::system_clock::now(), 24h * 10);
  run_until("its name", [&] { return !server_names.empty(); });
  EXPECT_EQ(server_names, std::vector<std::string>{"www.example.test"});
}

TEST_F(TlsTest, TooFewDaysFail) {
  const Server server(loop_, answer_tls(named_, ok()));
  EXPECT_TRUE(ask(server.endpoint(), {{"verify", false}, {"min_days", std::int64_t{10}}}).passed);
  const ProbeResult result = ask(server.endpoint(), {{"verify", false}, {"min_days", std::int64_t{11}}});
  EXPECT_EQ(result.reason, "certificate");
  EXPECT_EQ(result.detail, "the certificate is valid for 10 more days, fewer than 11");
}

TEST_F(TlsTest, WithoutANameTheAddressCounts) {
  const Server right(loop_, answer_tls(addressed_, ok()));
  EXPECT_TRUE(ask(right.endpoint(), {{"ca_file", addressed_.file}}).passed);
  const Server wrong(loop_, answer_tls(named_, ok()));
  const ProbeResult result = ask(wrong.endpoint(), {{"ca_file", named_.file}});
  EXPECT_EQ(result.reason, "certificate");
  EXPECT_EQ(result.detail, "the certificate: IP address mismatch");
}

TEST_F(TlsTest, WhatIsNotValidFailsUnlessTold) {
  const Server unknown(loop_, answer_tls(addressed_, ok()));
  EXPECT_EQ(ask(unknown.endpoint(), {{"ca_file", named_.file}}).reason, "certificate");
  EXPECT_TRUE(ask(unknown.endpoint(), {{"verify", false}}).passed);
  const Server old(loop_, answer_tls(expired_, ok()));
  const ProbeResult result = ask(old.endpoint(), {{"ca_file", expired_.file}});
  EXPECT_EQ(result.reason, "certificate");
  EXPECT_EQ(result.detail, "the certificate: certificate has expired");
  EXPECT_TRUE(ask(old.endpoint(), {{"verify", false}}).passed);
  EXPECT_EQ(ask(old.endpoint(), {{"verify", false}, {"min_days", std::int64_t{1}}}).detail,
            "the certificate has expired");
}

TEST_F(TlsTest, AServerWithoutTlsFails) {
  const Server talkative(loop_, say({"220 mail.example.test ESMTP\r\n"}));
  EXPECT_EQ(ask(talkative.endpoint(), {}).reason, "tls");
  const Server closes(loop_, say({}));
  EXPECT_EQ(ask(closes.endpoint(), {}).reason, "tls");
  const Server silent(loop_, never_answer());
  const ProbeResult result = ask(silent.endpoint(), {}, 200ms);
  EXPECT_EQ(result.reason, "timeout");
  EXPECT_EQ(result.detail, "connected, but no TLS handshake within 200 ms");
  const Server slow(loop_, say_endlessly("\x16", 20ms));
  EXPECT_NE(ask(slow.endpoint(), {}, 300ms).reason, "ok");
  EXPECT_EQ(ask(closed_port(loop_), {}).reason, "refused");
}

// The certificate message may have 16 MiB by its length field.
TEST_F(TlsTest, AHugeChainIsNotRead) {
  {
    std::ifstream in(addressed_.file);
    const std::string pem((std::istreambuf_iterator<char>(in)), {});
    const std::string certificate = pem.substr(0, pem.find("-----BEGIN PRIVATE"));
    std::ofstream out(addressed_.file);
    for (int i = 0; i < 500; ++i) out << certificate;
    out << pem.substr(certificate.size());
  }
  const Server server(loop_, answer_tls(addressed_, ok()));
  const ProbeResult result = ask(server.endpoint(), {{"verify", false}});
  EXPECT_EQ(result.reason, "tls");
  EXPECT_NE(result.detail.find("excessive message size"), std::string::npos) << result.detail;
}

TEST_F(TlsTest, AMissingCaFileIsOurOwnError) {
  const Server server(loop_, answer_tls(addressed_, ok()));
  const ProbeResult result = ask(server.endpoint(), {{"ca_file", "/nonexistent/ca.pem"}});
  EXPECT_EQ(result.reason, "error");
  EXPECT_EQ(result.detail, "/nonexistent/ca.pem: No such file or directory");
}

TEST_F(TlsTest, ContextsAreSharedUntilTheFileChanges) {
  TlsContexts& contexts = TlsContexts::of(loop_);
  const auto first = contexts.trusting(named_.file).value();
  EXPECT_EQ(contexts.trusting(named_.file).value(), first);
  EXPECT_NE(contexts.trusting(addressed_.file).value(), first);
  std::ofstream(named_.file, std::ios::app) << "\n";
  EXPECT_NE(contexts.trusting(named_.file).value(), first);
  std::ofstream(named_.file) << "no certificate\n";
  EXPECT_FALSE(contexts.trusting(named_.file));
}

}  // namespace
}  // namespace xlvs::health::test
