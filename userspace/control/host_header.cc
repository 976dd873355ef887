// SPDX-License-Identifier: Apache-2.0
#include "control/host_header.h"

#include <strings.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <sstream>

#include <fmt/format.h>

#include "core/ip.h"

namespace xlvs::control {
namespace {

bool equal(const std::string& a, const std::string& b) {
  return strcasecmp(a.c_str(), b.c_str()) == 0;
}

std::string host_name() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

bool is_searched_domain(const std::string& domain) {
  std::ifstream file("/etc/resolv.conf");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string word;
    words >> word;
    if (word != "search" && word != "domain") continue;
    while (words >> word)
      if (equal(word, domain)) return true;
  }
  return false;
}

// Without its port and the brackets of IPv6.
std::string without_port(const std::string& host) {
  if (host.starts_with('[')) return host.substr(1, host.find(']') - 1);
  const std::size_t colon = host.find(':');
  return colon == std::string::npos || host.find(':', colon + 1) != std::string::npos ? host : host.substr(0, colon);
}

}  // namespace

bool is_own_name(const std::string& host) {
  std::string name = without_port(host);
  if (name.ends_with('.')) name.pop_back();
  if (name.empty() || equal(name, "localhost") || IpAddress::parse(name)) return true;
  const std::string own = host_name();
  if (equal(name, own)) return true;
  const std::string first = own.substr(0, own.find('.'));
  const std::size_t dot = name.find('.');
  if (first.empty() || !equal(name.substr(0, dot), first)) return false;
  return dot == std::string::npos || is_searched_domain(name.substr(dot + 1));
}

std::string foreign_host_message() {
  return fmt::format("this is not the host that the request is for: ask by address, localhost or {}", host_name());
}

}  // namespace xlvs::control
