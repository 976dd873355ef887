// SPDX-License-Identifier: Apache-2.0
// Whatever a server answers a check with: it is judged, with one of the reasons that the check type may give, and never
// passes by accident. Input: a byte that chooses the reader, then the reply.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/bytes.h"
#include "health/agent_reply.h"
#include "health/dns_message.h"
#include "health/grpc_message.h"
#include "health/icmp_echo.h"
#include "health/reply_matcher.h"

namespace {

using namespace xlvs;
using namespace xlvs::health;

void check(bool holds) {
  if (!holds) std::abort();
}

void check_result(const ProbeResult& result, std::initializer_list<std::string_view> reasons) {
  check(result.passed == (result.reason == "ok"));
  check(!result.detail.empty() && result.detail.size() < 1000);
  for (const char c : result.detail) check(c >= 0x20 && c < 0x7f);
  if (result.passed) return;
  bool known = false;
  for (const std::string_view reason : reasons) known = known || result.reason == reason;
  check(known);
}

void agent(std::string_view reply) {
  const ProbeResult result = read_agent_reply(reply.substr(0, kMaxAgentLine));
  check_result(result, {"protocol", "down"});
  if (result.weight) check(result.passed && result.weight->value <= 10'000);
}

// However it is cut, a reply is judged in the same way.
void matcher(std::string_view reply, const Expectation& expected) {
  ReplyMatcher whole(expected);
  const auto at_once = whole.feed(reply);
  check_result(at_once.value_or(whole.ended()), {"reply", "too_large", "regex", "closed"});
  if (expected.regex) return;  // which may match a part and not the whole
  if (at_once && at_once->passed) check(reply.starts_with(expected.prefix));
  ReplyMatcher parts(expected);
  std::optional<ProbeResult> in_parts;
  for (std::size_t i = 0; i < reply.size() && !in_parts; ++i) in_parts = parts.feed(reply.substr(i, 1));
  check(in_parts.has_value() == at_once.has_value());
  if (in_parts) check(in_parts->passed == at_once->passed);
}

void dns(std::string_view reply) {
  DnsExpectation expected;
  expected.query = "a.example";
  for (const bool with_address : {false, true}) {
    if (with_address) expected.address = IpAddress::v4({192, 0, 2, 1});
    const DnsVerdict verdict = read_dns_reply(reply, expected, 0x3030);
    if (verdict.kind == DnsVerdict::Kind::judged) {
      check_result(verdict.result, {"protocol", "rcode", "answer", "too_large"});
    }
    if (!verdict.result.passed) continue;
    check(reply.substr(0, 2) == "00" && reply.size() >= 12 + 11 + 4 + 11);
    if (with_address) check(reply.find(std::string_view("\xc0\x00\x02\x01", 4)) != std::string_view::npos);
  }
}

void grpc(std::string_view reply) {
  const auto status = read_grpc_health_reply(reply);
  if (!status) return check(!status.error().message.empty());
  check(reply.size() >= 5 && (*status == 0 || reply.size() >= 7));
  check(read_grpc_health_reply(std::string(reply) + "x").has_value() == false);
}

void icmp(std::string_view packet) {
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    const auto echo = read_echo_reply(family, packet);
    if (echo) check(echo->payload == packet.substr(8));
    if (read_quoted_request(family, packet)) check(!echo);
  }
  if (const auto message = skip_ipv4_header(packet)) check(message->size() + 20 <= packet.size());
}

void escapes(std::string_view text) {
  const auto bytes = unescape(text);
  if (!bytes) return check(!bytes.error().message.empty());
  const std::string quoted = quote_bytes(*bytes, bytes->size());
  check(unescape(quoted.substr(1, quoted.size() - 2)).value() == *bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view reply(reinterpret_cast<const char*>(data + 1), size - 1);
  static const Expectation prefix{"220 ", std::nullopt};
  static const Expectation any{"", std::nullopt};
  static const Expectation regex{"", Regex::compile("^(2[0-9]+ )+(ok|ready)|(x+x+)+y").value()};
  switch (data[0] % 8) {
    case 0:
      agent(reply);
      break;
    case 1:
      matcher(reply, prefix);
      break;
    case 2:
      matcher(reply, any);
      break;
    case 3:
      matcher(reply, regex);
      break;
    case 4:
      dns(reply);
      break;
    case 5:
      grpc(reply);
      break;
    case 6:
      icmp(reply);
      break;
    default:
      escapes(reply);
  }
  return 0;
}
