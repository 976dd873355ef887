# SPDX-License-Identifier: Apache-2.0
"""Who has which address. Documentation prefixes (RFC 5737, RFC 3849) outside, private ones inside.

IPv4 VIPs lie in the client's own subnet, so the client finds them by ARP. IPv6 VIPs lie in a prefix that is routed to
the router, because a host does not answer neighbour solicitations for addresses of its loopback interface.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Host:
    name: str
    ipv4: str  # on the outer network for client and router, on the inner one for servers
    ipv6: str


CLIENT = Host("client", "198.51.100.100", "2001:db8:50::100")
CLIENT_EXTRA4 = [f"198.51.100.{n}" for n in range(101, 110)]  # more sources: sh, one port seen from several clients
CLIENT_EXTRA6 = [f"2001:db8:50::{n}" for n in range(101, 110)]
ROUTER = Host("router", "198.51.100.1", "2001:db8:50::1")
ROUTER_INNER = Host("router", "10.0.0.1", "2001:db8:10::1")
PEER = Host("peer", "198.51.100.2", "2001:db8:50::2")  # the other router of a pair
PEER_INNER = Host("peer", "10.0.0.2", "2001:db8:10::2")
ROUTER_LINK = Host("router", "192.168.7.1", "2001:db8:7::1")  # a cable of their own between the two routers of a pair
PEER_LINK = Host("peer", "192.168.7.2", "2001:db8:7::2")
BACK = Host("client", "10.0.0.254", "2001:db8:10::254")  # the way from servers to client past the router, for dr
SERVERS = [Host(f"s{n}", f"10.0.0.1{n}", f"2001:db8:10::1{n}") for n in (1, 2, 3)]

VIP4 = [f"198.51.100.{n}" for n in range(10, 14)]
VIP6 = [f"2001:db8:51::{n}" for n in range(10, 14)]
VIP4_NET, VIP6_NET = "198.51.100.8/29", "2001:db8:51::/64"
OUTER4_NET, OUTER6_NET = "198.51.100.0/24", "2001:db8:50::/64"

NAT_PORT, DR_PORT, DNS_PORT = 8080, 80, 53


def url(address, path="/", port=80):
    host = f"[{address}]" if ":" in address else address
    return f"http://{host}:{port}{path}"
