// SPDX-License-Identifier: Apache-2.0
#include "health/grpc_message.h"

#include "tests/unit/health/servers.h"

namespace xlvs::health::test {
namespace {

using namespace std::string_literals;

std::string framed(const std::string& message) {
  return "\0\0\0"s + static_cast<char>(message.size() >> 8) + static_cast<char>(message.size()) + message;
}

TEST(GrpcMessage, RequestsNameTheService) {
  EXPECT_EQ(make_grpc_health_request(""), "\0\0\0\0\0"s);
  EXPECT_EQ(make_grpc_health_request("shop"), "\0\0\0\0\x06\x0a\x04shop"s);
  const std::string name(300, 'x');
  EXPECT_EQ(make_grpc_health_request(name), framed("\x0a\xac\x02" + name));
}

TEST(GrpcMessage, RepliesTellTheStatus) {
  EXPECT_EQ(read_grpc_health_reply(framed("\x08\x01")).value(), 1U);
  EXPECT_EQ(read_grpc_health_reply(framed("\x08\x02")).value(), 2U);
  EXPECT_EQ(read_grpc_health_reply(framed("")).value(), 0U) << "the default is not sent";
  EXPECT_EQ(read_grpc_health_reply(framed("\x08\x02\x08\x01")).value(), 1U) << "the last one counts";
  EXPECT_EQ(read_grpc_health_reply(framed("\x12\x02hi\x1d"
                                          "abcd\x21"
                                          "abcdefgh\x28\xff\x01\x08\x01"))
                .value(),
            1U)
      << "other fields";
  EXPECT_EQ(read_grpc_health_reply(framed("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")).value(), ~std::uint64_t{0});
}

TEST(GrpcMessage, WhatIsNoReplyIsRefused) {
  for (const std::string& body :
       {""s, "\0\0\0\0"s, "\0\0\0\0\x02\x08"s, framed("\x08\x01") + "x", "\1\0\0\0\2\x08\1"s, "\0\xff\xff\xff\xff"s,
        framed("\x08"), framed("\x08\x80"), framed("\x08" + std::string(11, '\x81')),
        framed("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), framed("\x12\x05hi"),
        framed("\x1d"
               "abc"),
        framed("\x21"
               "abcdefg"),
        framed("\x0b"), framed("\x0c"), framed("\x0f"), framed("\0"s), framed("\x80"),
        framed("\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
               "x")}) {
    EXPECT_FALSE(read_grpc_health_reply(body)) << ::testing::PrintToString(body);
  }
}

class GrpcTest : public HealthTest {};

// Real gRPC servers are asked in the lab.
TEST_F(GrpcTest, AServerOfAnotherProtocolFails) {
  const Server server(loop_, answer(ok()));
  EXPECT_EQ(probe(server.endpoint(), spec("grpc")).reason, "protocol");
  const Server closes(loop_, say({}));
  EXPECT_EQ(probe(closes.endpoint(), spec("grpc")).reason, "protocol");
  const Server silent(loop_, say({}, Afterwards::silence));
  EXPECT_EQ(probe(silent.endpoint(), spec("grpc"), std::chrono::milliseconds(200)).reason, "timeout");
  EXPECT_EQ(probe(closed_port(loop_), spec("grpc")).reason, "refused");
  const Certificate certificate("IP:127.0.0.1");
  const Server tls(loop_, answer_tls(certificate, ok()));
  EXPECT_EQ(probe(tls.endpoint(), spec("grpc", {{"tls", true}})).reason, "certificate");
  EXPECT_EQ(probe(tls.endpoint(), spec("grpc", {{"tls", true}, {"verify", false}})).reason, "protocol");
}

}  // namespace
}  // namespace xlvs::health::test
