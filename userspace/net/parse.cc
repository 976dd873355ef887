// SPDX-License-Identifier: Apache-2.0
// rtnetlink messages -> values. The kernel is trusted to be well-formed, but not to be as old or as new as this code:
// unknown attributes are skipped, missing and short ones leave the default.
#include <linux/if.h>
#include <linux/if_arp.h>

#include <array>
#include <cstring>

#include "net/attributes.h"
#include "net/netlink.h"

namespace xlvs::net {
namespace {

std::optional<std::uint32_t> read_u32(const nlattr* attribute) {
  if (attribute == nullptr || mnl_attr_get_payload_len(attribute) < sizeof(std::uint32_t)) return std::nullopt;
  return mnl_attr_get_u32(attribute);
}

std::optional<IpAddress> address_from(const void* bytes, std::size_t length) {
  if (length == 4) {
    std::array<std::uint8_t, 4> v4{};
    std::memcpy(v4.data(), bytes, v4.size());
    return IpAddress::v4(v4);
  }
  if (length == 16) {
    std::array<std::uint8_t, 16> v6{};
    std::memcpy(v6.data(), bytes, v6.size());
    return IpAddress::v6(v6);
  }
  return std::nullopt;
}

std::optional<IpAddress> read_address(const nlattr* attribute) {
  if (attribute == nullptr) return std::nullopt;
  return address_from(mnl_attr_get_payload(attribute), mnl_attr_get_payload_len(attribute));
}

std::optional<MacAddress> read_mac(const nlattr* attribute) {
  MacAddress mac;
  if (attribute == nullptr || mnl_attr_get_payload_len(attribute) != mac.bytes.size()) return std::nullopt;
  std::memcpy(mac.bytes.data(), mnl_attr_get_payload(attribute), mac.bytes.size());
  return mac;
}

// An IPv4 route through an IPv6 router (RFC 8950): struct rtvia, a family and the address.
std::optional<IpAddress> read_via(const nlattr* attribute) {
  if (attribute == nullptr || mnl_attr_get_payload_len(attribute) <= sizeof(rtvia)) return std::nullopt;
  const auto* via = static_cast<const rtvia*>(mnl_attr_get_payload(attribute));
  return address_from(via->rtvia_addr, mnl_attr_get_payload_len(attribute) - sizeof(rtvia));
}

}  // namespace

std::optional<LinkInfo> parse_link(const nlmsghdr* message) {
  if (message->nlmsg_type != RTM_NEWLINK && message->nlmsg_type != RTM_DELLINK) return std::nullopt;
  const auto* header = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(message));
  if (header->ifi_family != AF_UNSPEC) return std::nullopt;  // AF_BRIDGE: the bridge's view of a port
  const auto table = attributes<IFLA_MTU + 1>(message, sizeof *header);
  LinkInfo info;
  info.link.ifindex = static_cast<unsigned>(header->ifi_index);
  if (table[IFLA_IFNAME] != nullptr) info.link.name = mnl_attr_get_str(table[IFLA_IFNAME]);
  info.link.mac = read_mac(table[IFLA_ADDRESS]).value_or(MacAddress{});
  info.link.mtu = read_u32(table[IFLA_MTU]).value_or(0);
  info.link.up = (header->ifi_flags & IFF_UP) != 0 && (header->ifi_flags & IFF_LOWER_UP) != 0;
  info.ethernet = header->ifi_type == ARPHRD_ETHER;
  if (message->nlmsg_type == RTM_DELLINK) {
    info.link.up = false;
    info.link.mtu = 0;
  }
  return info;
}

std::optional<Route> parse_route(const nlmsghdr* message) {
  if (message->nlmsg_type != RTM_NEWROUTE) return std::nullopt;
  const auto* header = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(message));
  const auto table = attributes<RTA_ENCAP + 1>(message, sizeof *header);
  Route route;
  route.type = header->rtm_type;
  route.ifindex = read_u32(table[RTA_OIF]).value_or(0);
  route.gateway = read_address(table[RTA_GATEWAY]);
  if (!route.gateway) route.gateway = read_via(table[RTA_VIA]);
  route.encapsulated = table[RTA_ENCAP] != nullptr;
  return route;
}

std::optional<AddressInfo> parse_address(const nlmsghdr* message) {
  if (message->nlmsg_type != RTM_NEWADDR && message->nlmsg_type != RTM_DELADDR) return std::nullopt;
  const auto* header = static_cast<const ifaddrmsg*>(mnl_nlmsg_get_payload(message));
  const auto table = attributes<IFA_LOCAL + 1>(message, sizeof *header);
  const auto address = read_address(table[IFA_LOCAL] != nullptr ? table[IFA_LOCAL] : table[IFA_ADDRESS]);
  if (!address) return std::nullopt;
  return AddressInfo{header->ifa_index, *address};
}

std::optional<TableRoute> parse_table_route(const nlmsghdr* message) {
  if (message->nlmsg_type != RTM_NEWROUTE && message->nlmsg_type != RTM_DELROUTE) return std::nullopt;
  const auto* header = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(message));
  if (header->rtm_family != AF_INET && header->rtm_family != AF_INET6) return std::nullopt;
  const auto table = attributes<RTA_TABLE + 1>(message, sizeof *header);
  TableRoute route{read_u32(table[RTA_TABLE]).value_or(header->rtm_table), header->rtm_protocol, std::nullopt};
  if (header->rtm_dst_len == (header->rtm_family == AF_INET ? 32 : 128)) route.to = read_address(table[RTA_DST]);
  return route;
}

std::optional<NeighbourInfo> parse_neighbour(const nlmsghdr* message) {
  if (message->nlmsg_type != RTM_NEWNEIGH && message->nlmsg_type != RTM_DELNEIGH) return std::nullopt;
  const auto* header = static_cast<const ndmsg*>(mnl_nlmsg_get_payload(message));
  if (header->ndm_family != AF_INET && header->ndm_family != AF_INET6) return std::nullopt;  // AF_BRIDGE: its FDB
  if ((header->ndm_flags & NTF_PROXY) != 0) return std::nullopt;
  const auto table = attributes<NDA_LLADDR + 1>(message, sizeof *header);
  const auto address = read_address(table[NDA_DST]);
  if (!address) return std::nullopt;
  NeighbourInfo info{
      {static_cast<unsigned>(header->ndm_ifindex), *address}, header->ndm_state, read_mac(table[NDA_LLADDR])};
  if (message->nlmsg_type == RTM_DELNEIGH) info = {info.key, NUD_NONE, std::nullopt};
  return info;
}

}  // namespace xlvs::net
