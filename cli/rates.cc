// SPDX-License-Identifier: Apache-2.0
#include "cli/rates.h"

#include <algorithm>

namespace xlvs::cli {
namespace {

using control::BackendReport;
using control::Json;
using control::ReasonReport;
using control::ServiceReport;
using control::StatsReport;
using control::Traffic;

std::optional<double> rate(std::uint64_t before, std::uint64_t after, double seconds) {
  if (after < before) return std::nullopt;
  return static_cast<double>(after - before) / seconds;
}

TrafficRate traffic_rate(const Traffic* before, const Traffic& after, double seconds) {
  if (before == nullptr) return {};
  return {rate(before->flows, after.flows, seconds), rate(before->in_packets, after.in_packets, seconds),
          rate(before->in_bytes, after.in_bytes, seconds), rate(before->out_packets, after.out_packets, seconds),
          rate(before->out_bytes, after.out_bytes, seconds)};
}

template <typename T>
const T* find(const std::vector<T>& all, std::string T::* key, const std::string& value) {
  const auto found = std::find_if(all.begin(), all.end(), [&](const T& one) { return one.*key == value; });
  return found == all.end() ? nullptr : &*found;
}

ServiceRate service_rate(const ServiceReport* before, const ServiceReport& after, double seconds) {
  ServiceRate result{after.name, traffic_rate(before ? &before->traffic : nullptr, after.traffic, seconds), {}};
  for (const BackendReport& backend : after.backends) {
    const auto* old = before ? find(before->backends, &BackendReport::address, backend.address) : nullptr;
    result.backends.push_back({backend.address, traffic_rate(old ? &old->traffic : nullptr, backend.traffic, seconds)});
  }
  return result;
}

Json number(const std::optional<double>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json traffic_json(const TrafficRate& rate) {
  return {{"flows", number(rate.flows)},
          {"in_packets", number(rate.in_packets)},
          {"in_bytes", number(rate.in_bytes)},
          {"out_packets", number(rate.out_packets)},
          {"out_bytes", number(rate.out_bytes)}};
}

}  // namespace

Result<Rates> rates_between(const StatsReport& before, const StatsReport& after) {
  const double seconds = after.at - before.at;
  if (!(seconds > 0)) return fail(ErrorKind::invalid, "lvsd's clock did not advance between two samples");
  Rates rates{before.at, after.at, {}, {}};
  for (const ServiceReport& service : after.services) {
    rates.services.push_back(service_rate(find(before.services, &ServiceReport::name, service.name), service, seconds));
  }
  for (const ReasonReport& reason : after.reasons) {
    const auto* old = find(before.reasons, &ReasonReport::name, reason.name);
    rates.reasons.push_back(
        {reason.name, reason.verdict, reason.text, old ? rate(old->packets, reason.packets, seconds) : std::nullopt});
  }
  return rates;
}

Json to_json(const Rates& rates) {
  Json services = Json::array();
  for (const ServiceRate& service : rates.services) {
    Json backends = Json::array();
    for (const BackendRate& backend : service.backends) {
      backends.push_back({{"address", backend.address}, {"per_second", traffic_json(backend.rate)}});
    }
    services.push_back(
        {{"name", service.name}, {"per_second", traffic_json(service.rate)}, {"backends", std::move(backends)}});
  }
  Json reasons = Json::array();
  for (const ReasonRate& reason : rates.reasons) {
    reasons.push_back(
        {{"name", reason.name}, {"verdict", reason.verdict}, {"packets_per_second", number(reason.packets)}});
  }
  return {{"from", rates.from},
          {"to", rates.to},
          {"seconds", rates.to - rates.from},
          {"services", std::move(services)},
          {"reasons", std::move(reasons)}};
}

}  // namespace xlvs::cli
