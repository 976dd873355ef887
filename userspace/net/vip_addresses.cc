// SPDX-License-Identifier: Apache-2.0
#include <cerrno>

#include "net/net.h"
#include "net/netlink.h"

namespace xlvs::net {
namespace {

// IFA_PROTO of the addresses of lvsd, from the range that the kernel leaves to users. For people with a debugger; what
// is ours is remembered, not read from here.
constexpr std::uint8_t kAddressProtocol = 119;

// Scope global, as keepalived does for VIPs: a kernel with arp_ignore=3 does not answer ARP for scope-host addresses.
// IPv6 VIPs are deprecated from the start (preferred lifetime 0), so the kernel never picks one as the source of the
// host's own connections (RFC 6724 rule 3) while it still accepts what is sent to them.
void describe(Message& message, const IpAddress& address, unsigned ifindex) {
  auto& header = message.header<ifaddrmsg>();
  header.ifa_family = address.is_v4() ? AF_INET : AF_INET6;
  header.ifa_prefixlen = address.is_v4() ? 32 : 128;
  header.ifa_scope = RT_SCOPE_UNIVERSE;
  header.ifa_flags = address.is_v6() ? IFA_F_NODAD : 0;
  header.ifa_index = ifindex;
  message.put(IFA_LOCAL, address);
  message.put(IFA_ADDRESS, address);
}

std::optional<NetlinkError> add(NetlinkSocket& socket, const IpAddress& address, unsigned ifindex) {
  Message message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
  describe(message, address, ifindex);
  message.put(IFA_PROTO, kAddressProtocol);
  if (address.is_v6()) {
    ifa_cacheinfo lifetime{};
    lifetime.ifa_valid = 0xffffffff;  // for ever
    message.put(IFA_CACHEINFO, &lifetime, sizeof lifetime);
  }
  return socket.request(message);
}

std::optional<NetlinkError> remove(NetlinkSocket& socket, const IpAddress& address, unsigned ifindex) {
  Message message(RTM_DELADDR, 0);
  describe(message, address, ifindex);
  auto failed = socket.request(message);
  if (failed && failed->code == EADDRNOTAVAIL) failed.reset();  // somebody else removed it already
  return failed;
}

Error failure(const char* what, const IpAddress& address, const std::string& interface, const NetlinkError& error) {
  const bool denied = error.code == EPERM;
  return {denied ? ErrorKind::permission : ErrorKind::unavailable,
          fmt::format("{} VIP {} on interface {}: {}{}", what, address.to_string(), interface, error.text,
                      denied ? " (CAP_NET_ADMIN is needed)" : "")};
}

}  // namespace

VipAddresses::VipAddresses(std::string interface) : interface_(std::move(interface)) {}

Result<void> VipAddresses::set(const std::set<IpAddress>& wanted, const std::set<IpAddress>& adopted) {
  owned_.insert(adopted.begin(), adopted.end());
  facts_ = {};
  const auto link = find_link(interface_);
  if (!link) return tl::make_unexpected(link.error().in("VIP addresses"));
  auto socket = NetlinkSocket::open();
  if (!socket) return tl::make_unexpected(socket.error());

  const auto there = dump_addresses(*socket, link->ifindex);
  if (!there) return tl::make_unexpected(there.error().in(interface_));

  std::optional<Error> first;  // one address that fails must not keep the others away
  for (const IpAddress& address : wanted) {
    if (there->contains(address)) {
      facts_.present.insert(address);
      continue;
    }
    const auto failed = add(*socket, address, link->ifindex);
    if (failed && failed->code != EEXIST) {
      if (!first) first = failure("adding", address, interface_, *failed);
      continue;
    }
    facts_.present.insert(address);
    if (!failed && !owned_.insert(address).second) facts_.restored.insert(address);
  }
  for (auto it = owned_.begin(); it != owned_.end();) {
    if (wanted.contains(*it)) {
      ++it;
    } else if (const auto failed = remove(*socket, *it, link->ifindex)) {
      if (!first) first = failure("removing", *it, interface_, *failed);
      ++it;  // still ours: the next set() tries again
    } else {
      it = owned_.erase(it);
    }
  }
  if (first) return tl::make_unexpected(*first);
  return {};
}

void VipAddresses::remove_all() {
  const auto link = find_link(interface_);
  auto socket = NetlinkSocket::open();
  if (!link || !socket) return;  // no interface: its addresses are gone with it
  for (const IpAddress& address : owned_) remove(*socket, address, link->ifindex);
  owned_.clear();
}

}  // namespace xlvs::net
