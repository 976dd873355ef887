# SPDX-License-Identifier: Apache-2.0
"""Real TCP and UDP through nat and dr, IPv4 and IPv6, redirected between two interfaces and sent back out of one."""

import hashlib
from typing import NamedTuple

import pytest
from lablib.address import CLIENT, CLIENT_EXTRA4, CLIENT_EXTRA6, DR_PORT, NAT_PORT, ROUTER, VIP4, VIP6, url
from lablib.lab import Lab
from lablib.load import Echo, connect, curl, dig
from lablib.lvsd import FAST_TCP, Lvsd, configuration, listen, service
from lablib.netns import wait_for

NAMES = {"s1", "s2", "s3"}


def web_and_dns(lab, forward, family):
    vip = VIP4[0] if family == 4 else VIP6[0]
    common = {"servers": lab.servers, "forward": forward, "family": family}
    return configuration(
        lab, service("web", listen(vip), port=NAT_PORT if forward == "nat" else DR_PORT, **common),
        service("dns", [listen(vip, 53, "udp"), listen(vip, 53, "tcp")], port=53, check=FAST_TCP, **common))


class Balanced(NamedTuple):
    lab: Lab
    lvsd: Lvsd
    vip: str
    client: str
    others: list  # more addresses of the client


@pytest.fixture(params=[(f, n) for f in ("nat", "dr") for n in (4, 6)], ids=lambda p: f"{p[0]}-ipv{p[1]}")
def balanced(request, lab, start):
    """lvsd runs and all servers are up."""
    forward, family = request.param
    lvsd = start(lab, web_and_dns(lab, forward, family)).ready()
    addresses = (VIP4[0], CLIENT.ipv4, CLIENT_EXTRA4) if family == 4 else (VIP6[0], CLIENT.ipv6, CLIENT_EXTRA6)
    return Balanced(lab, lvsd, *addresses)


def checksum_errors(lab):
    """How many segments and datagrams each real stack refused because of their checksum."""
    counters = ("TcpInCsumErrors", "UdpInCsumErrors", "Udp6InCsumErrors")
    found = {}
    for host in [lab.client, *(s.host for s in lab.servers)]:
        for line in host.run("nstat", "-asz").stdout.splitlines():
            fields = line.split()
            if fields[0] in counters and int(fields[1]):
                found[host.name, fields[0]] = int(fields[1])
    return found


def test_http_reaches_every_server_with_the_clients_address(balanced):
    lab, _, vip, client, others = balanced
    answers = [curl(lab.client, vip).split() for _ in range(6)]
    assert {name for name, _, _ in answers} == NAMES
    assert {address for _, address, _ in answers} == {client}
    assert curl(lab.client, vip, source=others[0]).split()[1] == others[0]
    assert checksum_errors(lab) == {}


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_dns_reaches_every_server_with_the_clients_address(balanced, tcp):
    lab, _, vip, client, _ = balanced
    before = {s.name: len(s.dns_clients()) for s in lab.servers}
    assert {dig(lab.client, vip, tcp=tcp) for _ in range(6)} == NAMES
    for server in lab.servers:
        seen = wait_for("dnsmasq's log", lambda s=server: s.dns_clients()[before[s.name]:])
        assert set(seen) == {client}
    assert checksum_errors(lab) == {}


def test_download_of_100_mb_is_byte_identical(balanced):
    lab, _, vip, _, _ = balanced
    expected = hashlib.sha256(lab.big_file().read_bytes()).hexdigest()
    done = lab.client.run("sh", "-c", f"curl -sS --fail -g --max-time 60 '{url(vip, '/big')}' | sha256sum", timeout=90)
    assert done.stdout.split()[0] == expected


def test_flows_are_listed(balanced):
    lab, lvsd, vip, client, _ = balanced
    name = curl(lab.client, vip).split()
    flows = lvsd.ctl("flow", "list", "--service", "web")["flows"]
    ours = [f for f in flows if f["client"].endswith(f":{name[2]}")]
    assert len(ours) == 1 and client in ours[0]["client"] and vip in ours[0]["destination"]
    server = next(s for s in lab.servers if s.name == name[0])
    assert server.address.ipv4 + ":" in ours[0]["backend"] or f"[{server.address.ipv6}]:" in ours[0]["backend"]


# ---- what is not ours ----------------------------------------------------------------------------------------------


def test_other_traffic_is_untouched(balanced):
    lab, _, vip, client, _ = balanced
    family = 6 if ":" in vip else 4
    router = ROUTER.ipv6 if family == 6 else ROUTER.ipv4
    for target in (vip, router):  # the VIP is an address of the router
        lab.client.run("ping", f"-{family}", "-c", 3, "-i", "0.05", "-W", 2, target)
    # A TCP port of the VIP that no service has: the router's own stack refuses it at once.
    refused = lab.client.run("curl", "-sS", "-g", "--max-time", 5, url(vip, port=81), check=False)
    assert refused.returncode == 7, refused.stderr  # "failed to connect", not a timeout (28)
    # The servers themselves, through the router, on the very port that is balanced (in one-arm, too).
    server = lab.servers[1]
    own = server.address.ipv6 if family == 6 else server.address.ipv4
    for port in (NAT_PORT, DR_PORT):
        name, address, _ = curl(lab.client, own, port=port).split()
        assert (name, address) == (server.name, client)


def test_a_login_through_the_router_goes_on(lab, start):
    """A byte stream between client and server past every service, before, while and after lvsd runs."""
    server = lab.servers[0]
    with Echo(server.host, 2222) as echo:
        session = connect(lab.client, server.address.ipv4, echo.port)
        echo.roundtrip(session, b"before")
        lvsd = start(lab, web_and_dns(lab, "nat", 4)).ready()
        echo.roundtrip(session, b"while")
        lvsd.kill()
        echo.roundtrip(session, b"killed")
        lvsd.start().reset()
        echo.roundtrip(session, b"after")
        session.close()


def test_ipv6_vip_of_the_clients_own_subnet(lab, start):
    """Neighbour solicitations are answered only for addresses of the interface itself: `vip_interface` says which."""
    vip = "2001:db8:50::50"
    start(lab, configuration(lab, service("web", listen(vip), lab.servers, family=6),
                             vip_interface=lab.interfaces[0])).ready()
    assert {curl(lab.client, vip).split()[0] for _ in range(6)} == NAMES
