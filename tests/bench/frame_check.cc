// SPDX-License-Identifier: Apache-2.0
#include "frame_check.h"

#include <cstddef>
#include <span>
#include <string_view>

namespace xlvs::bench {
namespace {

constexpr std::size_t kIp = 14;

class Reader {
 public:
  explicit Reader(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
  [[nodiscard]] std::uint32_t u8(std::size_t at) const { return bytes_[at]; }
  [[nodiscard]] std::uint32_t u16(std::size_t at) const { return u8(at) << 8U | u8(at + 1); }
  [[nodiscard]] std::uint32_t u32(std::size_t at) const { return u16(at) << 16U | u16(at + 2); }
  [[nodiscard]] std::uint64_t sum(std::size_t from, std::size_t to) const {
    std::uint64_t sum = 0;
    for (std::size_t at = from; at < to; at += 2) sum += u16(at);
    return sum;
  }

 private:
  std::span<const std::uint8_t> bytes_;
};

bool sums_to_zero(std::uint64_t sum) {
  while (sum > 0xffff) sum = (sum & 0xffffU) + (sum >> 16U);
  return sum == 0xffff;
}

struct Layout {
  std::size_t source, destination, hop_limit, l4, end;  // offsets; the last 32 bits of the addresses
};

Layout layout_of(const Reader& in, bool ipv6) {
  if (ipv6) return {kIp + 20, kIp + 36, kIp + 7, kIp + 40, kIp + 40 + in.u16(kIp + 4)};
  return {kIp + 12, kIp + 16, kIp + 8, kIp + 20, kIp + in.u16(kIp + 2)};
}

bool checksums_hold(const Reader& in, const Layout& at, const bench_spec& spec) {
  if (spec.ipv6 == 0 && !sums_to_zero(in.sum(kIp, at.l4))) return false;
  const std::size_t addresses = spec.ipv6 != 0 ? kIp + 8 : kIp + 12;
  return sums_to_zero(in.sum(addresses, at.l4) + spec.protocol + (at.end - at.l4) + in.sum(at.l4, at.end));
}

std::string_view fault(const Reader& in, const Layout& at, const bench_spec& spec, Rewrite rewrite) {
  const bool reply = rewrite == Rewrite::reply;
  const std::uint32_t source = in.u32(at.source);
  const std::uint32_t destination = in.u32(at.destination);
  const bool from_vip = source == BENCH_VIP4 && in.u16(at.l4) == BENCH_VIP_PORT;
  const bool to_vip = destination == BENCH_VIP4 && in.u16(at.l4 + 2) == BENCH_VIP_PORT;
  const bool to_backend = destination - BENCH_BACKEND4 <= spec.backend_mask && in.u16(at.l4 + 2) == spec.backend_port;
  if (in.u16(0) != 0x0200 || in.u8(4) != (reply ? 0x00 : 0x01)) return "the destination MAC";
  if (in.u32(6) != 0x02000000 || in.u16(10) != 0x0001) return "the source MAC";
  if (in.u8(at.hop_limit) != 63) return "the TTL or hop limit";
  if (rewrite == Rewrite::dr && !to_vip) return "the destination, which must stay the VIP";
  if (rewrite == Rewrite::nat && !to_backend) return "the destination, which must be a backend";
  if (reply && !from_vip) return "the source, which must be the VIP";
  if (!checksums_hold(in, at, spec)) return "a checksum";
  return {};
}

}  // namespace

Result<void> check_frame(const std::vector<std::uint8_t>& frame, const bench_spec& spec, Rewrite rewrite) {
  const Reader in(frame);
  if (frame.size() < (spec.ipv6 != 0 ? BENCH_FRAME6 : BENCH_FRAME4))
    return fail(ErrorKind::unavailable, "the program shortened a frame to {} bytes", frame.size());
  const Layout at = layout_of(in, spec.ipv6 != 0);
  if (at.end > frame.size()) return fail(ErrorKind::unavailable, "the program broke a length field");
  const std::string_view wrong = fault(in, at, spec, rewrite);
  if (!wrong.empty()) return fail(ErrorKind::unavailable, "the program got this wrong in a frame: {}", wrong);
  return {};
}

}  // namespace xlvs::bench
