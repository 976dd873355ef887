// SPDX-License-Identifier: Apache-2.0
// Checks that go to a VIP on a backend: bpf/check_path.h says how.
#include <sys/socket.h>

#include "dataplane/egress.h"
#include "dataplane/encode.h"
#include "dataplane/xdp_dataplane.h"

namespace xlvs::dataplane {
namespace {

struct RealPlace {
  std::string_view map;
  lvs_key4 v4{};
  lvs_key6 v6{};
  [[nodiscard]] const void* key() const { return map == "reals4" ? static_cast<const void*>(&v4) : &v6; }
};

RealPlace place_of(const ViaCheck& check, Protocol protocol) {
  const auto number = static_cast<std::uint8_t>(protocol);
  if (check.vip.is_v4()) return {"reals4", key4(check.vip, check.port, number), {}};
  return {"reals6", {}, key6(check.vip, check.port, number)};
}

lvs_via encode_via(const IpAddress& vip) {
  lvs_via via{};
  encode_address(vip, via.addr);
  via.family = vip.is_v4() ? AF_INET : AF_INET6;
  return via;
}

}  // namespace

Result<void> XdpDataplane::put_via_check(const ViaCheck& check) {
  const lvs_via via = encode_via(check.vip);
  if (auto done = maps_.put("via", &check.mark, &via); !done) return done;
  lvs_real answer{};
  answer.backend = LVS_MAX_BACKENDS;
  answer.flags = LVS_REAL_CHECK;
  for (const Protocol protocol : {Protocol::tcp, Protocol::udp}) {
    const RealPlace place = place_of(check, protocol);
    if (auto done = maps_.put(place.map, place.key(), &answer); !done) return done;
  }
  return {};
}

void XdpDataplane::erase_via_check(const ViaCheck& check) {
  for (const Protocol protocol : {Protocol::tcp, Protocol::udp}) {
    const RealPlace place = place_of(check, protocol);
    maps_.erase(place.map, place.key());
  }
}

// Of an earlier lvsd: what it left in the maps counts as ours, and is compared with what is wanted.
void XdpDataplane::adopt_via_checks() {
  if (!maps_.has("via")) return;
  std::map<IpAddress, std::uint32_t> marks;
  for (const auto& [mark, via] : maps_.entries<std::uint32_t, lvs_via>("via"))
    marks[decode_address(via.addr, via.family == AF_INET ? Family::ipv4 : Family::ipv6)] = mark;
  const auto adopt_key = [&](const IpAddress& vip, __be16 port) {
    const auto mark = marks.find(vip);
    via_.insert({mark == marks.end() ? 0 : mark->second, vip, decode_port(port)});
  };
  for (const auto& [key, real] : maps_.entries<lvs_key4, lvs_real>("reals4"))
    if ((real.flags & LVS_REAL_CHECK) != 0) adopt_key(decode_address4(key.addr), key.port);
  for (const auto& [key, real] : maps_.entries<lvs_key6, lvs_real>("reals6"))
    if ((real.flags & LVS_REAL_CHECK) != 0) adopt_key(decode_address(key.addr, Family::ipv6), key.port);
}

// The program that is attached may be an earlier build's.
Result<void> XdpDataplane::attach_check_program(unsigned ifindex, const std::string& interface) {
  if (!check_program_.valid() || !maps_.has("via"))
    return fail(ErrorKind::unsupported, "the XDP program that runs is too old for checks with via: vip");
  return attach_egress(ifindex, interface, check_program_.get());
}

Result<void> XdpDataplane::set_via_checks(const std::set<ViaCheck>& checks) {
  const bool was_on = via_on_;
  std::vector<unsigned> attached;
  const auto undo = [&](const Error& error) {
    for (const unsigned ifindex : attached)
      if (!was_on) detach_egress(ifindex);
    return tl::make_unexpected(error);
  };
  for (const auto& [name, port] : ports_) {
    if (checks.empty()) continue;
    if (auto done = attach_check_program(port.status.ifindex, name); !done) return undo(done.error());
    attached.push_back(port.status.ifindex);
  }
  for (const ViaCheck& check : checks) {
    if (via_.contains(check)) continue;
    if (auto done = put_via_check(check); !done) return undo(done.error());
    via_.insert(check);
  }
  std::set<std::uint32_t> marks;
  std::set<std::pair<IpAddress, std::uint16_t>> places;
  for (const ViaCheck& check : checks) {
    marks.insert(check.mark);
    places.emplace(check.vip, check.port);
  }
  for (const ViaCheck& check : via_) {
    if (!places.contains({check.vip, check.port})) erase_via_check(check);
    if (!marks.contains(check.mark)) maps_.erase("via", &check.mark);
  }
  via_ = checks;
  via_on_ = !checks.empty();
  if (via_on_) return {};
  for (const auto& [name, port] : ports_) detach_egress(port.status.ifindex);
  return {};
}

}  // namespace xlvs::dataplane
