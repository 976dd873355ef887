# SPDX-License-Identifier: Apache-2.0
"""The lab itself, without lvsd: what fails here is not lvsd's fault. nftables DNAT plays the balancer."""

import os
import subprocess

import pytest
from lablib.address import CLIENT, SERVERS, VIP4, VIP6
from lablib.lab import Lab, all_labs, remove_stale
from lablib.load import Echo, Wrk, connect, curl, dig, errors
from lablib.netns import LabError

NFT = f"""
table inet lab {{
  chain pre {{
    type nat hook prerouting priority -100;
    ip daddr {VIP4[0]} tcp dport 80 dnat ip to numgen inc mod 3 map {{
      0: 10.0.0.11 . 8080, 1: 10.0.0.12 . 8080, 2: 10.0.0.13 . 8080 }}
    ip6 daddr {VIP6[0]} tcp dport 80 dnat ip6 to [2001:db8:10::11]:8080
    ip daddr {VIP4[0]} udp dport 53 dnat ip to 10.0.0.12
  }}
}}
"""


@pytest.fixture
def nat(lab):
    lab.router.ip(f"addr add {VIP4[0]}/32 dev lo", f"addr add {VIP6[0]}/128 dev lo nodad")
    lab.router.run("nft", "-f", "-", stdin=NFT)
    yield lab
    lab.router.run("nft", "flush", "ruleset")
    lab.router.ip(f"addr del {VIP4[0]}/32 dev lo", f"addr del {VIP6[0]}/128 dev lo")


def test_servers_answer_through_the_router(lab):
    for server in SERVERS:
        for address, client in ((server.ipv4, CLIENT.ipv4), (server.ipv6, CLIENT.ipv6)):
            assert curl(lab.client, address, port=8080).split()[:2] == [server.name, client]
            assert dig(lab.client, address) == dig(lab.client, address, tcp=True) == server.name


def test_balancing_by_nftables(nat):
    assert {curl(nat.client, VIP4[0]).split()[0] for _ in range(3)} == {"s1", "s2", "s3"}
    assert curl(nat.client, VIP6[0]).split()[:2] == ["s1", CLIENT.ipv6]
    assert dig(nat.client, VIP4[0]) == "s2"
    result = Wrk(nat.client, VIP4[0], seconds=2, close=True).wait()
    assert errors(result) == {} and result["requests"] > 1000


def test_wrk_notices_failures(nat):
    with pytest.raises(LabError, match="refused"):
        Wrk(nat.client, VIP4[0], port=81, seconds=1).wait()
    assert errors(Wrk(nat.client, VIP4[0], path="/missing", seconds=1).wait())["status"] > 0


def test_echo(lab):
    with Echo(lab.servers[0].host, 2222) as echo, connect(lab.client, SERVERS[0].ipv4, 2222) as session:
        echo.roundtrip(session, b"x" * 100_000)


def test_a_lab_whose_owner_died_is_removed():
    owner = subprocess.Popen(["sleep", "60"])
    stale = Lab(f"d{os.getpid()}").up(owner=owner.pid)
    assert stale.name in {lab.name for lab, gone in all_labs() if not gone}
    owner.kill()
    owner.wait()
    remove_stale()
    assert stale.name not in {lab.name for lab, _ in all_labs()}
    assert not any(host.path.exists() for host in stale.hosts())
