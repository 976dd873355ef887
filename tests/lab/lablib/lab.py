# SPDX-License-Identifier: Apache-2.0
"""The topologies. Every lab has a name; its namespaces are lvs-NAME-client, -router, -switch, -s1, -s2, -s3.

two-nic: the router forwards between two interfaces (XDP redirect).

    client eth0 ------- wan0 router lan0 ------- switch ------- eth0 s1, s2, s3
           back0 ------------------------------- switch         (dr: servers answer the client past the router)

one-arm: everybody on one segment, requests leave by the interface they came from (XDP_TX).

    client eth0 ---- switch ---- lan0 router
                       |
                eth0 s1, s2, s3

pair: one-arm, with a second router "peer" beside the first, and a cable "peer0" between the two.

anycast: see anycast.py.

Servers are nat and dr servers at once: their default route leads through the router, what they send from a VIP (which
they have on lo, silent to ARP) goes straight to the client.
"""

import fcntl
import json
import os
import shutil
from pathlib import Path

from .address import (BACK, CLIENT, CLIENT_EXTRA4, CLIENT_EXTRA6, OUTER4_NET, OUTER6_NET, PEER, PEER_INNER,
                      PEER_LINK, ROUTER, ROUTER_INNER, ROUTER_LINK, SERVERS, VIP4, VIP4_NET, VIP6, VIP6_NET)
from .netns import LabError, Namespace, command
from .servers import Server

STATE = Path("/run/lvs-lab")  # NAME/lab.json, NAME/HOST/: what runs in each host
TOPOLOGIES = ("two-nic", "one-arm")  # that every kind of forwarding is tested in
PAIR, ANYCAST = "pair", "anycast"
PREFIX = "lvs"
PASS_SOURCE = Path(__file__).resolve().parent.parent / "pass.bpf.c"


