// SPDX-License-Identifier: Apache-2.0
// What concerns checks that go to a VIP on the backend.
#include <algorithm>
#include <array>

#include "config/sections.h"
#include "core/via.h"

namespace xlvs::config {
namespace {

// Those whose packets are lvsd's own TCP or UDP.
constexpr std::array<std::string_view, 9> kTypes{"tcp", "http", "https", "tls",  "send_expect",
                                                 "udp", "dns",  "grpc",  "agent"};

void resolve(Diagnostics& diagnostics, const Position& where, const ParsedService& service, CheckSpec& check) {
  const std::string& name = service.config.name;
  if (std::find(kTypes.begin(), kTypes.end(), check.type) == kTypes.end())
    diagnostics.error(where, "service {}: the check {} can not go via: vip; those that can: {}", name, check.type,
                      fmt::join(kTypes, ", "));
  if (check.connect)
    diagnostics.error(where, "service {}: the check has both connect and via: vip, which asks the backend", name);
  const auto required = check.params.find("require_reply");
  if (check.type == "udp" && required != check.params.end() && required->second == CheckValue(false))
    diagnostics.error(
        where, "service {}: a check udp via: vip needs require_reply: true, as ICMP errors of a VIP are lost", name);
  if (service.listeners.empty() || service.listen_broken) return;
  if (*check.via == IpAddress{}) check.via = service.listeners.front().value.address;
  const bool listened = std::any_of(service.listeners.begin(), service.listeners.end(),
                                    [&](const auto& listener) { return listener.value.address == *check.via; });
  if (!listened)
    diagnostics.error(where, "service {}: vip: the service does not listen on {}", name, check.via->to_string());
}

bool goes_via(const CheckList& checks) {
  return std::any_of(checks.begin(), checks.end(), [](const CheckSpec& check) { return check.via.has_value(); });
}

}  // namespace

void validate_via(Diagnostics& diagnostics, ParsedService& service) {
  const auto each = [&](CheckList& checks, const std::vector<Position>& where) {
    for (std::size_t i = 0; i < checks.size(); ++i)
      if (checks[i].via) resolve(diagnostics, where[i], service, checks[i]);
  };
  const std::string_view why = "a nat backend has no VIP: leave via out, or use forward: dr";
  each(service.config.checks, service.check_where);
  const bool all_nat = service.config.forward == ForwardMethod::nat && goes_via(service.config.checks);
  if (all_nat)
    diagnostics.error(service.check_where.front(), "service {}: the check goes via: vip, but {}", service.config.name,
                      why);
  for (ParsedBackend& backend : service.backends) {
    if (backend.checks) each(*backend.checks, backend.check_where);
    const CheckList& checks = backend.checks ? *backend.checks : service.config.checks;
    const bool told = all_nat && !backend.checks;
    if (told || !backend.named() || backend.forward != ForwardMethod::nat || !goes_via(checks)) continue;
    diagnostics.error(backend.where, "service {}: backend {} is checked via: vip, but {}", service.config.name,
                      backend.label(), why);
  }
}

void validate_vias(Diagnostics& diagnostics, Parsed& parsed) {
  assign_check_marks(parsed.config);
  std::set<IpAddress> vips;
  for (const ViaCheck& check : via_checks(parsed.config)) vips.insert(check.vip);
  if (vips.size() > kMaxVia)
    diagnostics.error({parsed.where.source, 0, 0}, "checks go to {} VIPs by via: vip, at most {} can be told apart",
                      vips.size(), kMaxVia);
}

}  // namespace xlvs::config
