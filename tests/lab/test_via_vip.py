# SPDX-License-Identifier: Apache-2.0
"""Checks that go to the VIP on a dr server: one that lost the VIP from its `lo` is found out, whoever owns the VIP."""

import pytest
from lablib.address import DR_PORT, VIP4, VIP6
from lablib.load import ask
from lablib.lvsd import FAST_HTTP, FAST_TCP, configuration, endpoint, listen, service
from lablib.netns import wait_for

CHECKS = {"tcp": FAST_TCP, "http": FAST_HTTP}


def own(server, family):
    return endpoint(server.address.ipv4 if family == 4 else server.address.ipv6, DR_PORT)


def web(lab, family, check, **more):
    vip = VIP4[0] if family == 4 else VIP6[0]
    return configuration(lab, service("web", listen(vip), lab.servers, forward="dr", family=family, port=DR_PORT,
                                      check={**check, **more}))


def lose_vip(server, family):
    vip = f"{VIP4[0]}/32" if family == 4 else f"{VIP6[0]}/128"
    server.host.ip(f"addr del {vip} dev lo")


def regain_vip(server, family):
    server.host.ip(f"addr add {VIP4[0]}/32 dev lo" if family == 4 else f"addr add {VIP6[0]}/128 dev lo nodad")


def egress(lab):
    return {dev: lab.router.run("tc", "filter", "show", "dev", dev, "egress").stdout.count("lvs_check:[")
            for dev in lab.interfaces}


@pytest.fixture
def on_link(lab):
    """Servers answer the router itself directly, also from the VIP; the lab's clients are further away."""
    if lab.topology != "two-nic":
        return lab
    for server in lab.servers:
        server.host.ip("route replace 10.0.0.0/24 dev eth0 table 100")
        server.host.ip("route replace 2001:db8:10::/64 dev eth0 table 100", family=6)
    return lab


@pytest.mark.parametrize("family", (4, 6))
@pytest.mark.parametrize("check", CHECKS)
def test_a_server_that_lost_its_vip_is_found_out(on_link, start, family, check):
    lab = on_link
    s1, s2, s3 = lab.servers
    vip = VIP4[0] if family == 4 else VIP6[0]
    lvsd = start(lab, web(lab, family, CHECKS[check], via="vip")).ready()
    assert {ask(lab.client, vip)[0] for _ in range(6)} == {"s1", "s2", "s3"}
    lose_vip(s1, family)
    try:
        lvsd.wait_state("web", "down", [own(s1, family)])
        report = lvsd.backends("web")[own(s1, family)]["health"]
        assert report["reason"] == "timeout"
        assert f"no answer at VIP {endpoint(vip, DR_PORT)} on this server" in report["detail"]
        lvsd.wait_state("web", "up", [own(s, family) for s in (s2, s3)])
        assert {ask(lab.client, vip)[0] for _ in range(6)} == {"s2", "s3"}
    finally:
        regain_vip(s1, family)
    lvsd.wait_state("web", "up")


def test_a_check_of_its_own_address_does_not_find_it_out(on_link, start):
    """What the others are compared with: the server answers at its own address, and clients are lost."""
    lab = on_link
    lvsd = start(lab, web(lab, 4, FAST_TCP)).ready()
    assert not any(egress(lab).values())
    lose_vip(lab.servers[0], 4)
    try:
        passed = lvsd.backends("web")[own(lab.servers[0], 4)]["health"]["checks_passed"]
        wait_for("ten more checks", lambda: lvsd.backends("web")[own(lab.servers[0], 4)]["health"]["checks_passed"]
                 >= passed + 10)
        lvsd.wait_state("web", "up")
    finally:
        regain_vip(lab.servers[0], 4)


def test_one_that_sends_it_back_is_found_out_too(on_link, start):
    """A server that forwards what is not its own must not find the check another server."""
    lab = on_link
    s1 = lab.servers[0]
    lvsd = start(lab, web(lab, 4, FAST_TCP, via="vip")).ready()
    s1.host.sysctl({"net.ipv4.ip_forward": 1})
    s1.host.ip("route add 198.51.100.0/24 via 10.0.0.1")
    lose_vip(s1, 4)
    try:
        lvsd.wait_state("web", "down", [own(s1, 4)])
    finally:
        s1.host.ip("route del 198.51.100.0/24 via 10.0.0.1")
        s1.host.sysctl({"net.ipv4.ip_forward": 0})
        regain_vip(s1, 4)
    lvsd.wait_state("web", "up")


def test_where_the_router_does_not_have_the_vip(on_link, start):
    """As on the backup of a pair."""
    lab = on_link
    s1, s2, s3 = lab.servers
    config = web(lab, 4, FAST_TCP, via="vip")
    lvsd = start(lab, {**config, "manage_vips": False}).ready()
    lose_vip(s1, 4)
    try:
        lvsd.wait_state("web", "down", [own(s1, 4)])
        lvsd.wait_state("web", "up", [own(s, 4) for s in (s2, s3)])
    finally:
        regain_vip(s1, 4)


def test_reload_restart_and_reset(on_link, start):
    lab = on_link
    lvsd = start(lab, web(lab, 4, FAST_TCP, via="vip")).ready()
    assert set(egress(lab).values()) == {1}
    lvsd.kill()
    lvsd.start().ready()
    assert set(egress(lab).values()) == {1}, "attached twice, or not any more"
    passed = lvsd.backends("web")[own(lab.servers[0], 4)]["health"]["checks_passed"]
    wait_for("more checks", lambda: lvsd.backends("web")[own(lab.servers[0], 4)]["health"]["checks_passed"] > passed)
    lvsd.write(web(lab, 4, FAST_TCP))
    lvsd.reload()
    assert set(egress(lab).values()) == {0}
    lvsd.write(web(lab, 4, FAST_TCP, via="vip"))
    lvsd.reload()
    assert set(egress(lab).values()) == {1}
    lvsd.ready()
    lvsd.reset()
    assert set(egress(lab).values()) == {0}
    assert not any("clsact" in lab.router.run("tc", "qdisc", "show", "dev", dev).stdout for dev in lab.interfaces)
