// SPDX-License-Identifier: Apache-2.0
#include "config/hash.h"

#include <algorithm>
#include <array>
#include <map>

#include <fmt/format.h>
#include <openssl/sha.h>

#include "config/fields.h"

namespace xlvs::config {
namespace {

// Lengths go before texts, so that no text can pass for the end of one and the beginning of another.
void append(std::string& canonical, std::string_view text) {
  canonical += fmt::format("{}:{},", text.size(), text);
}

void append(std::string& canonical, const Fields& fields) {
  append(canonical, std::to_string(fields.size()));
  for (const auto& [name, value] : fields) {
    append(canonical, name);
    append(canonical, value);
  }
}

}  // namespace

std::string meaning_hash(const Config& config) {
  std::string canonical;
  append(canonical, global_fields(config));
  std::map<std::string, const InterfaceConfig*> interfaces;
  for (const InterfaceConfig& interface : config.interfaces) interfaces.emplace(interface.name, &interface);
  for (const auto& [name, interface] : interfaces)
    append(canonical,
           fmt::format("interface {} {}{}", name, to_string(interface->mode), interface->optional ? " optional" : ""));
  std::map<std::string_view, const ServiceConfig*> services;
  for (const ServiceConfig& service : config.services) services.emplace(service.name, &service);
  for (const auto& [name, service] : services) {
    append(canonical, name);
    append(canonical, service_fields(*service));
    for (const BackendConfig& backend : service->backends) {
      append(canonical, backend.endpoint().to_string());
      append(canonical, backend_fields(backend));
    }
    for (const BackendConfig& backend : service->named) {
      append(canonical, fmt::format("{}:{}", backend.host, backend.port));
      append(canonical, backend_fields(backend));
    }
  }
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(canonical.data()), canonical.size(), digest.data());
  std::string hex;
  for (const unsigned char byte : digest) hex += fmt::format("{:02x}", byte);
  return hex;
}

std::string shared_hash(Config config) {
  const Config usual;
  config.limits = usual.limits;
  config.interfaces.clear();
  config.vip_interface = usual.vip_interface;
  config.metrics = usual.metrics;
  config.log_level = usual.log_level;
  config.hooks.clear();
  config.maintenance_dir.clear();
  config.max_programs = usual.max_programs;
  config.check_mark = usual.check_mark;
  config.socket_group.clear();
  if (config.ha) {
    const VrrpInstanceConfig standard;
    for (VrrpInstanceConfig& instance : config.ha->instances) {
      instance.interface.clear();
      instance.priority = standard.priority;
      instance.peers.clear();
    }
    config.ha->track.clear();
    if (config.ha->peer) {
      config.ha->peer->local = config.ha->peer->address = {};
      config.ha->peer->key_file.clear();
      config.ha->peer->accept_config = false;
    }
  }
  return meaning_hash(config);
}

}  // namespace xlvs::config
