// SPDX-License-Identifier: Apache-2.0
#include <boost/asio/read.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "health/dns_message.h"
#include "tests/unit/health/servers.h"

namespace xlvs::health::test {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using Params = std::map<std::string, CheckValue>;
using Kind = DnsVerdict::Kind;

// The parts of a reply, as RFC 1035 draws them.
constexpr int kReply = 0x8180;  // QR RD RA
constexpr int kTruncated = 0x0200;
constexpr int kNxdomain = 3;

std::string u16(int value) {
  return {static_cast<char>(value >> 8), static_cast<char>(value & 0xff)};
}

std::string header(std::string_view query, int flags, int answers) {
  return std::string(query.substr(0, 2)) + u16(flags) + u16(1) + u16(answers) + u16(0) + u16(0);
}

std::string question(std::string_view query) {
  return std::string(query.substr(12));
}

// Of the question's name.
std::string record(int type, const std::string& data) {
  return "\xc0\x0c"s + u16(type) + u16(1) + "\0\0\0\x3c"s + u16(static_cast<int>(data.size())) + data;
}
std::string a(const std::string& address) {
  return record(1, address);
}

std::string reply(std::string_view query, const std::vector<std::string>& answers, int flags = kReply) {
  std::string message = header(query, flags, static_cast<int>(answers.size())) + question(query);
  for (const std::string& answer : answers) message += answer;
  return message;
}

DnsExpectation asking(const std::string& query) {
  DnsExpectation expected;
  expected.query = query;
  return expected;
}

TEST(DnsMessage, AQueryIsWrittenAsRfc1035Says) {
  EXPECT_EQ(make_dns_query(asking("www.example.com"), 0x1234),
            "\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03www\x07"
            "example\x03"
            "com\0\0\x01\0\x01"s);
  EXPECT_EQ(make_dns_query(asking("."), 1).substr(12), "\0\0\x01\0\x01"s);
}

TEST(DnsMessage, VerdictsOnReplies) {
  const DnsExpectation expected = asking("a.example");
  const std::string query = make_dns_query(expected, 7);
  const std::string good = reply(query, {a("\xc0\0\2\1"s)});
  struct Case {
    const char* what;
    std::string message;
    Kind kind;
    const char* reason;
  };
  const std::string other = make_dns_query(asking("b.example"), 7);
  const std::string shouted = make_dns_query(asking("A.EXAMPLE"), 7);
  for (const Case& c : {
           Case{"an answer", good, Kind::judged, "ok"},
           Case{"an answer in another case", reply(shouted, {a("\xc0\0\2\1"s)}), Kind::judged, "ok"},
           Case{"an alias and its address", reply(query, {record(5, "\1b\0"s), a("\xc0\0\2\1"s)}), Kind::judged, "ok"},
           Case{"no answer", reply(query, {}), Kind::judged, "answer"},
           Case{"only an alias", reply(query, {record(5, "\1b\0"s)}), Kind::judged, "answer"},
           Case{"another id", reply("\0\x08"s + query.substr(2), {}), Kind::foreign, ""},
           Case{"another question", reply(other, {a("\xc0\0\2\1"s)}), Kind::judged, "protocol"},
           Case{"truncated", reply(query, {}, kReply | kTruncated), Kind::truncated, ""},
           Case{"NXDOMAIN", reply(query, {}, kReply | kNxdomain), Kind::judged, "rcode"},
           Case{"the query itself", query, Kind::judged, "protocol"},
           Case{"refused without the question", query.substr(0, 2) + "\x81\x05\0\0\0\0\0\0\0\0"s, Kind::judged,
                "rcode"},
           Case{"no error without the question", query.substr(0, 2) + "\x81\0\0\0\0\0\0\0\0\0"s, Kind::judged,
                "protocol"},
           Case{"cut in the answer", good.substr(0, good.size() - 1), Kind::judged, "protocol"},
           Case{"cut in the header", good.substr(0, 11), Kind::judged, "protocol"},
           Case{"one byte", "\0"s, Kind::judged, "protocol"},
           Case{"nothing", "", Kind::judged, "protocol"},
           Case{"more after the end", good + "x", Kind::judged, "protocol"},
           Case{"fewer answers than said", header(query, kReply, 2) + question(query) + a("\xc0\0\2\1"s), Kind::judged,
                "protocol"},
           Case{"a name that points at itself",
                header(query, kReply, 1) + question(query) + "\xc0\x1b"s + a("\xc0\0\2\1"s).substr(2), Kind::judged,
                "protocol"},
           Case{"too large", good + std::string(kMaxDnsReply, 'x'), Kind::judged, "too_large"},
       }) {
    const DnsVerdict verdict = read_dns_reply(c.message, expected, 7);
    EXPECT_EQ(verdict.kind, c.kind) << c.what;
    EXPECT_EQ(verdict.result.reason, c.reason) << c.what << ": " << verdict.result.detail;
    EXPECT_EQ(verdict.result.passed, c.reason == "ok"s) << c.what;
  }
}

// Answers whose names all are a chain of pointers: reading one costs the length of the chain.
TEST(DnsMessage, NamesThatPointToEachOtherCostLittle) {
  const DnsExpectation expected = asking("a.example");
  const std::string query = make_dns_query(expected, 7);
  std::string message = header(query, kReply, 0) + question(query);
  const int first = static_cast<int>(message.size());
  std::string chain;
  for (int at = 12; first + 12 + chain.size() < kMaxDnsReply / 2;
       at = first + 12 + static_cast<int>(chain.size()) - 2) {
    chain += u16(0xc000 | at);
  }
  const int last = first + 12 + static_cast<int>(chain.size()) - 2;
  message += "\0"s + u16(16) + u16(1) + "\0\0\0\0\0"s + u16(static_cast<int>(chain.size())) + chain;
  int answers = 1;
  for (; message.size() + 12 < kMaxDnsReply; ++answers) {
    message += u16(0xc000 | (last & 0x3fff)) + u16(16) + u16(1) + "\0\0\0\0"s + u16(0);
  }
  message[7] = static_cast<char>(answers & 0xff);
  message[6] = static_cast<char>(answers >> 8);
  const auto begin = std::chrono::steady_clock::now();
  const DnsVerdict verdict = read_dns_reply(message, expected, 7);
  EXPECT_FALSE(verdict.result.passed);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 1s);
}

