// SPDX-License-Identifier: Apache-2.0
#include "health/grpc_message.h"

#include <optional>

namespace xlvs::health {
namespace {

constexpr std::size_t kFrameHeader = 5;  // one byte of flags, four of the length
constexpr unsigned kVarint = 0;          // protobuf's wire types
constexpr unsigned kFixed64 = 1;
constexpr unsigned kBytes = 2;
constexpr unsigned kFixed32 = 5;

void put_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>((value & 0x7f) | 0x80);
  out += static_cast<char>(value);
}

// Takes a varint off `data`; nullopt: there is none, or it has more than 64 bits.
std::optional<std::uint64_t> take_varint(std::string_view& data) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64 && !data.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(data.front());
    data.remove_prefix(1);
    if (shift == 63 && byte > 1) return std::nullopt;
    value |= std::uint64_t{byte & 0x7fU} << shift;
    if (byte < 0x80) return value;
  }
  return std::nullopt;
}

bool skip(std::string_view& data, std::uint64_t length) {
  if (length > data.size()) return false;
  data.remove_prefix(length);
  return true;
}

// Passes over a field's value.
bool skip_value(std::string_view& data, unsigned wire_type) {
  switch (wire_type) {
    case kVarint:
      return take_varint(data).has_value();
    case kFixed64:
      return skip(data, 8);
    case kFixed32:
      return skip(data, 4);
    case kBytes: {
      const auto length = take_varint(data);
      return length && skip(data, *length);
    }
    default:
      return false;
  }
}

}  // namespace

std::string make_grpc_health_request(std::string_view service) {
  std::string message;
  if (!service.empty()) {  // an empty string is the same as none
    message += static_cast<char>(1 << 3 | kBytes);
    put_varint(message, service.size());
    message += service;
  }
  std::string framed(1, '\0');
  for (int shift = 24; shift >= 0; shift -= 8) framed += static_cast<char>(message.size() >> shift & 0xff);
  return framed + message;
}

Result<std::uint64_t> read_grpc_health_reply(std::string_view body) {
  const auto wrong = [](std::string_view what) { return fail(ErrorKind::invalid, "no gRPC health reply: {}", what); };
  if (body.size() < kFrameHeader) return wrong("it is cut short");
  if (body[0] != '\0') return wrong("it is compressed, which was not asked for");
  std::size_t length = 0;
  for (std::size_t i = 1; i < kFrameHeader; ++i) length = length << 8 | static_cast<unsigned char>(body[i]);
  body.remove_prefix(kFrameHeader);
  if (length != body.size()) return wrong(fmt::format("{} bytes instead of one message of {}", body.size(), length));
  std::uint64_t status = 0;
  while (!body.empty()) {
    const auto tag = take_varint(body);
    if (!tag || *tag >> 3 == 0) return wrong("a field can not be read");
    const auto wire_type = static_cast<unsigned>(*tag & 7);
    if (*tag >> 3 == 1 && wire_type == kVarint) {
      const auto value = take_varint(body);
      if (!value) return wrong("the status can not be read");
      status = *value;
    } else if (!skip_value(body, wire_type)) {
      return wrong("a field can not be read");
    }
  }
  return status;
}

}  // namespace xlvs::health
