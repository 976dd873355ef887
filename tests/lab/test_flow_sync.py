# SPDX-License-Identifier: Apache-2.0
"""Established connections go on when the role moves from one router to the other, and back. XLVS_CONNECTIONS=10000 for
more of them."""

import json
import os
import signal
import sys
import uuid

import pytest
from lablib import connections
from lablib.address import VIP4
from lablib.lab import PAIR
from lablib.lvsd import configuration, listen, service
from lablib.netns import wait_for
from lablib.pair import FIRST, SECOND, ha, wait_role
from lablib.peer_link import lossy, make_keys, peer

from conftest import make_lab

COUNT = int(os.environ.get("XLVS_CONNECTIONS", "300"))
LATER = COUNT // 3  # that are opened while the second router is active
ECHO_PORT = 7008
GATEWAY = "10.0.0.254"  # the servers' way back, which moves between the routers
VIP = VIP4[0]


@pytest.fixture(scope="module")
def pair():
    lab = make_lab(PAIR)
    for server in lab.servers:
        server.host.ip(f"route replace default via {GATEWAY}")
        server.host.start(sys.executable, connections.__file__, "echo", ECHO_PORT, log=server.directory / "held.log")
    make_keys(lab)
    yield lab
    lab.down()


def config(lab, host, forward, **flows):
    first = host is lab.router
    held = service("held", listen(VIP, ECHO_PORT), lab.servers, forward=forward, port=ECHO_PORT, check={"type": "none"})
    other = service("other", listen(VIP, 80), lab.servers, check={"type": "none"})
    section = ha(FIRST if first else SECOND, addresses=[VIP, GATEWAY])
    # Ids and sizes of tables differ between the two.
    services = [held, other] if first else [other, held]
    made = configuration(lab, *services, ha={**section, "peer": peer(lab, host, **({"flows": flows} if flows else {}))})
    if not first:
        made["limits"] = {"flows_ipv4": 65536, "flows_ipv6": 16384}
    return made


class Connections:
    """lablib/connections.py from the client to the virtual address."""

    def __init__(self, lab, count):
        self.count = count
        self.log = lab.client.directory / f"held-{uuid.uuid4().hex[:8]}.log"
        self.process = lab.client.start(sys.executable, connections.__file__, "hold", VIP, ECHO_PORT, count, log=self.log)
        wait_for(f"{count} connections", lambda: "ready" in self.log.read_text(), 60)

    def check(self):
        """How many go on; all others by what became of them."""
        before = len(self.log.read_text().splitlines())
        self.process.send_signal(signal.SIGUSR1)
        wait_for("a round of echoes", lambda: len(self.log.read_text().splitlines()) > before, 60)
        return json.loads(self.log.read_text().splitlines()[-1])

    def all_go_on(self):
        assert self.check() == {"echoed": self.count}

    def close(self):
        self.process.terminate()
        self.process.wait(20)


@pytest.fixture
def hold(pair):
    held = []

    def begin(count):
        held.append(Connections(pair, count))
        return held[-1]

    yield begin
    for one in held:
        one.close()


@pytest.fixture(params=["nat", "dr"])
def routers(pair, start, request):
    first = start(pair, config(pair, pair.router, request.param))
    second = start(pair, config(pair, pair.peer, request.param), host=pair.peer)
    wait_role(first, "active")
    wait_role(second, "backup")
    return first, second


def flows(lvsd):
    return lvsd.ctl("ha", "status")["flows"]


def established(lvsd):
    return sum(b["active"] for b in lvsd.service("held")["backends"])


def wait_known(lvsd, count):
    wait_for(f"{count} flows to be known\n{lvsd.log_tail()}", lambda: established(lvsd) >= count, 30)


def wait_in_step(*routers):
    for lvsd in routers:
        wait_for(f"the routers to be in step\n{lvsd.log_tail()}", lambda lvsd=lvsd: flows(lvsd)["state"] == "in-step", 30)


