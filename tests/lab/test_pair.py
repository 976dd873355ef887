# SPDX-License-Identifier: Apache-2.0
"""Two routers, one active: lvsd beside Debian's keepalived, and two lvsd. Who has the virtual address is asked of the
kernel, and of the network: whose MAC address the client's ARP or ND finds."""

import json
import subprocess
import time

import pytest
from lablib.address import PEER, ROUTER, VIP4, VIP6
from lablib.keepalived import Keepalived
from lablib.lab import PAIR
from lablib.load import curl
from lablib.lvsd import configuration, listen, service
from lablib.netns import wait_for
from lablib.pair import GATEWAY, INTERVAL, ha, has, owners, role, use_gateway, wait_role

from conftest import make_lab


@pytest.fixture(scope="module")
def pair():
    lab = make_lab(PAIR)
    yield lab
    lab.down()


@pytest.fixture
def keepalived(pair):
    peer = Keepalived(pair.peer)
    yield peer
    if peer.log.exists():
        print(f"---- keepalived's log\n{peer.log.read_text()}")
    peer.stop()


def config(lab, vip=VIP4[0], check=None, **instance):
    family = {"family": "ipv6"} if ":" in vip else {}
    return configuration(lab, service("web", listen(vip), lab.servers, family=6 if family else 4,
                                      check=check or {"type": "none"}), ha=ha(**family, **instance))


