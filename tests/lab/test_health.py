# SPDX-License-Identifier: Apache-2.0
"""Stopped and drained servers: no new connection, and nothing established is disturbed."""

import hashlib

from lablib.address import NAT_PORT, VIP4
from lablib.load import Download, Wrk, ask, connect, curl, dig, errors, fetch
from lablib.lvsd import FAST_HTTP, FAST_TCP, configuration, endpoint, listen, service
from lablib.netns import wait_for


def address(server, port=NAT_PORT):
    return endpoint(server.address.ipv4, port)


def created(lvsd, server):
    return next(b["traffic"]["flows"] for b in lvsd.service("web")["backends"] if b["address"] == address(server))


def web(lab, **more):
    return configuration(lab, service("web", listen(VIP4[0]), lab.servers, **more))


def test_a_stopped_server_gets_no_new_connection_once_its_check_has_failed(two_nic, start):
    lab = two_nic
    s1 = lab.servers[0]
    lvsd = start(lab, web(lab)).ready()
    assert {ask(lab.client, VIP4[0])[0] for _ in range(6)} == {"s1", "s2", "s3"}
    s1.stop_nginx()
    try:
        lvsd.wait_state("web", "down", [address(s1)])
        health = lvsd.backends("web")[address(s1)]["health"]
        assert (health["state"], health["reason"]) == ("down", "refused")
        before = created(lvsd, s1)
        result = Wrk(lab.client, VIP4[0], seconds=3, close=True).wait()
        assert errors(result) == {} and result["requests"] > 1000, result
        assert created(lvsd, s1) == before
    finally:
        s1.start_nginx()
    lvsd.wait_state("web", "up")
    assert {ask(lab.client, VIP4[0])[0] for _ in range(6)} == {"s1", "s2", "s3"}


def test_every_server_down_and_back(one_arm, start):
    """Without a server packets are dropped and counted; as soon as one is back, connections succeed."""
    lab = one_arm
    lvsd = start(lab, web(lab)).ready()
    for server in lab.servers:
        server.stop_nginx()
    try:
        lvsd.wait_state("web", "down")
        assert curl(lab.client, VIP4[0], timeout=1, check=False) is None
        assert lvsd.reasons()["no_backend"] > 0
    finally:
        for server in lab.servers:
            server.start_nginx()
    lvsd.wait_state("web", "up")
    assert {ask(lab.client, VIP4[0])[0] for _ in range(6)} == {"s1", "s2", "s3"}


def test_a_failed_check_leaves_established_connections_alone(one_arm, start):
    """The check of a path that is gone fails, the server lives on: its connections go on, new ones go elsewhere."""
    lab = one_arm
    for server in lab.servers:
        ready = server.directory.parent / "www" / "ready"
        ready.parent.mkdir(exist_ok=True)
        ready.write_text("yes\n")
    lvsd = start(lab, web(lab, check=dict(FAST_HTTP, path="/ready"))).ready()
    held = [connect(lab.client, VIP4[0]) for _ in range(3)]
    names = [fetch(sock).split()[0] for sock in held]
    ready.unlink()
    lvsd.wait_state("web", "down")
    assert [fetch(sock).split()[0] for sock in held] == names
    assert curl(lab.client, VIP4[0], timeout=1, check=False) is None
    report = lvsd.backends("web")[address(lab.servers[0])]["health"]
    assert report["reason"] == "status" and "404" in report["detail"]


def test_drained_downloads_finish_and_no_new_connection_comes(two_nic, start):
    lab = two_nic
    expected = hashlib.sha256(lab.big_file().read_bytes()).hexdigest()
    lvsd = start(lab, web(lab, scheduler="lc")).ready()
    downloads = []
    for n in range(3):
        downloads.append(Download(lab.client, VIP4[0]))
        wait_for("the download to begin", lambda: sum(r["active"] for r in lvsd.backends("web").values()) > n)
    s1, s2, _ = lab.servers
    assert [r["active"] for r in lvsd.backends("web").values()] == [1, 1, 1]
    lvsd.ctl("backend", "drain", address(s1))
    lvsd.ctl("backend", "drain", s2.address.ipv4, "--service", "web")
    reports = lvsd.backends("web")
    assert [reports[address(s)]["state"] for s in (s1, s2)] == ["drained", "drained"]
    assert reports[address(s1)]["active"] == 1, "the download was cut when its server was drained"
    before = [created(lvsd, s) for s in (s1, s2)]
    assert {ask(lab.client, VIP4[0])[0] for _ in range(9)} == {"s3"}
    assert [download.finish() for download in downloads] == [expected] * 3
    assert [created(lvsd, s) for s in (s1, s2)] == before
    lvsd.ctl("backend", "enable", address(s1))
    assert "s1" in {ask(lab.client, VIP4[0])[0] for _ in range(6)}  # the least connections are there now


def test_dns_goes_on_without_a_stopped_server(one_arm, start):
    lab = one_arm
    config = configuration(lab, service("dns", [listen(VIP4[0], 53, "udp"), listen(VIP4[0], 53, "tcp")], lab.servers,
                                        port=53, check=FAST_TCP))
    lvsd = start(lab, config).ready()
    lab.servers[2].stop_dnsmasq()
    try:
        lvsd.wait_state("dns", "down", [address(lab.servers[2], 53)])
        assert {dig(lab.client, VIP4[0]) for _ in range(8)} == {"s1", "s2"}
        assert {dig(lab.client, VIP4[0], tcp=True) for _ in range(4)} == {"s1", "s2"}
    finally:
        lab.servers[2].start_dnsmasq()
