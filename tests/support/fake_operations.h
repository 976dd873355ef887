// SPDX-License-Identifier: Apache-2.0
// An lvsd without packets: Operations that answer what a test gave them and remember what they were asked.
#pragma once

#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "control/api.h"

namespace xlvs::control {

// Two services in all the states that an operator can meet. Times are around kNow.
inline constexpr double kNow = 1'800'000'000;

inline BackendReport canned_backend(std::string service, std::string address, std::string state, double age) {
  BackendReport backend;
  backend.service = std::move(service);
  backend.address = std::move(address);
  backend.forward = "nat";
  backend.weight = backend.configured_weight = 1;
  backend.effective_weight = 1;
  backend.state = state;
  backend.health.state = state == "down" ? "down" : "up";
  backend.health.since = kNow - age;
  backend.health.reason = "ok";
  backend.health.latency = 0.0023;
  backend.next_hop = "02:00:00:00:00:0b dev lan0";
  return backend;
}

inline std::vector<ServiceReport> canned_services() {
  ServiceReport web{"web", {"198.51.100.10:80/tcp", "198.51.100.11:80/tcp"}, "nat", "wrr", "http", {}, {}, {}};
  web.traffic = {150, 9000, 1'234'567'890'123, 8000, 20'000};
  web.backends.push_back(canned_backend("web", "10.0.0.11:8080", "up", 192));
  web.backends[0].weight = web.backends[0].configured_weight = 3;
  web.backends[0].effective_weight = 3;
  web.backends[0].active = 120;
  web.backends[0].inactive = 7;
  web.backends[0].traffic = {100, 6000, 1'234'567'000'000, 5000, 12'000};
  web.backends[0].health.checks_passed = 96;
  web.backends[0].health.checks_failed = 2;
  web.backends[0].health.checks.resize(1);
  web.backends[0].health.checks[0].name = "https";
  web.backends[0].health.checks[0].state = "up";
  web.backends[0].health.checks[0].reason = "ok";
  web.backends[0].health.checks[0].certificate_end = kNow + 10.5 * 86'400;
  web.backends.push_back(canned_backend("web", "10.0.0.12:8080", "down", 45));
  web.backends[1].health.reason = "status";
  web.backends[1].health.detail = "HTTP status 503, expected 200";
  web.backends[1].why = "http/health: HTTP status 503, expected 200 (4 failures in a row)";
  web.backends[1].health.checks = {{"tcp", "up", "ok", "connected", 0.0002, kNow - 1, 90, 0, 2, 3, {{"ok", 90}}, {}},
                                   {"http/health",
                                    "down",
                                    "status",
                                    "HTTP status 503, expected 200",
                                    0.0011,
                                    kNow - 1,
                                    0,
                                    4,
                                    2,
                                    3,
                                    {{"ok", 86}, {"status", 4}},
                                    {}}};
  web.backends[1].traffic = {30, 2000, 800'000, 2000, 5000};
  web.backends.push_back(canned_backend("web", "10.0.0.13:8080", "drained", 90061));
  web.backends[2].weight = 0;
  web.backends[2].effective_weight = 0;
  web.backends[2].drained = true;
  web.backends[2].weight_override = 5;
  web.backends[2].active = 1;
  web.backends[2].traffic = {20, 1000, 90'123, 1000, 3000};
  ServiceReport dns{"dns6", {"[2001:db8::10]:53/udp"}, "dr", "mh", "none", {}, {}, {}};
  dns.traffic = {5, 10, 700, 0, 0};
  dns.backends.push_back(canned_backend("dns6", "[2001:db8:1::11]:53", "no-route", 0));
  dns.backends[0].forward = "dr";
  dns.backends[0].inactive = 5;
  dns.backends[0].health = {};
  dns.backends[0].health.state = "unchecked";
  dns.backends[0].next_hop = "";
  dns.backends[0].traffic = {5, 10, 700, 0, 0};
  return {web, dns};
}

inline std::vector<ReasonReport> canned_reasons() {
  return {{"malformed", "drop", "a header is truncated or contradicts itself", 0},
          {"no_backend", "drop", "the service has no backend that may take a new flow", 12},
          {"no_flow_passed", "pass", "a TCP segment of no known flow, left to the host (which answers RST)", 3}};
}

inline Status canned_status() {
  Status status;
  status.version = {"0.1.0", "default", 4242};
  status.started_at = kNow - 192;
  status.config = {"/etc/lvs/lvs.yaml", "c0ffee", 3, kNow - 64, false, ""};
  status.interfaces = {{"lan0", 7, "native", "", 101, true},
                       {"wan0", 8, "generic", "the driver has no XDP", 102, true}};
  status.vips = {"198.51.100.10", "198.51.100.11", "2001:db8::10"};
  status.flow_tables = {{"ipv4", 1'048'576, 128, 65536, 2}, {"ipv6", 262'144, 5, 16384, 0}};
  status.services = canned_services();
  status.reasons = canned_reasons();
  status.warnings = {"interface wan0: XDP runs in the slow generic mode (the driver has no XDP)"};
  return status;
}

inline StatsReport canned_stats() {
  return {kNow,
          canned_services(),
          canned_reasons(),
          77,
          0,
          {{0.001, 0.1}, {90, 7, 1}, 0.5},
          {{"late", 3}, {"programs", 0}, {"resources", 1}},
          {{"link", 1}, {"pin", 0}, {"vip", 2}}};
}

class FakeOperations : public Operations {
 public:
  Status canned = canned_status();
  mutable int status_calls = 0;
  std::vector<StatsReport> samples{canned_stats()};  // one for each call; the last one again and again
  FlowList flow_list;
  ConfigCheck check;
  ConfigDiff diff;
  ConfigApplied applied;
  std::vector<ConfigPush> pushes{{}};  // one for each question; the last one again and again
  bool changed = true;
  std::optional<Error> refusal;            // of everything that may be refused
  bool broken = false;                     // version() throws
  mutable std::vector<std::string> calls;  // "drain web 10.0.0.11:8080 -"
  mutable std::vector<std::pair<std::string, std::string>> query;
  mutable ConfigText checked;

  [[nodiscard]] Version version() const override {
    if (broken) throw std::runtime_error("broken on purpose");
    return canned.version;
  }
  [[nodiscard]] Status status() const override {
    ++status_calls;
    return canned;
  }
  [[nodiscard]] std::vector<ServiceReport> services() const override { return canned.services; }
  [[nodiscard]] Result<FlowList> flows(const std::vector<std::pair<std::string, std::string>>& q) const override {
    query = q;
    if (refusal) return tl::make_unexpected(*refusal);
    return flow_list;
  }
  [[nodiscard]] StatsReport stats() const override { return samples[std::min(sampled_++, samples.size() - 1)]; }
  Result<BackendChangeResult> drain(const BackendChange& change) override { return apply("drain", change); }
  Result<BackendChangeResult> disable(const BackendChange& change) override { return apply("disable", change); }
  Result<BackendChangeResult> force(const BackendChange& change) override { return apply("force", change); }
  Result<BackendChangeResult> enable(const BackendChange& change) override { return apply("enable", change); }
  Result<BackendChangeResult> set_weight(const BackendChange& change) override { return apply("weight", change); }
  [[nodiscard]] ConfigCheck check_config(const ConfigText& text) const override {
    checked = text;
    return check;
  }
  [[nodiscard]] ConfigDiff diff_config() const override { return diff; }
  Result<ConfigApplied> apply_config() override {
    calls.emplace_back("apply");
    if (refusal) return tl::make_unexpected(*refusal);
    return applied;
  }
  Result<ConfigPush> push_config(const ConfigPushRequest& request) override {
    calls.emplace_back(request.dry_run ? "push dry" : "push");
    if (refusal) return tl::make_unexpected(*refusal);
    return pushes.front();
  }
  [[nodiscard]] ConfigPush config_push() const override { return pushes[std::min(asked_++, pushes.size() - 1)]; }

  [[nodiscard]] Result<HaReport> ha() const override {
    if (canned.ha) return *canned.ha;
    return fail(ErrorKind::not_found, "the configuration has no `ha`: this router is the only one");
  }
  Result<HaReport> release_ha() override {
    calls.emplace_back("ha release");
    return ha();
  }
  Result<HaReport> resume_ha() override {
    calls.emplace_back("ha resume");
    return ha();
  }

 private:
  // Answers with the canned backends that the change names; finds none as lvsd does.
  Result<BackendChangeResult> apply(const std::string& verb, const BackendChange& change) {
    const std::string weight = change.weight ? std::to_string(*change.weight) : "-";
    calls.push_back(verb + " " + change.service.value_or("*") + " " + change.address + " " + weight);
    if (change.forced) calls.back() += " " + *change.forced;
    if (!change.reason.empty()) calls.back() += " (" + change.reason + ")";
    if (refusal) return tl::make_unexpected(*refusal);
    BackendChangeResult result;
    result.changed = changed;
    for (const ServiceReport& service : canned.services) {
      for (const BackendReport& backend : service.backends) {
        if (backend.address == change.address && service.name == change.service.value_or(service.name)) {
          result.backends.push_back(backend);
        }
      }
    }
    if (result.backends.empty()) return fail(ErrorKind::not_found, "no backend has the address {}", change.address);
    return result;
  }

  mutable std::size_t sampled_ = 0;
  mutable std::size_t asked_ = 0;
};

}  // namespace xlvs::control
