// SPDX-License-Identifier: Apache-2.0
#include "core/ip.h"

#include <algorithm>
#include <charconv>
#include <iterator>

#include <arpa/inet.h>

namespace xlvs {
namespace {

// A longest run of two or more zero groups, as RFC 5952 wants it shortened: [first, last), empty when there is none.
std::pair<std::size_t, std::size_t> longest_zero_run(const std::array<unsigned, 8>& groups) {
  std::pair<std::size_t, std::size_t> best{0, 0};
  for (std::size_t i = 0; i < groups.size();) {
    std::size_t end = i;
    while (end < groups.size() && groups[end] == 0) ++end;
    if (end - i > best.second - best.first) best = {i, end};
    i = std::max(end, i + 1);
  }
  return best.second - best.first >= 2 ? best : std::pair<std::size_t, std::size_t>{0, 0};
}

std::string format_v6(std::span<const std::uint8_t> bytes) {
  std::array<unsigned, 8> groups{};
  for (std::size_t i = 0; i < groups.size(); ++i) groups[i] = bytes[2 * i] * 256U + bytes[2 * i + 1];
  const auto [first, last] = longest_zero_run(groups);
  std::string text;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    if (first != last && i == first) {
      text += "::";
      i = last - 1;
      continue;
    }
    if (!text.empty() && text.back() != ':') text += ':';
    fmt::format_to(std::back_inserter(text), "{:x}", groups[i]);
  }
  return text;
}

bool is_mapped_v4(const std::array<std::uint8_t, 16>& bytes) {
  return std::all_of(bytes.begin(), bytes.begin() + 10, [](std::uint8_t b) { return b == 0; }) && bytes[10] == 0xff &&
         bytes[11] == 0xff;
}

Result<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size() || port == 0)
    return fail(ErrorKind::invalid, "'{}' is not a port (1..65535)", text);
  return port;
}

Result<Protocol> parse_protocol(std::string_view text) {
  if (text == "tcp") return Protocol::tcp;
  if (text == "udp") return Protocol::udp;
  return fail(ErrorKind::invalid, "unknown protocol '{}' (valid: tcp, udp)", text);
}

}  // namespace

std::string_view to_string(Family family) {
  return family == Family::ipv4 ? "ipv4" : "ipv6";
}
std::string_view to_string(Protocol protocol) {
  return protocol == Protocol::tcp ? "tcp" : "udp";
}

Result<IpAddress> IpAddress::parse(std::string_view text) {
  // inet_pton wants a terminated string: a NUL inside would hide what follows it.
  if (text.size() < INET6_ADDRSTRLEN && text.find('\0') == std::string_view::npos) {
    const std::string terminated{text};
    std::array<std::uint8_t, 4> four{};
    if (inet_pton(AF_INET, terminated.c_str(), four.data()) == 1) return v4(four);
    std::array<std::uint8_t, 16> sixteen{};
    if (inet_pton(AF_INET6, terminated.c_str(), sixteen.data()) == 1) {
      if (is_mapped_v4(sixteen))
        return fail(ErrorKind::invalid, "'{}' is an IPv4-mapped address: write it as IPv4", text);
      return v6(sixteen);
    }
  }
  if (text.find('/') != std::string_view::npos)
    return fail(ErrorKind::invalid, "'{}' is not an address: leave out the prefix length", text);
  if (text.find('%') != std::string_view::npos)
    return fail(ErrorKind::invalid, "'{}' is not an address: zones are not supported", text);
  return fail(ErrorKind::invalid, "'{}' is not an IPv4 or IPv6 address", text);
}

IpAddress IpAddress::v4(std::array<std::uint8_t, 4> bytes) {
  IpAddress address;
  std::copy(bytes.begin(), bytes.end(), address.bytes_.begin());
  return address;
}

IpAddress IpAddress::v6(const std::array<std::uint8_t, 16>& bytes) {
  IpAddress address;
  address.family_ = Family::ipv6;
  address.bytes_ = bytes;
  return address;
}

bool IpAddress::is_unicast() const {
  const auto all = bytes();
  const auto every = [&](std::uint8_t value) {
    return std::all_of(all.begin(), all.end(), [&](std::uint8_t b) { return b == value; });
  };
  if (every(0)) return false;
  if (is_v6()) return bytes_[0] != 0xff;
  return (bytes_[0] & 0xf0) != 0xe0 && !every(0xff);
}

std::string IpAddress::to_string() const {
  if (is_v4()) return fmt::format("{}.{}.{}.{}", bytes_[0], bytes_[1], bytes_[2], bytes_[3]);
  return format_v6(bytes());
}

Result<Endpoint> Endpoint::parse(std::string_view text) {
  std::string_view address;
  std::string_view port;
  if (text.starts_with('[')) {
    const std::size_t close = text.find("]:");
    if (close == std::string_view::npos)
      return fail(ErrorKind::invalid, "'{}' is not an address and port, such as [2001:db8::1]:80", text);
    address = text.substr(1, close - 1);
    port = text.substr(close + 2);
  } else {
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos)
      return fail(ErrorKind::invalid, "'{}' has no port: write it as 10.0.0.1:80 or [2001:db8::1]:80", text);
    address = text.substr(0, colon);
    port = text.substr(colon + 1);
    if (address.find(':') != std::string_view::npos)
      return fail(ErrorKind::invalid, "'{}': an IPv6 address with a port needs brackets: [2001:db8::1]:80", text);
  }
  const bool brackets = text.starts_with('[');
  const auto parsed_address = IpAddress::parse(address);
  if (!parsed_address) return tl::make_unexpected(parsed_address.error());
  if (brackets != parsed_address->is_v6())
    return fail(ErrorKind::invalid, "'{}': brackets are for IPv6 addresses only", text);
  const auto parsed_port = parse_port(port);
  if (!parsed_port) return tl::make_unexpected(parsed_port.error());
  return Endpoint{*parsed_address, *parsed_port};
}

std::string Endpoint::to_string() const {
  if (address.is_v6()) return fmt::format("[{}]:{}", address.to_string(), port);
  return fmt::format("{}:{}", address.to_string(), port);
}

Result<Listener> Listener::parse(std::string_view text) {
  const std::size_t slash = text.rfind('/');
  if (slash == std::string_view::npos)
    return fail(ErrorKind::invalid, "'{}' has no protocol: append /tcp or /udp", text);
  const auto protocol = parse_protocol(text.substr(slash + 1));
  if (!protocol) return tl::make_unexpected(protocol.error());
  const auto endpoint = Endpoint::parse(text.substr(0, slash));
  if (!endpoint) return tl::make_unexpected(endpoint.error());
  return Listener{endpoint->address, endpoint->port, *protocol};
}

std::string Listener::to_string() const {
  return fmt::format("{}/{}", Endpoint{address, port}.to_string(), xlvs::to_string(protocol));
}

std::string MacAddress::to_string() const {
  return fmt::format("{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", bytes[0], bytes[1], bytes[2], bytes[3], bytes[4],
                     bytes[5]);
}

}  // namespace xlvs

std::size_t std::hash<xlvs::IpAddress>::operator()(const xlvs::IpAddress& address) const noexcept {
  const auto bytes = address.bytes();
  return std::hash<std::string_view>{}({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

std::size_t std::hash<xlvs::Endpoint>::operator()(const xlvs::Endpoint& endpoint) const noexcept {
  return std::hash<xlvs::IpAddress>{}(endpoint.address) * 31 + endpoint.port;
}
