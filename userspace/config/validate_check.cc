// SPDX-License-Identifier: Apache-2.0
// What concerns one check: its keys against each other, and values that only their type understands.
#include <algorithm>

#include "config/sections.h"

namespace xlvs::config {
namespace {

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

bool has_blank(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; });
}

template <typename T>
const T* param(const CheckSpec& check, const std::string& name) {
  const auto found = check.params.find(name);
  return found == check.params.end() ? nullptr : std::get_if<T>(&found->second);
}

void validate_headers(Diagnostics& diagnostics, const Position& where, const std::string& service,
                      const CheckSpec& check) {
  const auto* headers = param<std::map<std::string, std::string>>(check, "headers");
  if (headers == nullptr) return;
  for (const auto& [name, value] : *headers) {
    if (!is_token(name))
      diagnostics.error(where, "service {}: headers: {} can not be the name of a header", service, quote(name));
    if (value.find_first_of("\r\n") != std::string::npos)
      diagnostics.error(where, "service {}: headers: the value of {} has a line end", service, quote(name));
    if (name.size() == 4 &&
        std::equal(name.begin(), name.end(), "host", [](char a, char b) { return (a | 0x20) == b; }))
      diagnostics.error(where, "service {}: headers: give the Host header as 'host'", service);
  }
}

// An answer that can not be in the reply that is expected.
void validate_dns(Diagnostics& diagnostics, const Position& where, const std::string& service, const CheckSpec& check) {
  const auto* answer = param<std::string>(check, "answer");
  const auto* record = param<std::string>(check, "record");
  const auto* rcode = param<std::string>(check, "rcode");
  const auto address = answer == nullptr ? std::nullopt : std::optional(IpAddress::parse(*answer));
  if (!address || !*address || record == nullptr || rcode == nullptr) return;
  if (*record != ((*address)->is_v4() ? "A" : "AAAA"))
    diagnostics.error(where, "service {}: the check's answer {} can not be in a record of type {}", service, *answer,
                      *record);
  if (*rcode != "NOERROR")
    diagnostics.error(where, "service {}: a reply with the rcode {} has no answer {}: leave answer out", service,
                      *rcode, *answer);
}

// What can be said without looking at this host; agent/ asks it whether program and user exist.
void validate_exec(Diagnostics& diagnostics, const Position& where, const std::string& service,
                   const CheckSpec& check) {
  const auto* command = param<std::vector<std::string>>(check, "command");
  if (command == nullptr) return;
  if (!command->front().starts_with('/'))
    diagnostics.error(where, "service {}: the check's command {} must begin with an absolute path", service,
                      quote(command->front()));
  for (std::size_t i = 1; i < command->size(); ++i) {
    const std::string& text = (*command)[i];
    for (std::size_t at = text.find('%'); at != std::string::npos; at = text.find('%', at + 2))
      if (at + 1 == text.size() || std::string_view("hp%").find(text[at + 1]) == std::string_view::npos)
        diagnostics.error(where, "service {}: the check's command: {} may have %h, %p and %% only", service,
                          quote(text));
  }
  const auto* dynamic = param<bool>(check, "dynamic");
  const auto* exit = param<std::vector<StatusRange>>(check, "expect_exit");
  if (dynamic != nullptr && *dynamic && exit != nullptr && *exit != std::vector<StatusRange>{{0, 0}})
    diagnostics.error(where, "service {}: the check's expect_exit has no effect with dynamic: true", service);
}

}  // namespace

void validate_check(Diagnostics& diagnostics, const Position& where, const std::string& service,
                    const CheckSpec& check) {
  if (check.fast_interval && *check.fast_interval > check.interval)
    diagnostics.error(where, "service {}: the check's fast_interval ({}) is longer than its interval ({})", service,
                      duration_text(*check.fast_interval), duration_text(check.interval));
  if (check.timeout > check.interval)
    diagnostics.error(where, "service {}: the check's timeout ({}) is longer than its interval ({})", service,
                      duration_text(check.timeout), duration_text(check.interval));
  const auto* path = param<std::string>(check, "path");
  if (path != nullptr && (!path->starts_with('/') || has_blank(*path)))
    diagnostics.error(where, "service {}: the check's path {} must begin with / and have no blanks", service,
                      quote(*path));
  for (const char* name : {"host", "sni"}) {
    const auto* text = param<std::string>(check, name);
    if (text != nullptr && (text->empty() || has_blank(*text)))
      diagnostics.error(where, "service {}: the check's {} {} is not a host name", service, name, quote(*text));
  }
  const auto* method = param<std::string>(check, "method");
  for (const char* name : {"body", "body_regex", "body_sha256"}) {
    if (method != nullptr && *method == "HEAD" && check.params.contains(name))
      diagnostics.error(where, "service {}: the check looks for a {}, but HEAD has none: use GET", service, name);
  }
  const auto* ca_file = param<std::string>(check, "ca_file");
  if (ca_file != nullptr && !ca_file->starts_with('/'))
    diagnostics.error(where, "service {}: the check's ca_file {} must be an absolute path", service, quote(*ca_file));
  const auto* verify = param<bool>(check, "verify");
  if (verify != nullptr && !*verify && ca_file != nullptr)
    diagnostics.error(where, "service {}: the check's ca_file has no effect with verify: false", service);
  const auto* tls = param<bool>(check, "tls");
  if (tls != nullptr && !*tls && (check.params.contains("sni") || ca_file != nullptr))
    diagnostics.error(where, "service {}: the check's sni and ca_file have no effect without tls: true", service);
  if (check.type == "icmp" && check.port) diagnostics.error(where, "service {}: the check icmp has no port", service);
  validate_headers(diagnostics, where, service, check);
  validate_dns(diagnostics, where, service, check);
  validate_exec(diagnostics, where, service, check);
}

void validate_checks(Diagnostics& diagnostics, const std::vector<Position>& where, const std::string& service,
                     const CheckList& checks) {
  for (std::size_t i = 0; i < checks.size(); ++i) {
    validate_check(diagnostics, where[i], service, checks[i]);
    if (checks.size() > 1 && checks[i].type == "none")
      diagnostics.error(where[i], "service {}: a check of type none among others: leave it out", service);
    if (std::find(checks.begin(), checks.begin() + static_cast<std::ptrdiff_t>(i), checks[i]) !=
        checks.begin() + static_cast<std::ptrdiff_t>(i))
      diagnostics.error(where[i], "service {}: the check {} is listed twice", service, quote(to_string(checks[i])));
  }
}

}  // namespace xlvs::config
