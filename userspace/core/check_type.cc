// SPDX-License-Identifier: Apache-2.0
#include "core/check_type.h"

#include "core/bytes.h"
#include "core/regex.h"

namespace xlvs {
namespace {

template <typename T>
Result<void> outcome(const Result<T>& parsed) {
  if (!parsed) return tl::make_unexpected(parsed.error());
  return {};
}

Result<void> is_bytes(std::string_view text) {
  if (text.empty()) return fail(ErrorKind::invalid, "is empty: leave it out");
  return outcome(unescape(text));
}

Result<void> is_regex(std::string_view text) {
  if (text.empty()) return fail(ErrorKind::invalid, "is empty: leave it out");
  return outcome(Regex::compile(text));
}

Result<void> is_sha256(std::string_view text) {
  constexpr std::size_t kDigits = 64;
  if (text.size() == kDigits && text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos) return {};
  return fail(ErrorKind::invalid, "a SHA-256 has {} hexadecimal digits", kDigits);
}

// A name for the DNS, which is given in full: "www.example.com", with or without the last dot; "." is the root.
Result<void> is_domain(std::string_view text) {
  if (text == ".") return {};
  if (text.ends_with('.')) text.remove_suffix(1);
  constexpr std::size_t kMaxName = 253;
  constexpr std::size_t kMaxLabel = 63;
  bool right = !text.empty() && text.size() <= kMaxName;
  std::size_t label = 0;
  for (const char c : text) {
    const bool letter =
        (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '_';
    right = right && (letter ? label < kMaxLabel : c == '.' && label > 0);
    label = letter ? label + 1 : 0;
  }
  if (!right || label == 0) return fail(ErrorKind::invalid, "'{}' is not the name of a domain", text);
  return {};
}

Result<void> is_dns_answer(std::string_view text) {
  if (text == "any" || text == "none") return {};
  const auto address = IpAddress::parse(text);
  if (!address) return fail(ErrorKind::invalid, "expected any, none or an IP address");
  return {};
}

std::vector<CheckParam> http_params() {
  return {
      {.name = "path",
       .kind = CheckParamKind::text,
       .default_value = "/",
       .summary = "what is requested",
       .secret = true},
      {.name = "method",
       .kind = CheckParamKind::text,
       .default_value = "GET",
       .summary = "the request's method",
       .choices = {"GET", "HEAD", "OPTIONS"}},
      {.name = "host",
       .kind = CheckParamKind::text,
       .default_value = std::nullopt,
       .summary = "the Host header, in HTTP/2 the authority; without it sni, and without that the address and port"},
      {.name = "headers",
       .kind = CheckParamKind::text_map,
       .default_value = std::nullopt,
       .summary = "further request headers, name: value",
       .secret = true},
      {.name = "status",
       .kind = CheckParamKind::status_ranges,
       .default_value = std::vector<StatusRange>{{200, 299}},
       .summary = "status codes that pass: 200, \"200-399\" or a list of these"},
      {.name = "body",
       .kind = CheckParamKind::text,
       .default_value = std::nullopt,
       .summary = "text that the reply's body must contain"},
      {.name = "body_regex",
       .kind = CheckParamKind::text,
       .default_value = std::nullopt,
       .summary = "regular expression that matches somewhere in the reply's body",
       .verify = is_regex},
      {.name = "body_sha256",
       .kind = CheckParamKind::text,
       .default_value = std::nullopt,
       .summary = "SHA-256 of the reply's body, in hexadecimal",
       .verify = is_sha256},
      {.name = "http2",
       .kind = CheckParamKind::boolean,
       .default_value = false,
       .summary = "whether HTTP/2 is spoken, and nothing else accepted: over TLS by ALPN, else with prior knowledge"},
  };
}

std::vector<CheckParam> tls_params() {
  return {
      {.name = "sni",
       .kind = CheckParamKind::text,
       .default_value = std::nullopt,
       .summary =
           "the server name sent in the TLS handshake, which the certificate must be for; without it the name in "
           "host, and without that none is sent and the certificate must be for the address"},
      {.name = "verify",
       .kind = CheckParamKind::boolean,
       .default_value = true,
       .summary = "whether the certificate must be valid"},
      {.name = "ca_file",
       .kind = CheckParamKind::text,
       .default_value = std::nullopt,
       .summary = "PEM file of the CAs to trust; without it the system's"},
      {.name = "min_days",
       .kind = CheckParamKind::integer,
       .default_value = std::int64_t{0},
       .summary = "days that the certificate must still be valid; 0: not looked at",
       .greatest = 3650},
  };
}

std::vector<CheckParam> with_tls(std::vector<CheckParam> params) {
  const std::vector<CheckParam> tls = tls_params();
  params.insert(params.end(), tls.begin(), tls.end());
  return params;
}

std::vector<CheckParam> grpc_params() {
  return with_tls({
      {.name = "service",
       .kind = CheckParamKind::text,
       .default_value = std::nullopt,
       .summary = "the gRPC service asked about; without it the server as a whole"},
      {.name = "host",
       .kind = CheckParamKind::text,
       .default_value = std::nullopt,
       .summary = "the authority of the request; without it sni, and without that the address and port"},
      {.name = "tls", .kind = CheckParamKind::boolean, .default_value = false, .summary = "whether TLS is spoken"},
  });
}

std::vector<CheckParam> send_expect_params() {
  return {
      {.name = "protocol",
       .kind = CheckParamKind::text,
       .default_value = "tcp",
       .summary = "what carries both directions",
       .choices = {"tcp", "udp"}},
      {.name = "send",
       .kind = CheckParamKind::text,
       .default_value = std::nullopt,
       .summary = "what is sent once connected, with escapes such as \\r\\n; without it nothing",
       .verify = is_bytes,
       .secret = true},
      {.name = "expect",
       .kind = CheckParamKind::text,
       .default_value = std::nullopt,
       .summary = "what the reply begins with, with escapes; *: any byte",
       .verify = is_bytes,
       .secret = true},
      {.name = "expect_regex",
       .kind = CheckParamKind::text,
       .default_value = std::nullopt,
       .summary = "regular expression that matches somewhere in the reply",
       .verify = is_regex,
       .secret = true},
  };
}

std::vector<CheckParam> udp_params() {
  return {
      {.name = "send",
       .kind = CheckParamKind::text,
       .default_value = std::nullopt,
       .summary = "the datagram, with escapes such as \\x00; without it an empty one",
       .verify = is_bytes,
       .secret = true},
      {.name = "require_reply",
       .kind = CheckParamKind::boolean,
       .default_value = false,
       .summary = "whether silence is a failure, not only an ICMP error"},
  };
}

std::vector<CheckParam> dns_params() {
  return {
      {.name = "query",
       .kind = CheckParamKind::text,
       .default_value = std::nullopt,
       .required = true,
       .summary = "the name that is asked for",
       .verify = is_domain},
      {.name = "record",
       .kind = CheckParamKind::text,
       .default_value = "A",
       .summary = "the type of record that is asked for",
       .choices = {"A", "AAAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT"}},
      {.name = "rcode",
       .kind = CheckParamKind::text,
       .default_value = "NOERROR",
       .summary = "the reply's code",
       .choices = {"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"}},
      {.name = "answer",
       .kind = CheckParamKind::text,
       .default_value = "any",
       .summary = "any: at least one such record; none: it need not have one; an address: it is among them",
       .verify = is_dns_answer},
      {.name = "tcp",
       .kind = CheckParamKind::boolean,
       .default_value = false,
       .summary = "whether TCP is used at once, not only for a reply that does not fit"},
  };
}

std::vector<CheckParam> agent_params() {
  return {
      {.name = "send",
       .kind = CheckParamKind::text,
       .default_value = std::nullopt,
       .summary = "what is sent to the agent once connected, with escapes; without it nothing",
       .verify = is_bytes,
       .secret = true},
  };
}

std::vector<CheckParam> exec_params() {
  return {
      {.name = "command",
       .kind = CheckParamKind::text_list,
       .default_value = std::nullopt,
       .required = true,
       .summary = "the program's absolute path, and its arguments; %h and %p: address and port",
       .secret = true},
      {.name = "user",
       .kind = CheckParamKind::text,
       .default_value = "nobody",
       .summary = "whom the program runs as; not root"},
      {.name = "expect_exit",
       .kind = CheckParamKind::exit_statuses,
       .default_value = std::vector<StatusRange>{{0, 0}},
       .summary = "exit statuses that pass: 0, \"0-1\" or a list of these"},
      {.name = "expect_output",
       .kind = CheckParamKind::text,
       .default_value = std::nullopt,
       .summary = "text that the program's standard output must contain"},
      {.name = "dynamic",
       .kind = CheckParamKind::boolean,
       .default_value = false,
       .summary = "exit status 0 passes, 1 fails, 2-255 passes with a weight of 2 less"},
  };
}

}  // namespace

std::span<const CheckType> check_types() {
  static const std::vector<CheckType> types{
      {"none", "no check: the backend is always up", {}},
      {"tcp", "a TCP connection is established", {}},
      {"http", "an HTTP request is answered with the expected status and body", http_params()},
      {"https", "the same over TLS", with_tls(http_params())},
      {"tls", "a TLS handshake shows a valid certificate", tls_params()},
      {"send_expect", "what is sent is answered as expected", send_expect_params(), {"expect", "expect_regex"}},
      {"udp", "a datagram causes no ICMP error, or is answered", udp_params()},
      {"dns", "a DNS query is answered as expected", dns_params()},
      {"icmp", "an ICMP echo request is answered", {}},
      {"grpc", "a gRPC server's health service says SERVING", grpc_params()},
      {"agent", "an agent on the server says in a line what it can bear", agent_params()},
      {"exec", "a program says so by its exit status or output", exec_params()},
  };
  return types;
}

const CheckType* find_check_type(std::string_view name) {
  for (const CheckType& type : check_types())
    if (type.name == name) return &type;
  return nullptr;
}

}  // namespace xlvs
