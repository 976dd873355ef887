# SPDX-License-Identifier: Apache-2.0
"""VRRP is not authenticated: what a neighbour that means well, or one that does not, can do to a pair."""

import time

import pytest
from lablib.address import CLIENT, PEER, ROUTER, VIP4, VIP6
from lablib.lab import PAIR
from lablib.load import curl
from lablib.lvsd import configuration, listen, service
from lablib.netns import wait_for
from lablib.pair import FIRST, INTERVAL, SECOND, ha, owners, role, wait_role
from lablib.peer_link import make_keys, peer
from lablib.vrrp import GROUP4, GROUP6, Neighbour, advertisement

from conftest import make_lab

VIP = VIP4[0]
# version, VIP, an address of somebody else, seconds between advertisements, where they go
KINDS = {
    "v3": ({}, VIP, "203.0.113.9", INTERVAL, GROUP4),
    "v2": ({"version": 2, "advert_interval": "1s"}, VIP, "203.0.113.9", 1, GROUP4),
    "v3-ipv6": ({"family": "ipv6"}, VIP6[0], "2001:db8:99::9", INTERVAL, GROUP6),
}


@pytest.fixture(scope="module")
def pair():
    lab = make_lab(PAIR)
    make_keys(lab)
    yield lab
    lab.down()


def config(lab, host, link=True, vip=VIP, instances=None, **instance):
    priority = FIRST if host is lab.router else SECOND
    family = 6 if ":" in vip else 4
    web = service("web", listen(vip), lab.servers, check={"type": "none"}, family=family)
    section = {"instances": instances} if instances else ha(priority, **instance)
    return configuration(lab, web, ha={**section, **({"peer": peer(lab, host)} if link else {})})


@pytest.fixture
def routers(pair, start):
    """routers(**of config()) -> the two, settled"""
    def begin(link=True, **more):
        first = start(pair, config(pair, pair.router, link, **more))
        second = start(pair, config(pair, pair.peer, link, **more), host=pair.peer)
        wait_role(first, "active")
        wait_role(second, "backup")
        if link:
            for lvsd in (first, second):
                wait_for("the link", lambda lvsd=lvsd: lvsd.ctl("ha", "status")["peer"]["state"] == "up")
            wait_for("the second to know", lambda: second.ctl("ha", "status")["peer"]["role"] == "active")
        return first, second
    return begin


def warned(lvsd, text):
    return any(text in warning for warning in lvsd.status()["warnings"])


def transitions(*routers):
    return [lvsd.ctl("ha", "status")["transitions"] for lvsd in routers]


