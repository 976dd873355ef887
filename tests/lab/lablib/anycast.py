# SPDX-License-Identifier: Apache-2.0
"""The topology of examples/anycast: three nodes that are all active, before them a router that spreads connections.

    client eth0 ---- wan0 router lan0 ---- switch ---- eth0 n1, n2, n3 (lvsd and BIRD)
                          BIRD, ECMP            ------ eth0 s1, s2, s3 (dr: they answer through the router)

Addresses inside are those of the example. Hosts, and how they are made, are Lab's.
"""

import json

from .address import BACK, CLIENT, CLIENT_EXTRA4, CLIENT_EXTRA6, ROUTER, SERVERS, Host
from .bird import Bird
from .lab import ANYCAST, Lab
from .lvsd import SOURCE

EXAMPLE = SOURCE / "examples" / "anycast"
NODES = [Host(f"n{n}", f"10.0.0.{n}", f"2001:db8:10::{n}") for n in (1, 2, 3)]
VIP4, VIP6 = "203.0.113.10", "2001:db8:53::10"
SOURCES = {4: [CLIENT.ipv4, *CLIENT_EXTRA4], 6: [CLIENT.ipv6, *CLIENT_EXTRA6]}


class AnycastLab(Lab):
    def __init__(self, name, topology=ANYCAST):
        super().__init__(name, topology)
        self.nodes = [self._host(node.name) for node in NODES]
        self.interfaces = ["eth0"]  # of a node
        self.bird = Bird(self.router, EXAMPLE / "router.conf")

    def hosts(self):
        return [*super().hosts(), *self.nodes]

    def _build(self):
        for host in self.hosts():
            host.create()
        self._switch()
        self._wire(self.client, "eth0", self.router, "wan0")
        self._wire(self.router, "lan0", self.switch, "router")
        for host, address in self._on_the_switch():
            self._wire(host, "eth0", self.switch, address.name)
        self.switch.ip(*(f"link set {port} master br0" for port in
                         ("router", *(address.name for _, address in self._on_the_switch()))))
        self._xdp_peers([(self.switch, node.name) for node in NODES])
        self._router()
        self._client()
        for node, address in zip(self.nodes, NODES):
            node.sysctl({"net.ipv4.ip_forward": 1, "net.ipv6.conf.all.forwarding": 1,
                         "net.ipv4.conf.all.send_redirects": 0, "net.ipv4.conf.eth0.send_redirects": 0})
            node.ip(f"addr add {address.ipv4}/24 dev eth0", f"addr add {address.ipv6}/64 dev eth0 nodad",
                    f"route add default via {BACK.ipv4}")
            node.ip(f"route add default via {BACK.ipv6}", family=6)
        for server in self.servers:
            self._server(server)
            server.start()
        self.bird.start()

    def _on_the_switch(self):
        return [*zip(self.nodes, NODES), *((server.host, server.address) for server in self.servers)]

    def _router(self):
        # Layer 4: connections of one client are spread, too.
        self.router.sysctl({"net.ipv4.ip_forward": 1, "net.ipv6.conf.all.forwarding": 1,
                            "net.ipv4.fib_multipath_hash_policy": 1, "net.ipv6.fib_multipath_hash_policy": 1})
        self.router.ip(f"addr add {ROUTER.ipv4}/24 dev wan0", f"addr add {ROUTER.ipv6}/64 dev wan0 nodad",
                       f"addr add {BACK.ipv4}/24 dev lan0", f"addr add {BACK.ipv6}/64 dev lan0 nodad")

    def _client(self):
        self.client.ip(*(f"addr add {a}/24 dev eth0" for a in SOURCES[4]),
                       *(f"addr add {a}/64 dev eth0 nodad" for a in SOURCES[6]),
                       f"route add default via {ROUTER.ipv4} src {CLIENT.ipv4}")
        self.client.ip(f"route add default via {ROUTER.ipv6} src {CLIENT.ipv6}", family=6)

    def _server(self, server):
        host, own = server.host, server.address
        host.sysctl({"net.ipv4.conf.all.arp_ignore": 1, "net.ipv4.conf.all.arp_announce": 2,
                     "net.ipv4.tcp_max_tw_buckets": 262144, "net.core.somaxconn": 16384})
        host.ip(f"addr add {own.ipv4}/24 dev eth0", f"addr add {own.ipv6}/64 dev eth0 nodad",
                f"addr add {VIP4}/32 dev lo", f"addr add {VIP6}/128 dev lo nodad",
                f"route add default via {BACK.ipv4}")
        host.ip(f"route add default via {BACK.ipv6}", family=6)

    # ---- what people look at ---------------------------------------------------------------------------------------

    def next_hops(self, vip):
        """Names of the nodes that the router spreads the connections to `vip` over."""
        family = 6 if ":" in vip else 4
        shown = self.router.run("ip", f"-{family}", "-j", "route", "show", vip).stdout
        names = {getattr(node, f"ipv{family}"): node.name for node in NODES}
        gateways = [hop.get("gateway") for route in json.loads(shown or "[]") for hop in route.get("nexthops", [route])]
        return sorted(names.get(gateway, gateway) for gateway in gateways)