class DnsTest : public HealthTest {
 protected:
  ProbeResult ask(const Endpoint& server, Params params = {}, std::chrono::milliseconds timeout = 5s) {
    params.emplace("query", "a.example");
    return probe(server, spec("dns", std::move(params)), timeout);
  }
  UdpServer answering(const std::vector<std::string>& answers, int flags = kReply) {
    return {loop_, [=](const std::string& query) { return std::vector{reply(query, answers, flags)}; }};
  }
};

TEST_F(DnsTest, AnAnswerPasses) {
  const UdpServer server = answering({a("\xc0\0\2\1"s), a("\xc0\0\2\2"s)});
  const ProbeResult result = ask(server.endpoint());
  EXPECT_TRUE(result.passed);
  EXPECT_EQ(result.detail, "NOERROR, 2 A records");
  EXPECT_TRUE(ask(server.endpoint(), {{"answer", "192.0.2.2"}}).passed);
  const ProbeResult other = ask(server.endpoint(), {{"answer", "192.0.2.3"}});
  EXPECT_EQ(other.reason, "answer");
  EXPECT_EQ(other.detail, "192.0.2.3 is not among 2 A records");
}

TEST_F(DnsTest, IPv6AddressesToo) {
  const UdpServer server = answering({record(28, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x80"s)});
  EXPECT_TRUE(ask(server.endpoint(), {{"record", "AAAA"}, {"answer", "2001:db8::80"}}).passed);
  EXPECT_EQ(ask(server.endpoint(), {{"record", "AAAA"}, {"answer", "2001:db8::81"}}).reason, "answer");
  EXPECT_EQ(ask(server.endpoint(), {{"record", "A"}}).reason, "answer");
}

TEST_F(DnsTest, AnEmptyAnswerPassesIfItMay) {
  const UdpServer server = answering({});
  const ProbeResult result = ask(server.endpoint());
  EXPECT_EQ(result.reason, "answer");
  EXPECT_EQ(result.detail, "NOERROR, but 0 A records");
  EXPECT_TRUE(ask(server.endpoint(), {{"answer", "none"}}).passed);
}

TEST_F(DnsTest, TheCodeCounts) {
  const UdpServer server = answering({}, kReply | kNxdomain);
  const ProbeResult result = ask(server.endpoint());
  EXPECT_EQ(result.reason, "rcode");
  EXPECT_EQ(result.detail, "NXDOMAIN, expected NOERROR");
  EXPECT_TRUE(ask(server.endpoint(), {{"rcode", "NXDOMAIN"}}).passed);
}

TEST_F(DnsTest, RepliesToOthersAreNotWaitedOut) {
  const UdpServer server(loop_, [](const std::string& query) {
    const std::string right = reply(query, {a("\xc0\0\2\1"s)});
    std::string foreign = right;
    foreign[0] = static_cast<char>(foreign[0] ^ 1);
    return std::vector{foreign, right};
  });
  EXPECT_TRUE(ask(server.endpoint()).passed);
}

TEST_F(DnsTest, NoReplyAndNoServer) {
  const UdpServer silent(loop_, [](const std::string&) { return std::vector<std::string>(); });
  const ProbeResult result = ask(silent.endpoint(), {}, 200ms);
  EXPECT_EQ(result.reason, "timeout");
  EXPECT_EQ(result.detail, "no reply within 200 ms");
  EXPECT_EQ(ask(closed_udp_port(loop_)).reason, "refused");
  const UdpServer echo(loop_, [](const std::string& query) { return std::vector{query}; });
  EXPECT_EQ(ask(echo.endpoint()).reason, "protocol");
}

// A script that reads the query after its length, and sends what is made of it.
Server::Script over_tcp(std::function<std::string(const std::string& query)> respond) {
  return [respond = std::move(respond)](tcp::socket socket) -> awaitable<void> {
    std::string query(2 + 27, '\0');  // of "a.example"
    co_await boost::asio::async_read(socket, boost::asio::buffer(query), boost::asio::use_awaitable);
    const std::string out = respond(query.substr(2));
    co_await boost::asio::async_write(socket, boost::asio::buffer(out), boost::asio::use_awaitable);
  };
}

std::string framed(const std::string& message) {
  return u16(static_cast<int>(message.size())) + message;
}

TEST_F(DnsTest, OverTcp) {
  const Params tcp_only{{"tcp", true}};
  const Server good(loop_, over_tcp([](const std::string& q) { return framed(reply(q, {a("\xc0\0\2\1"s)})); }));
  EXPECT_TRUE(ask(good.endpoint(), tcp_only).passed);
  const Server cut(loop_, over_tcp([](const std::string& q) { return framed(reply(q, {})).substr(0, 20); }));
  EXPECT_EQ(ask(cut.endpoint(), tcp_only).reason, "closed");
  const Server empty(loop_, over_tcp([](const std::string&) { return std::string(); }));
  EXPECT_EQ(ask(empty.endpoint(), tcp_only).reason, "closed");
  const Server truncated(loop_,
                         over_tcp([](const std::string& q) { return framed(reply(q, {}, kReply | kTruncated)); }));
  EXPECT_EQ(ask(truncated.endpoint(), tcp_only).reason, "protocol");
  const Server huge(loop_, over_tcp([](const std::string&) { return "\xff\xff"s; }));
  EXPECT_EQ(ask(huge.endpoint(), tcp_only).reason, "too_large");
  const Server web(loop_, say({"HTTP/1.1 400 Bad Request\r\n\r\n"}));
  EXPECT_EQ(ask(web.endpoint(), tcp_only).reason, "too_large") << "HT is a length of 18516 bytes";
  EXPECT_EQ(ask(closed_port(loop_), tcp_only).reason, "refused");
}

// Both protocols on one port, as DNS has it.
TEST_F(DnsTest, ATruncatedReplyIsAskedForByTcp) {
  const UdpServer udp = answering({}, kReply | kTruncated);
  EXPECT_EQ(ask(udp.endpoint()).reason, "refused") << "nobody listens there by TCP";
  const Server tcp(loop_, over_tcp([](const std::string& q) { return framed(reply(q, {a("\xc0\0\2\1"s)})); }),
                   "127.0.0.1", udp.endpoint().port);
  const ProbeResult result = ask(udp.endpoint());
  EXPECT_TRUE(result.passed) << result.detail;
  EXPECT_EQ(tcp.connections(), 1);
}

}  // namespace
}  // namespace xlvs::health::test