def rejected(lvsd, reason):
    return lvsd.ctl("ha", "status")["instances"][0]["rejected"].get(reason, 0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("link", [True, False], ids=["link", "alone"])
def test_another_group_with_our_vrid_does_not_take_the_role_away(pair, routers, kind, link):
    more, vip, foreign, interval, group = KINDS[kind]
    first, second = routers(link, vip=vip, **more)
    before = transitions(first, second)
    message = advertisement(200, [foreign], interval=interval, version=more.get("version", 3))
    with Neighbour(pair.client, group).repeat(message, interval / 2):
        for lvsd in (first, second):
            wait_for("the warning", lambda lvsd=lvsd: warned(lvsd, "VRID 51 is used by"))
            wait_for("it to be counted", lambda lvsd=lvsd: rejected(lvsd, "addresses") > 5)
        assert warned(first, f"for other addresses on lan0 ({foreign})")
        time.sleep(5 * interval)
        assert owners(pair.router, pair.peer, vip=vip) == [pair.router]
    assert transitions(first, second) == before and role(first) == "active"
    assert "for other addresses" in first.try_ctl("ha", "status").stdout
    wait_for("the log", lambda: "VRID 51 is used by" in first.log_tail())


def test_one_datagram_with_a_long_interval_leaves_no_pair_without_a_router(pair, routers):
    first, second = routers()
    before = transitions(first, second)
    with Neighbour(pair.client) as neighbour:
        neighbour.send(advertisement(200, ["203.0.113.9"], interval=40.95))
        wait_for("the warning", lambda: warned(first, "VRID 51 is used by"))
        assert transitions(first, second) == before
        neighbour.send(advertisement(200, [VIP], interval=40.95))
        sent = time.monotonic()
        wait_for("a change", lambda: transitions(first, second) != before)
        wait_role(first, "active", timeout=5)
        assert time.monotonic() - sent < 2
    assert warned(first, f"{CLIENT.ipv4} advertises every 40.95s, this router every 100ms")
    assert warned(second, "advertises every 40.95s")
    assert curl(pair.client, VIP)


def test_without_a_link_a_long_interval_is_adopted_up_to_a_bound(pair, routers):
    first, second = routers(link=False)
    with Neighbour(pair.client) as neighbour:
        sent = time.monotonic()
        neighbour.send(advertisement(200, [VIP], interval=40.95))
        wait_role(first, "backup")
        wait_role(first, "active")
        assert time.monotonic() - sent < 6, "ten own intervals, or 1 s more, times three and the skew"
    assert warned(first, "advertises every 40.95s, this router every 100ms")
    wait_role(second, "backup")


def test_a_pair_that_knows_by_its_link_that_nobody_is_active_elects_by_it(pair, routers):
    first, second = routers()
    message = advertisement(200, [VIP])
    with Neighbour(pair.client).repeat(message, INTERVAL / 2):
        wait_role(first, "backup")
        wait_role(first, "active", timeout=3)
        before = transitions(first, second)
        time.sleep(10 * INTERVAL)
        assert transitions(first, second) == before, "and it stays so"
        assert (role(first), role(second)) == ("active", "backup")
        assert owners(pair.router, pair.peer, vip=VIP) == [pair.router]
        assert "no router of the pair is active" in first.ctl("ha", "status")["reason"]
        assert warned(first, f"{CLIENT.ipv4} advertises priority 200 for VRID 51")
        # The peer still takes over by the link.
        first.ctl("ha", "release")
        wait_role(second, "active", timeout=3)
        first.ctl("ha", "resume")
    wait_role(first, "active")
    wait_role(second, "backup")


def test_only_peers_are_heard_with_multicast(pair, start):
    first = start(pair, config(pair, pair.router, False, only_peers=[PEER.ipv4]))
    second = start(pair, config(pair, pair.peer, False, only_peers=[ROUTER.ipv4]), host=pair.peer)
    wait_role(first, "active")
    wait_role(second, "backup")
    before = transitions(first, second)
    with Neighbour(pair.client).repeat(advertisement(200, [VIP]), INTERVAL / 10):
        for lvsd in (first, second):
            wait_for("strangers", lambda lvsd=lvsd: rejected(lvsd, "stranger") > 20)
    assert transitions(first, second) == before
    assert first.ctl("ha", "status")["instances"][0]["sent"] > 0 and rejected(second, "stranger") > 0
    first.kill()
    wait_role(second, "active")


def test_strangers_unicast_packets_are_counted_and_hold_nothing_up(pair, start):
    first = start(pair, config(pair, pair.router, False, peers=[PEER.ipv4]))
    second = start(pair, config(pair, pair.peer, False, peers=[ROUTER.ipv4]), host=pair.peer)
    wait_role(first, "active")
    wait_role(second, "backup")
    before = transitions(first, second)
    with Neighbour(pair.client, ROUTER.ipv4) as neighbour:
        message = advertisement(200, [VIP])
        for _ in range(20000):
            neighbour.send(message)
        wait_for("them to be counted", lambda: rejected(first, "stranger") > 1000)
    assert transitions(first, second) == before
    assert first.metrics()['lvs_ha_adverts_rejected_total{vrrp="pair",reason="stranger"}'] > 1000


def test_a_flood_of_lower_priority_is_not_answered_one_for_one(pair, routers):
    first, second = routers(link=False)
    sent = first.ctl("ha", "status")["instances"][0]["sent"]
    begin = time.monotonic()
    with Neighbour(pair.client) as neighbour:
        message = advertisement(1, [VIP])
        for _ in range(20000):
            neighbour.send(message)
    wait_for("them to be taken", lambda: first.ctl("ha", "status")["instances"][0]["received"] > 1000)
    answers = first.ctl("ha", "status")["instances"][0]["sent"] - sent
    assert answers <= 12 * (time.monotonic() - begin) / INTERVAL + 10
    assert role(first) == "active"


@pytest.mark.parametrize("link", [True, False], ids=["link", "alone"])
def test_priorities_that_cross_are_warned_of(pair, start, link):
    def instances(first, second):
        return [{**ha(priority)["instances"][0], "name": name, "vrid": vrid, "addresses": [vip]}
                for name, vrid, priority, vip in (("vi1", 51, first, VIP), ("vi2", 52, second, VIP4[1]))]

    first = start(pair, config(pair, pair.router, link, instances=instances(150, 100)))
    wait_role(first, "active")
    second = start(pair, config(pair, pair.peer, link, instances=instances(100, 150)), host=pair.peer)
    for lvsd in (first, second) if link else (second,):  # a router that is active hears nobody without the link
        wait_for("the warning", lambda lvsd=lvsd: warned(lvsd, "priorities cross"))
        wait_for("the log", lambda lvsd=lvsd: "priorities cross" in lvsd.log_tail())
        assert "priorities cross" in lvsd.try_ctl("ha", "status").stdout
    assert warned(second, "vi2 has 150 here and 100 at the other router, vi1 has 100 here and 150 there")