def test_the_active_router_dies_and_comes_back(pair, routers, hold):
    first, second = routers
    early = hold(COUNT)
    wait_known(second, COUNT)
    assert (flows(first)["sends"], flows(second)["sends"]) == (True, False)
    assert not any(flows(second)["refused"].values())

    first.kill()
    pair.switch.ip("link set router down")
    wait_role(second, "active")
    early.all_go_on()
    later = hold(LATER)  # of which the first router knows nothing

    pair.switch.ip("link set router up")
    first.start()
    wait_role(first, "active", 20)
    wait_role(second, "backup")
    assert "ha: may preempt: the other router's flows are here" in first.log.read_text()
    assert established(first) >= COUNT + LATER
    early.all_go_on()
    later.all_go_on()
    wait_in_step(first, second)
    assert flows(second)["snapshots_received"] >= 1


def test_the_role_is_handed_over_and_taken_back(routers, hold):
    first, second = routers
    early = hold(COUNT)
    wait_known(second, COUNT)
    first.ctl("ha", "release")
    wait_role(second, "active")
    early.all_go_on()
    later = hold(LATER)
    wait_known(first, COUNT + LATER)
    first.ctl("ha", "resume")
    wait_role(first, "active")
    early.all_go_on()
    later.all_go_on()


def hand_over(lvsd, how):
    if how == "release":
        lvsd.ctl("ha", "release")
    else:
        assert lvsd.stop() == 0


@pytest.mark.parametrize("how", ["release", "stop"])
def test_a_planned_hand_over_keeps_the_youngest_connections(routers, hold, how):
    """Those that the other router would not have been told of for a second yet."""
    first, second = routers
    wait_in_step(first)
    held = hold(COUNT)
    hand_over(first, how)
    wait_role(second, "active")
    held.all_go_on()
    assert "ha: hands over: the other router knows all flows" in first.log.read_text()


@pytest.mark.parametrize("how", ["release", "stop"])
@pytest.mark.parametrize("routers", ["nat"], indirect=True)
def test_a_peer_that_does_not_hear_is_handed_over_to_all_the_same(pair, routers, hold, how):
    first, second = routers
    wait_in_step(first)
    hold(COUNT)
    with lossy(pair.router, 100, "udp dport 5395"):
        hand_over(first, how)
        wait_role(second, "active", 2)
    assert "may not know all flows: the other router has not acknowledged them within 200 ms" in first.log.read_text()


@pytest.mark.parametrize("routers", ["nat"], indirect=True)
def test_connections_that_end_do_not_count_on_the_backup(routers, hold):
    first, second = routers
    held = hold(COUNT)
    wait_known(second, COUNT)
    held.close()
    wait_for("the end of the flows", lambda: established(first) == 0)
    wait_for("the end of their copies", lambda: established(second) == 0)


@pytest.mark.parametrize("routers", ["nat"], indirect=True)
def test_a_link_that_loses_datagrams(pair, routers, hold):
    first, second = routers
    with lossy(pair.peer, 20, "udp dport 5395"), lossy(pair.router, 20, "udp dport 5395"):
        hold(COUNT)
        wait_known(second, COUNT)
        wait_in_step(first, second)
    metrics = second.metrics()
    assert metrics["lvs_flow_sync_in_step"] == 1
    assert metrics["lvs_flow_sync_flows_received_total"] >= COUNT
    assert "receives, in-step" in second.try_ctl("ha", "status").stdout


@pytest.mark.parametrize("routers", ["nat"], indirect=True)
def test_a_configuration_that_differs_is_counted(pair, routers, hold):
    first, second = routers
    other = config(pair, pair.peer, "nat")
    held = next(s for s in other["services"] if s["name"] == "held")
    held["backends"] = held["backends"][:2]
    second.write(other)
    second.reload()
    hold(COUNT)
    wait_for("refused flows", lambda: flows(second)["refused"]["no_backend"] >= COUNT // 3)
    second.write(config(pair, pair.peer, "nat"))
    second.reload()
    wait_known(second, COUNT)
