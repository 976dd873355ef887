// SPDX-License-Identifier: Apache-2.0
#include "health/icmp_echo.h"

namespace xlvs::health {
namespace {

constexpr std::size_t kHeader = 8;  // type, code, checksum, id, sequence
constexpr int kRequest4 = 8;
constexpr int kReply4 = 0;
constexpr int kRequest6 = 128;
constexpr int kReply6 = 129;

int byte(std::string_view bytes, std::size_t at) {
  return static_cast<unsigned char>(bytes[at]);
}

std::uint16_t read16(std::string_view bytes, std::size_t at) {
  return static_cast<std::uint16_t>(byte(bytes, at) << 8 | byte(bytes, at + 1));
}

void write16(std::string& bytes, std::size_t at, unsigned value) {
  bytes[at] = static_cast<char>(value >> 8 & 0xff);
  bytes[at + 1] = static_cast<char>(value & 0xff);
}

std::uint16_t internet_checksum(std::string_view bytes) {  // RFC 1071
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i)
    sum += static_cast<std::uint32_t>(byte(bytes, i)) << (i % 2 == 0 ? 8 : 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

std::optional<Echo> read(std::string_view message, int type) {
  if (message.size() < kHeader || byte(message, 0) != type || byte(message, 1) != 0) return std::nullopt;
  return Echo{read16(message, 4), read16(message, 6), std::string(message.substr(kHeader))};
}

}  // namespace

std::string make_echo_request(Family family, const Echo& echo) {
  std::string message(kHeader, '\0');
  message[0] = static_cast<char>(family == Family::ipv4 ? kRequest4 : kRequest6);
  write16(message, 4, echo.id);
  write16(message, 6, echo.sequence);
  message += echo.payload;
  if (family == Family::ipv4) write16(message, 2, internet_checksum(message));
  return message;
}

std::optional<Echo> read_echo_reply(Family family, std::string_view message) {
  return read(message, family == Family::ipv4 ? kReply4 : kReply6);
}

std::optional<Echo> read_quoted_request(Family family, std::string_view message) {
  return read(message, family == Family::ipv4 ? kRequest4 : kRequest6);
}

std::optional<std::string_view> skip_ipv4_header(std::string_view packet) {
  constexpr std::size_t kLeast = 20;
  if (packet.size() < kLeast || byte(packet, 0) >> 4 != 4) return std::nullopt;
  const std::size_t length = static_cast<std::size_t>(byte(packet, 0) & 0xf) * 4;
  if (length < kLeast || length > packet.size()) return std::nullopt;
  return packet.substr(length);
}

}  // namespace xlvs::health
