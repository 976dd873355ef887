// SPDX-License-Identifier: Apache-2.0
// The C library reads the wire format (ns_initparse(3) and its kin, the resolver's own); here is only what it means.
#include "health/dns_message.h"

#include <arpa/nameser.h>
#include <strings.h>

#include <array>
#include <cstdlib>

#include <fmt/format.h>

namespace xlvs::health {
namespace {

struct Name {
  std::string_view text;
  int value;
};

constexpr Name kRecords[] = {{"A", ns_t_a},     {"AAAA", ns_t_aaaa}, {"CNAME", ns_t_cname},
                             {"MX", ns_t_mx},   {"NS", ns_t_ns},     {"PTR", ns_t_ptr},
                             {"SOA", ns_t_soa}, {"SRV", ns_t_srv},   {"TXT", ns_t_txt}};
constexpr Name kRcodes[] = {{"NOERROR", ns_r_noerror},   {"FORMERR", ns_r_formerr}, {"SERVFAIL", ns_r_servfail},
                            {"NXDOMAIN", ns_r_nxdomain}, {"NOTIMP", ns_r_notimpl},  {"REFUSED", ns_r_refused}};

template <std::size_t Size>
int value_of(const Name (&names)[Size], std::string_view text) {
  for (const Name& name : names)
    if (name.text == text) return name.value;
  std::abort();  // config/ accepts those of check_types() only
}

std::string rcode_text(int rcode) {
  for (const Name& name : kRcodes)
    if (name.value == rcode) return std::string(name.text);
  return fmt::format("rcode {}", rcode);
}

// "www.example.com." and "www.example.com" are the same; "." is the root.
std::string_view bare(std::string_view name) {
  return name.ends_with('.') ? name.substr(0, name.size() - 1) : name;
}

bool same_name(const char* in_message, std::string_view asked) {
  const std::string_view name = bare(in_message);
  asked = bare(asked);
  return name.size() == asked.size() && strncasecmp(name.data(), asked.data(), name.size()) == 0;
}

void put16(std::string& out, int value) {
  out += static_cast<char>(value >> 8);
  out += static_cast<char>(value & 0xff);
}

DnsVerdict failure(const char* reason, std::string detail) {
  return {DnsVerdict::Kind::judged, {false, reason, std::move(detail), {}}};
}

std::optional<IpAddress> address_of(const ns_rr& record) {
  if (ns_rr_type(record) == ns_t_a && ns_rr_rdlen(record) == 4) {
    std::array<std::uint8_t, 4> bytes{};
    std::copy_n(ns_rr_rdata(record), bytes.size(), bytes.begin());
    return IpAddress::v4(bytes);
  }
  if (ns_rr_type(record) == ns_t_aaaa && ns_rr_rdlen(record) == 16) {
    std::array<std::uint8_t, 16> bytes{};
    std::copy_n(ns_rr_rdata(record), bytes.size(), bytes.begin());
    return IpAddress::v6(bytes);
  }
  return std::nullopt;
}

// Whether the question is the one that was asked. A server that did not even read it may leave it out.
bool repeats_question(ns_msg& message, const DnsExpectation& expected) {
  if (ns_msg_count(message, ns_s_qd) == 0) return ns_msg_getflag(message, ns_f_rcode) != ns_r_noerror;
  ns_rr question;
  return ns_parserr(&message, ns_s_qd, 0, &question) == 0 && same_name(ns_rr_name(question), expected.query) &&
         ns_rr_type(question) == value_of(kRecords, expected.record) && ns_rr_class(question) == ns_c_in;
}

DnsVerdict judge_answers(ns_msg& message, const DnsExpectation& expected) {
  const int wanted = value_of(kRecords, expected.record);
  unsigned found = 0;
  bool has_address = false;
  for (int i = 0; i < ns_msg_count(message, ns_s_an); ++i) {
    ns_rr record;
    if (ns_parserr(&message, ns_s_an, i, &record) != 0) return failure("protocol", "an answer can not be read");
    if (ns_rr_class(record) != ns_c_in || ns_rr_type(record) != wanted) continue;
    ++found;
    has_address = has_address || (expected.address && address_of(record) == expected.address);
  }
  const std::string counted = fmt::format("{} {} record{}", found, expected.record, found == 1 ? "" : "s");
  if (expected.address && !has_address) {
    return failure("answer", fmt::format("{} is not among {}", expected.address->to_string(), counted));
  }
  if (expected.answered && found == 0) return failure("answer", fmt::format("NOERROR, but {}", counted));
  return {DnsVerdict::Kind::judged, {true, "ok", fmt::format("NOERROR, {}", counted), {}}};
}

}  // namespace

std::string make_dns_query(const DnsExpectation& expected, std::uint16_t id) {
  std::array<unsigned char, NS_MAXCDNAME> name{};
  const int length = ns_name_compress(expected.query.c_str(), name.data(), name.size(), nullptr, nullptr);
  if (length < 0) std::abort();  // config/ has looked at it
  constexpr int kRecursionDesired = 0x0100;
  std::string query;
  for (const int field : {int{id}, kRecursionDesired, 1, 0, 0, 0}) put16(query, field);
  query.append(name.begin(), name.begin() + length);
  put16(query, value_of(kRecords, expected.record));
  put16(query, ns_c_in);
  return query;
}

DnsVerdict read_dns_reply(std::string_view bytes, const DnsExpectation& expected, std::uint16_t id) {
  if (bytes.size() > kMaxDnsReply) return failure("too_large", fmt::format("a reply of {} bytes", bytes.size()));
  ns_msg message;
  const auto* data = static_cast<const unsigned char*>(static_cast<const void*>(bytes.data()));
  if (bytes.size() >= 2 && ns_get16(data) != id) return {DnsVerdict::Kind::foreign, {}};
  if (ns_initparse(data, static_cast<int>(bytes.size()), &message) != 0 || ns_msg_getflag(message, ns_f_qr) == 0) {
    return failure("protocol", fmt::format("{} bytes that are no DNS reply", bytes.size()));
  }
  if (!repeats_question(message, expected)) return failure("protocol", "a reply to another question");
  if (ns_msg_getflag(message, ns_f_tc) != 0) return {DnsVerdict::Kind::truncated, {}};
  const int rcode = ns_msg_getflag(message, ns_f_rcode);
  if (rcode != value_of(kRcodes, expected.rcode)) {
    return failure("rcode", fmt::format("{}, expected {}", rcode_text(rcode), expected.rcode));
  }
  if (rcode != ns_r_noerror) return {DnsVerdict::Kind::judged, {true, "ok", rcode_text(rcode), {}}};
  return judge_answers(message, expected);
}

}  // namespace xlvs::health