VARIANTS = {
    "v3": {},
    "v3-unicast": {"peers": [PEER.ipv4]},
    "v2": {"version": 2, "advert_interval": "1s"},
    "v2-password": {"version": 2, "advert_interval": "1s", "password": "secret"},
    "v3-ipv6": {},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_elections_and_handover_with_keepalived(pair, start, keepalived, variant):
    mine = VARIANTS[variant]
    vip = VIP6[0] if variant == "v3-ipv6" else VIP4[0]
    version = mine.get("version", 3)
    theirs = {"version": version, "interval": 1 if version == 2 else INTERVAL, "password": mine.get("password"),
              "unicast": (PEER.ipv4, ROUTER.ipv4) if "peers" in mine else None}
    # keepalived alone becomes master; lvsd, of higher priority, takes over from it.
    keepalived.start([vip], **theirs)
    keepalived.wait_for_log("Entering MASTER STATE")
    lvsd = start(pair, config(pair, vip, **mine))
    wait_role(lvsd, "active")
    keepalived.wait_for_log("Entering BACKUP STATE")
    wait_for("one owner", lambda: owners(pair.router, pair.peer, vip=vip) == [pair.router])
    report = lvsd.ctl("ha", "status")["instances"][0]
    assert report["peer_priority"] == 100 and report["rejected"] == {}

    # Handed over by the operator, and taken back.
    lvsd.ctl("ha", "release")
    wait_role(lvsd, "backup")
    wait_for("keepalived to be master", lambda: keepalived.text().count("Entering MASTER STATE") == 2)
    wait_for("one owner", lambda: owners(pair.router, pair.peer, vip=vip) == [pair.peer])
    time.sleep(10 * INTERVAL)  # long enough for a router that preempts
    assert role(lvsd) == "backup"
    lvsd.ctl("ha", "resume")
    wait_role(lvsd, "active")
    wait_for("one owner", lambda: owners(pair.router, pair.peer, vip=vip) == [pair.router])

    # A clean stop hands over too.
    before = keepalived.text().count("Entering MASTER STATE")
    assert lvsd.stop() == 0
    wait_for("keepalived to be master", lambda: keepalived.text().count("Entering MASTER STATE") > before)
    assert not has(pair.router, vip)


def test_backup_of_keepalived(pair, start, keepalived):
    lvsd = start(pair, config(pair, priority=50))
    wait_role(lvsd, "active")
    keepalived.start([VIP4[0]], priority=200)
    keepalived.wait_for_log("Entering MASTER STATE")
    wait_role(lvsd, "backup")
    wait_for("one owner", lambda: owners(pair.router, pair.peer, vip=VIP4[0]) == [pair.peer])
    keepalived.process.kill()  # without a word
    keepalived.process.wait(10)
    wait_role(lvsd, "active")
    assert has(pair.router, VIP4[0])


def test_two_lvsd_fail_over(pair, start):
    use_gateway(pair)
    moved = [VIP4[0], GATEWAY]
    first = start(pair, config(pair, addresses=moved))
    second = start(pair, config(pair, addresses=moved, priority=100), host=pair.peer)
    wait_role(first, "active")
    wait_role(second, "backup")
    assert owners(pair.router, pair.peer, vip=VIP4[0]) == [pair.router]
    assert curl(pair.client, VIP4[0])

    pair.switch.ip("link set router down")
    try:
        wait_role(second, "active")
        wait_role(first, "init")  # its interface lost the carrier
        assert curl(pair.client, VIP4[0]), "the client's ARP entry was corrected by the announcement"
    finally:
        pair.switch.ip("link set router up")
    wait_role(first, "active")
    wait_role(second, "backup")
    wait_for("one owner", lambda: owners(pair.router, pair.peer, vip=VIP4[0]) == [pair.router])
    assert curl(pair.client, VIP4[0])


def forwarded(lvsd):
    return sum(s["traffic"]["in_packets"] for s in lvsd.ctl("stats")["services"])


def test_what_the_switch_floods_is_forwarded_once(pair, start):
    """The switch has not learnt where the active router is, and the other one's interface takes whatever comes."""
    use_gateway(pair)
    first = start(pair, config(pair, addresses=[VIP4[0], GATEWAY]))
    second = start(pair, config(pair, addresses=[VIP4[0], GATEWAY], priority=100), host=pair.peer)
    wait_role(first, "active")
    wait_role(second, "backup")
    pair.peer.ip("link set lan0 promisc on")
    pair.switch.ip("link set router type bridge_slave learning off", "link set router type bridge_slave fdb_flush")
    try:
        for _ in range(20):
            assert curl(pair.client, VIP4[0])
        sent = forwarded(first)
        assert sent > 100
        seen = second.reasons()["other_host"]
        assert seen >= sent, "all of it came to the other router too"
        assert forwarded(second) == 0
        assert first.reasons()["other_host"] == 0
    finally:
        pair.switch.ip("link set router type bridge_slave learning on")
        pair.peer.ip("link set lan0 promisc off")


def test_a_changed_mac_is_followed(pair, start):
    use_gateway(pair)
    lvsd = start(pair, config(pair, addresses=[VIP4[0], GATEWAY]))
    wait_role(lvsd, "active")
    assert curl(pair.client, VIP4[0])
    link = json.loads(pair.router.run("ip", "-j", "link", "show", "dev", "lan0").stdout)[0]
    try:
        for mac in ("02:00:00:00:be:ef", link["address"]):
            pair.router.ip(f"link set lan0 address {mac}")
            for host in (pair.client, *(s.host for s in pair.servers)):
                host.ip("neigh flush dev eth0")
            wait_for(f"an answer through {mac}", lambda: curl(pair.client, VIP4[0], check=False))
            before = forwarded(lvsd)
            assert curl(pair.client, VIP4[0])
            assert forwarded(lvsd) > before
    finally:
        pair.router.ip(f"link set lan0 address {link['address']}")


def test_a_wire_decoder_has_no_complaints(pair, start, tmp_path):
    capture = tmp_path / "vrrp.pcap"
    command = ["tshark", "-q", "-i", "lan0", "-f", "ip proto 112 or arp", "-w", str(capture), "-a", "duration:20"]
    tshark = pair.peer.start(*command, log=tmp_path / "tshark.log")
    wait_for("tshark to listen", lambda: "Capturing on" in (tmp_path / "tshark.log").read_text())
    lvsd = start(pair, config(pair))
    wait_role(lvsd, "active")
    wait_for("advertisements", lambda: lvsd.ctl("ha", "status")["instances"][0]["sent"] > 10)
    tshark.terminate()
    try:
        tshark.wait(10)
    except subprocess.TimeoutExpired:
        tshark.kill()
    fields = ["ip.ttl", "vrrp.version", "vrrp.virt_rtr_id", "vrrp.prio", "vrrp.short_adver_int", "vrrp.ip_addr",
              "_ws.expert.message"]
    decode = ["tshark", "-r", str(capture), "-T", "fields", "-E", "separator=|", "-o", "ip.check_checksum:TRUE",
              *(option for field in fields for option in ("-e", field))]
    adverts = pair.peer.run(*decode, "-Y", "vrrp").stdout.splitlines()
    assert len(adverts) > 5
    assert set(adverts) == {f"255|3|51|150|10|{VIP4[0]}|"}
    arp = pair.peer.run("tshark", "-r", str(capture), "-Y", f"arp.isannouncement == 1 && arp.src.proto_ipv4 == {VIP4[0]}",
                        "-T", "fields", "-e", "arp.opcode").stdout.split()
    assert arp and set(arp) == {"1"}
