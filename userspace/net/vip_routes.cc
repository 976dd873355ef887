// SPDX-License-Identifier: Apache-2.0
#include <cerrno>

#include "net/net.h"
#include "net/netlink.h"

namespace xlvs::net {
namespace {

// Blackhole: a route through an interface would go with it, and what a mistaken rule sends here should not circle.
void describe(Message& message, const IpAddress& address, std::uint32_t table) {
  auto& header = message.header<rtmsg>();
  header.rtm_family = address.is_v4() ? AF_INET : AF_INET6;
  header.rtm_dst_len = address.is_v4() ? 32 : 128;
  header.rtm_table = RT_TABLE_UNSPEC;  // RTA_TABLE has it
  header.rtm_protocol = kVipRouteProtocol;
  header.rtm_scope = RT_SCOPE_UNIVERSE;
  header.rtm_type = RTN_BLACKHOLE;
  message.put(RTA_DST, address);
  message.put(RTA_TABLE, table);
}

std::optional<NetlinkError> add(NetlinkSocket& socket, const IpAddress& address, std::uint32_t table, int flags) {
  Message message(RTM_NEWROUTE, static_cast<std::uint16_t>(NLM_F_CREATE | flags));
  describe(message, address, table);
  return socket.request(message);
}

std::optional<NetlinkError> remove(NetlinkSocket& socket, const IpAddress& address, std::uint32_t table) {
  Message message(RTM_DELROUTE, 0);
  describe(message, address, table);
  auto failed = socket.request(message);
  if (failed && failed->code == ESRCH) failed.reset();  // somebody else removed it already
  return failed;
}

Error failure(const char* what, const IpAddress& address, std::uint32_t table, const NetlinkError& error) {
  const bool denied = error.code == EPERM;
  return {denied ? ErrorKind::permission : ErrorKind::unavailable,
          fmt::format("{} the route that announces {} in table {}: {}{}", what, address.to_string(), table, error.text,
                      denied ? " (CAP_NET_ADMIN is needed)" : "")};
}

}  // namespace

Result<void> VipRoutes::set(const std::set<IpAddress>& wanted, const std::set<IpAddress>& adopted) {
  owned_.insert(adopted.begin(), adopted.end());
  auto socket = NetlinkSocket::open();
  if (!socket) return tl::make_unexpected(socket.error());

  facts_ = {};
  const auto there = dump_vip_routes(*socket, table_);
  if (!there) return tl::make_unexpected(there.error());

  std::optional<Error> first;  // one address that fails must not keep the others away
  for (const IpAddress& address : wanted) {
    const bool present = there->contains(address);
    // What is there already is replaced only when it has to be: a routing daemon hears of that.
    const auto failed = present ? std::nullopt : add(*socket, address, table_, NLM_F_REPLACE);
    if (failed) {
      if (!first) first = failure("adding", address, table_, *failed);
      continue;
    }
    facts_.present.insert(address);
    if (!owned_.insert(address).second && !present) facts_.restored.insert(address);
  }
  for (auto it = owned_.begin(); it != owned_.end();) {
    if (wanted.contains(*it)) {
      ++it;
    } else if (const auto failed = remove(*socket, *it, table_)) {
      if (!first) first = failure("removing", *it, table_, *failed);
      ++it;  // still ours: the next set() tries again
    } else {
      it = owned_.erase(it);
    }
  }
  if (first) return tl::make_unexpected(*first);
  return {};
}

}  // namespace xlvs::net
