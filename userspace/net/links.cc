// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "net/net.h"
#include "net/netlink.h"

namespace xlvs::net {

Result<std::vector<Link>> list_links() {
  auto socket = NetlinkSocket::open();
  if (!socket) return tl::make_unexpected(socket.error());
  auto found = dump_links(*socket);
  if (!found) return tl::make_unexpected(found.error());
  std::vector<Link> links;
  links.reserve(found->size());
  for (auto& info : *found) links.push_back(std::move(info.link));
  std::sort(links.begin(), links.end(), [](const Link& a, const Link& b) { return a.ifindex < b.ifindex; });
  return links;
}

Result<Link> find_link(const std::string& name) {
  auto links = list_links();
  if (!links) return tl::make_unexpected(links.error());
  const auto found = std::find_if(links->begin(), links->end(), [&](const Link& link) { return link.name == name; });
  if (found != links->end()) return *found;
  std::string present;
  for (const Link& link : *links) present += (present.empty() ? "" : ", ") + link.name;
  return fail(ErrorKind::not_found, "interface {}: there is none of that name (this host has {})", name, present);
}

}  // namespace xlvs::net
