# SPDX-License-Identifier: Apache-2.0
"""A server vanishes from the network without a word: what its clients experience, by flows_on_failure."""

import threading
import time

import pytest
from lablib.address import NAT_PORT, VIP4, VIP6
from lablib.load import Wrk, ask, connect, fetch
from lablib.lvsd import FAST_TCP, configuration, endpoint, listen, service
from lablib.netns import wait_for

BLACK_HOLE = """table inet dead {
 chain in { type filter hook input priority 0; policy drop; }
 chain out { type filter hook output priority 0; policy drop; }
}"""


class Dead:
    """The server is there, but nothing reaches it and nothing leaves it: no reset comes from its kernel."""

    def __init__(self, server):
        self.host = server.host

    def __enter__(self):
        self.host.run("nft", "-f", "-", stdin=BLACK_HOLE)

    def __exit__(self, *_):
        self.host.run("nft", "delete", "table", "inet", "dead")


def connections(lab, vip, count=6):
    """{server's name: connections to it that have answered once}"""
    held = {}
    for _ in range(count):
        sock = connect(lab.client, vip, timeout=15.0)
        held.setdefault(fetch(sock).split()[0], []).append(sock)
    return held


class Asking(threading.Thread):
    """Sends a request and waits; `ended` and `error` tell when and how."""

    def __init__(self, sock):
        super().__init__(daemon=True)
        self.sock, self.ended, self.error = sock, None, None
        self.start()

    def run(self):
        try:
            fetch(self.sock)
        except OSError as error:
            self.error = error
        self.ended = time.time()


@pytest.mark.parametrize("forward,vip", [("nat", VIP4[0]), ("nat", VIP6[0]), ("dr", VIP4[0])])
def test_clients_of_a_dead_server_reconnect_within_a_second_of_its_detection(two_nic, start, forward, vip):
    lab = two_nic
    port = NAT_PORT if forward == "nat" else 80
    family = 6 if ":" in vip else 4
    dead = lab.servers[0]
    name = endpoint(dead.address.ipv6 if family == 6 else dead.address.ipv4, port)
    check = dict(FAST_TCP, port=NAT_PORT)
    lvsd = start(lab, configuration(lab, service("web", listen(vip), lab.servers, forward=forward, port=port,
                                                 family=family, check=check, flows_on_failure="reset"))).ready()
    held = connections(lab, vip)
    with Dead(dead):
        asking = [Asking(sock) for sock in held["s1"]]
        lvsd.wait_state("web", "down", [name])
        detected = lvsd.backends("web")[name]["health"]["since"]
        for one in asking:
            one.join(10)
            assert isinstance(one.error, ConnectionResetError), one.error
            print(f"reset {one.ended - detected:.2f} s after the detection")
        assert max(one.ended for one in asking) - detected < 1
        assert {ask(lab.client, vip)[0] for _ in range(4)} == {"s2", "s3"}
        for other in ("s2", "s3"):
            assert {fetch(sock).split()[0] for sock in held[other]} == {other}, "others are left alone"
    assert lvsd.reasons()["flow_reset"] == len(asking)
    lvsd.wait_state("web", "up")
    assert {ask(lab.client, vip)[0] for _ in range(6)} == {"s1", "s2", "s3"}


def test_with_keep_they_wait_for_the_server(two_nic, start):
    """What the test above would see if nothing was done: the connection outlives the outage, and so does the client's
    wait."""
    lab = two_nic
    dead = lab.servers[0]
    lvsd = start(lab, configuration(lab, service("web", listen(VIP4[0]), lab.servers, check=FAST_TCP,
                                                 scheduler="rr"))).ready()
    held = connections(lab, VIP4[0])
    with Dead(dead):
        asking = Asking(held["s1"][0])
        lvsd.wait_state("web", "down", [endpoint(dead.address.ipv4, NAT_PORT)])
        asking.join(2)
        assert asking.is_alive()
    asking.join(15)
    assert asking.ended and asking.error is None
    assert lvsd.reasons()["flow_reset"] == 0


def test_load_goes_on_when_a_server_dies_under_it(two_nic, start):
    """wrk keeps 32 connections busy; those of the dead server are reset, and all requests go elsewhere."""
    lab = two_nic
    dead = lab.servers[0]
    name = endpoint(dead.address.ipv4, NAT_PORT)
    lvsd = start(lab, configuration(lab, service("web", listen(VIP4[0]), lab.servers, check=FAST_TCP, scheduler="rr",
                                                 flows_on_failure="reset"))).ready()
    load = Wrk(lab.client, VIP4[0], seconds=8)
    wait_for("flows to the server", lambda: lvsd.backends("web")[name]["active"] > 0)
    with Dead(dead):
        lvsd.wait_state("web", "down", [name])
        wait_for("the end of all its flows", lambda: lvsd.backends("web")[name]["active"] == 0, timeout=3)
        result = load.wait()
    assert result["connect"] == 0 and result["status"] == 0, result
    assert 0 < lvsd.reasons()["flow_reset"] <= 32, "each connection of the dead server, once"


def test_a_client_that_waits_in_silence_is_reset_too(two_nic, start):
    """It has an answer already and nothing to say; only a read would tell it that the server is gone."""
    lab = two_nic
    dead = lab.servers[0]
    name = endpoint(dead.address.ipv4, NAT_PORT)
    lvsd = start(lab, configuration(lab, service("web", listen(VIP4[0]), lab.servers, check=FAST_TCP, scheduler="rr",
                                                 flows_on_failure="reset"))).ready()
    held = connections(lab, VIP4[0])
    with Dead(dead):
        lvsd.wait_state("web", "down", [name])
        detected = lvsd.backends("web")[name]["health"]["since"]
        for sock in held["s1"]:
            with pytest.raises(ConnectionResetError):
                sock.recv(1)
        print(f"the last one {time.time() - detected:.2f} s after the detection")
        assert time.time() - detected < 2
        for other in ("s2", "s3"):
            assert {fetch(sock).split()[0] for sock in held[other]} == {other}, "others are not even asked"