class Lab:
    def __init__(self, name, topology="two-nic"):
        if topology not in (*TOPOLOGIES, PAIR, ANYCAST):
            raise LabError(f"no topology '{topology}'; there are: {', '.join((*TOPOLOGIES, PAIR, ANYCAST))}")
        if not name.isalnum() or len(name) > 24:
            raise LabError(f"lab name '{name}': letters and digits only, at most 24")
        self.name, self.topology = name, topology
        self.directory = STATE / name
        self.client, self.router, self.switch = (self._host(h) for h in ("client", "router", "switch"))
        self.peer = self._host("peer") if topology == PAIR else None
        self.servers = [Server(self._host(s.name), s) for s in SERVERS]
        self.interfaces = ["wan0", "lan0"] if topology == "two-nic" else ["lan0"]  # of the router

    def _host(self, host):
        return Namespace(f"{PREFIX}-{self.name}-{host}", self.directory / host)

    def hosts(self):
        routers = [self.router, self.peer] if self.peer else [self.router]
        return [self.client, *routers, self.switch, *(s.host for s in self.servers)]

    # ---- life ----------------------------------------------------------------------------------------------------

    def up(self, owner=None):
        """`owner`: the process whose end makes this lab stale; None: it stays until somebody takes it down."""
        self.down()
        self.directory.mkdir(parents=True)
        self._record(owner)
        try:
            self._build()
        except BaseException:
            self.down()
            raise
        return self

    def _build(self):
        for host in self.hosts():
            host.create()
        self._switch()
        if self.topology == "two-nic":
            self._wire(self.client, "eth0", self.router, "wan0")
            self._wire(self.client, "back0", self.switch, "client")
        else:
            self._wire(self.client, "eth0", self.switch, "client")
        self._wire(self.router, "lan0", self.switch, "router")
        if self.peer:
            self._wire(self.peer, "lan0", self.switch, "peer")
            self._wire(self.router, "peer0", self.peer, "peer0")
        for server in self.servers:
            self._wire(server.host, "eth0", self.switch, server.name)
        self._switch_ports()
        self._xdp_peers()
        self._router()
        self._client()
        for server in self.servers:
            self._server(server)
        for server in self.servers:
            server.start()

    def down(self):
        for host in self.hosts():
            host.destroy()
        pins = Path("/sys/fs/bpf/lvs")
        for left in (pins / self.instance, *pins.glob(f"{self.instance}-*")):
            shutil.rmtree(left, ignore_errors=True)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _record(self, owner):
        record = {"topology": self.topology, "owner": owner, "owner_start": start_time(owner) if owner else None}
        (self.directory / "lab.json").write_text(json.dumps(record))

    def owner(self):
        """The process that made the lab and is still there; None: nobody."""
        record = json.loads((self.directory / "lab.json").read_text())
        alive = record["owner"] is not None and start_time(record["owner"]) == record["owner_start"]
        return record["owner"] if alive else None

    def disown(self):
        """From now on the lab stays until somebody takes it down."""
        self._record(None)

    @property
    def instance(self):
        return f"lab-{self.name}"

    # ---- wires ---------------------------------------------------------------------------------------------------

    def _wire(self, a, a_dev, b, b_dev):
        # Two queues: flows of one direction meet on two CPUs, as on a NIC.
        queues = ["numtxqueues", "2", "numrxqueues", "2"]
        command(["ip", "link", "add", a_dev, "netns", a.name, *queues, "type", "veth",
                 "peer", "name", b_dev, "netns", b.name, *queues])
        for host, dev in ((a, a_dev), (b, b_dev)):
            # Checksums and segments are finished before they reach XDP, as they would be on a wire.
            host.run("ethtool", "-K", dev, "tx", "off", "gso", "off", "tso", "off", "gro", "off")
            host.ip(f"link set {dev} up")

    def _switch(self):
        self.switch.ip("link add br0 type bridge mcast_snooping 0 forward_delay 0", "link set br0 up")

    def _switch_ports(self):
        ports = ["client", "router", *(["peer"] if self.peer else []), *(s.name for s in self.servers)]
        self.switch.ip(*(f"link set {port} master br0" for port in ports))

    def _xdp_peers(self, peers=None):
        compiled = self.directory / "pass.bpf.o"
        arch = command(["gcc", "-print-multiarch"]).stdout.strip()
        command(["clang-19", "-target", "bpf", "-O2", "-g", f"-I/usr/include/{arch}", "-c", PASS_SOURCE,
                 "-o", compiled])
        peers = peers or [(self.switch, "router"), *([(self.switch, "peer")] if self.peer else [])]
        if self.topology == "two-nic":
            peers.append((self.client, "eth0"))
        for host, dev in peers:
            host.ip(f"link set dev {dev} xdp obj {compiled} sec xdp.frags")

    # ---- addresses and routes ------------------------------------------------------------------------------------

    def _router(self):
        self._one_router(self.router, ROUTER, ROUTER_INNER)
        if self.peer:
            self._one_router(self.peer, PEER, PEER_INNER)
            for host, end in ((self.router, ROUTER_LINK), (self.peer, PEER_LINK)):
                host.ip(f"addr add {end.ipv4}/24 dev peer0", f"addr add {end.ipv6}/64 dev peer0 nodad")

    def _one_router(self, host, outside, inside):
        # `ip_forward` for what is not ours; replies from VIPs that servers send (dr) must not come this way.
        host.sysctl({"net.ipv4.ip_forward": 1, "net.ipv6.conf.all.forwarding": 1,
                            "net.ipv4.conf.all.send_redirects": 0, "net.ipv4.conf.default.send_redirects": 0,
                            **{f"net.ipv4.conf.{dev}.send_redirects": 0 for dev in self.interfaces}})
        outer = self.interfaces[0]
        host.ip(f"addr add {outside.ipv4}/24 dev {outer}", f"addr add {outside.ipv6}/64 dev {outer} nodad",
                f"addr add {inside.ipv4}/24 dev lan0", f"addr add {inside.ipv6}/64 dev lan0 nodad")

    def _client(self):
        self.client.sysctl({"net.ipv4.ip_local_port_range": "1024 65535", "net.ipv4.tcp_fin_timeout": 5})
        four, six = [CLIENT.ipv4, *CLIENT_EXTRA4], [CLIENT.ipv6, *CLIENT_EXTRA6]
        self.client.ip(*(f"addr add {a}/24 dev eth0" for a in four), *(f"addr add {a}/64 dev eth0 nodad" for a in six))
        self.client.ip(f"route add default via {ROUTER.ipv4} src {CLIENT.ipv4}")
        self.client.ip(f"route add default via {ROUTER.ipv6} src {CLIENT.ipv6}", family=6)
        if self.topology == "two-nic":
            self.client.ip(f"addr add {BACK.ipv4}/32 dev back0", f"addr add {BACK.ipv6}/128 dev back0 nodad")
            # Only neighbours, no route: requests for the servers themselves go through the router.
            for s in SERVERS:
                self.client.ip(f"route add {s.ipv4}/32 via {ROUTER.ipv4}")

    def _server(self, server):
        host, own = server.host, server.address
        host.sysctl({"net.ipv4.conf.all.arp_ignore": 1, "net.ipv4.conf.all.arp_announce": 2,
                     "net.ipv4.tcp_max_tw_buckets": 262144, "net.core.somaxconn": 16384,
                     "net.ipv4.tcp_max_syn_backlog": 16384})
        host.ip(f"addr add {own.ipv4}/24 dev eth0", f"addr add {own.ipv6}/64 dev eth0 nodad",
                *(f"addr add {vip}/32 dev lo" for vip in VIP4), *(f"addr add {vip}/128 dev lo nodad" for vip in VIP6),
                f"route add default via {ROUTER_INNER.ipv4}", f"rule add from {VIP4_NET} lookup 100")
        host.ip(f"route add default via {ROUTER_INNER.ipv6}", f"rule add from {VIP6_NET} lookup 100", family=6)
        if self.topology == "two-nic":
            # What a check at the VIP asked for goes back to the router.
            host.ip("route add 10.0.0.0/24 dev eth0 table 100")
            host.ip("route add 2001:db8:10::/64 dev eth0 table 100", family=6)
            host.ip(f"route add default via {BACK.ipv4} table 100")
            host.ip(f"route add default via {BACK.ipv6} table 100", family=6)
        else:
            host.ip(f"route add {OUTER4_NET} dev eth0 table 100")
            host.ip(f"route add {OUTER6_NET} dev eth0 table 100", family=6)

    # ---- what people do with it ------------------------------------------------------------------------------------

    def big_file(self):
        """100 MB that compress badly, served by every server as /big. Returns its path."""
        path = self.directory / "www" / "big"
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            partial = path.with_suffix(".partial")
            with open(partial, "wb") as out:
                for _ in range(100):
                    out.write(os.urandom(1_000_000))
            partial.rename(path)
        return path


def start_time(pid):
    """Field 22 of /proc/PID/stat tells a process from a later one with the same number; None: no such process."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19])
    except (FileNotFoundError, ProcessLookupError):
        return None


def lab_of(name, topology):
    if topology != ANYCAST:
        return Lab(name, topology)
    from .anycast import AnycastLab  # which is made from what is above
    return AnycastLab(name)


def all_labs():
    """(lab, stale) of every lab on this machine; stale: its owner has ended."""
    found = []
    for record in sorted(STATE.glob("*/lab.json")):
        try:
            data = json.loads(record.read_text())
        except (json.JSONDecodeError, FileNotFoundError):  # being written or removed at this moment
            continue
        if data["topology"] not in (*TOPOLOGIES, PAIR, ANYCAST):
            continue  # made by another version of this file, which takes it down
        stale = data["owner"] is not None and start_time(data["owner"]) != data["owner_start"]
        found.append((lab_of(record.parent.name, data["topology"]), stale))
    return found


def remove_stale():
    """Takes down what interrupted runs left behind; of several processes that try, one does it."""
    STATE.mkdir(parents=True, exist_ok=True)
    with open(STATE / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for lab, stale in all_labs():
            if stale:
                lab.down()
