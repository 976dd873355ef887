# SPDX-License-Identifier: Apache-2.0
"""kill -9, restart and reload of lvsd under load: no request fails, nothing is forgotten, no counter goes back."""

import threading
import time

import pytest
from lablib.address import NAT_PORT, VIP4
from lablib.load import Wrk, ask, connect, errors, fetch
from lablib.lvsd import FAST_HTTP, configuration, endpoint, listen, service
from lablib.netns import LabError, wait_for


def address(server):
    return endpoint(server.address.ipv4, NAT_PORT)


def web(lab, servers=None, weights=None, **more):
    return configuration(lab, service("web", listen(VIP4[0]), servers or lab.servers, scheduler="wrr", weights=weights,
                                      **more))


def counters(lvsd):
    """Every number that may only grow, by name."""
    stats = lvsd.ctl("stats")
    found = {("reason", r["name"]): r["packets"] for r in stats["reasons"]}
    for s in stats["services"]:
        found.update({(s["name"], kind): value for kind, value in s["traffic"].items()})
        for b in s["backends"]:
            found.update({(s["name"], b["address"], kind): value for kind, value in b["traffic"].items()})
    return found


def assert_grown(before, after):
    back = {name: (value, after.get(name)) for name, value in before.items() if after.get(name, -1) < value}
    assert back == {}, "counters that went back (before, after)"


def test_kill_and_restart_under_load(two_nic, start):
    lab = two_nic
    s1, s2, s3 = lab.servers
    lvsd = start(lab, web(lab, weights=[4, 2, 2])).ready()
    lvsd.ctl("backend", "weight", address(s1), "7", "--service", "web")
    lvsd.ctl("backend", "drain", address(s2), "--service", "web")
    s3.stop_nginx()
    lvsd.wait_state("web", "down", [address(s3)])
    try:
        programs, before = lvsd.program_ids(), counters(lvsd)
        held = connect(lab.client, VIP4[0])
        assert fetch(held).split()[0] == "s1"
        load = [Wrk(lab.client, VIP4[0], seconds=12, close=close, connections=16) for close in (True, False)]
        time.sleep(2)  # of load before, during and after: what is measured, not what is waited for
        lvsd.kill()
        time.sleep(2)
        assert fetch(held).split()[0] == "s1"
        lvsd.start()
        # The first thing it says is what it said last: health and overrides are not learned anew.
        reports = lvsd.backends("web")
        assert reports[address(s3)]["state"] == "down"
        assert reports[address(s2)]["state"] == "drained"
        assert (reports[address(s1)]["weight"], reports[address(s1)]["weight_override"]) == (7, 7)
        assert lvsd.program_ids() == programs
        assert_grown(before, middle := counters(lvsd))
        assert middle["web", "flows"] > before["web", "flows"], "no new flow while lvsd was dead"
        for result in [wrk.wait() for wrk in load]:
            assert errors(result) == {}, result
            assert result["requests"] > 1000
        assert fetch(held).split()[0] == "s1"
        held.close()
        assert_grown(middle, counters(lvsd))
        assert lvsd.service("web")["backends"][1]["traffic"]["flows"] == 0, "a drained server got a connection"
    finally:
        s3.start_nginx()


def test_other_limits_carry_everything_over_under_load(two_nic, start):
    lab = two_nic
    limits = {"flows_ipv4": 65536, "flows_ipv6": 16384}
    lvsd = start(lab, {**web(lab), "limits": limits}).ready()
    held = [connect(lab.client, VIP4[0]) for _ in range(200)]
    servers = [fetch(sock).split()[0] for sock in held]
    before = counters(lvsd)
    load = [Wrk(lab.client, VIP4[0], seconds=15, close=close, connections=16) for close in (True, False)]
    for factor in (2, 8, 4):
        time.sleep(1)
        lvsd.write({**web(lab), "limits": {"flows_ipv4": factor * 65536, "flows_ipv6": 16384, "backends": 100 * factor}})
        refused = lvsd.try_ctl("config", "apply")
        assert refused.returncode == 3 and "restart it" in refused.stderr, refused
        programs = lvsd.program_ids()
        lvsd.leave()
        lvsd.start()
        assert all(lvsd.program_ids()[name] != old for name, old in programs.items())
        assert lvsd.status()["flow_tables"][0]["capacity"] == factor * 65536
        assert_grown(before, before := counters(lvsd))
        assert [fetch(sock).split()[0] for sock in held] == servers
    for result in [wrk.wait() for wrk in load]:
        assert errors(result) == {}, result
        assert result["requests"] > 1000
    for sock in held:
        sock.close()


def test_overrides_survive_restart_and_reload_until_cleared(one_arm, start):
    lab = one_arm
    lvsd = start(lab, web(lab)).ready()
    first = address(lab.servers[0])
    lvsd.ctl("backend", "drain", first)
    lvsd.reload()
    assert lvsd.backends("web")[first]["state"] == "drained"
    lvsd.stop()
    assert {ask(lab.client, VIP4[0])[0] for _ in range(6)} == {"s2", "s3"}
    lvsd.start()
    assert lvsd.backends("web")[first]["state"] == "drained"
    lvsd.ctl("backend", "enable", first)
    lvsd.kill()
    lvsd.start()
    lvsd.wait_state("web", "up")
    assert {ask(lab.client, VIP4[0])[0] for _ in range(6)} == {"s1", "s2", "s3"}


class Held:
    """Connections that stay open and keep asking; each knows its server. Failures are collected by server."""

    def __init__(self, lab, count):
        self.failed, self.asked = {}, 0
        self.sockets = [connect(lab.client, VIP4[0]) for _ in range(count)]
        self.server = [fetch(sock).split()[0] for sock in self.sockets]
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        alive = list(range(len(self.sockets)))
        while not self.ending.is_set():
            for n in list(alive):
                try:
                    name = fetch(self.sockets[n]).split()[0]
                    if name != self.server[n]:
                        raise LabError(f"a connection of {self.server[n]} was answered by {name}")
                    self.asked += 1
                except (OSError, LabError) as error:
                    self.failed.setdefault(self.server[n], []).append(error)
                    alive.remove(n)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.thread.join(10)
        for sock in self.sockets:
            sock.close()


def test_reload_adds_and_reweights_without_a_failure(two_nic, start):
    lab = two_nic
    s1, s2, s3 = lab.servers
    lvsd = start(lab, web(lab, [s1])).ready()
    with Held(lab, 4) as held:
        load = [Wrk(lab.client, VIP4[0], seconds=10, close=close, connections=16) for close in (True, False)]
        for servers, weights in (([s1, s2], [1, 1]), ([s1, s2, s3], [1, 3, 1]), ([s3, s1, s2], [5, 1, 0]),
                                 ([s1, s2, s3], [2, 2, 2])):
            before = counters(lvsd)
            lvsd.write(web(lab, servers, weights))
            if len(servers) == 2:
                lvsd.ctl("config", "apply")
            else:
                lvsd.reload()
            lvsd.wait_state("web", "up", [address(s) for s, w in zip(servers, weights) if w])
            assert_grown(before, counters(lvsd))
        for result in [wrk.wait() for wrk in load]:
            assert errors(result) == {}, result
    assert held.failed == {} and held.asked > 100
    assert {ask(lab.client, VIP4[0])[0] for _ in range(6)} == {"s1", "s2", "s3"}


def test_reload_removes_a_drained_backend_without_a_failure(two_nic, start):
    """The operator's way: weight 0 first, then out of the file."""
    lab = two_nic
    s1, s2, s3 = lab.servers
    lvsd = start(lab, web(lab)).ready()
    load = Wrk(lab.client, VIP4[0], seconds=8, close=True, connections=16)
    lvsd.write(web(lab, weights=[1, 1, 0]))
    lvsd.reload()
    wait_for("the end of s3's connections", lambda: lvsd.backends("web")[address(s3)]["active"] == 0)
    before = counters(lvsd)
    lvsd.write(web(lab, [s1, s2]))
    lvsd.reload()
    after = counters(lvsd)
    assert set(lvsd.backends("web")) == {address(s1), address(s2)}
    for kind in ("flows", "in_packets", "in_bytes", "out_packets", "out_bytes"):
        assert after["web", kind] >= before["web", kind], "a service's sum lost what its removed backend had"
    result = load.wait()
    assert errors(result) == {}, result


def test_reload_that_removes_a_backend_leaves_the_others_alone(two_nic, start):
    lab = two_nic
    s1, s2, s3 = lab.servers
    lvsd = start(lab, web(lab)).ready()
    with Held(lab, 9) as held:
        assert set(held.server) == {"s1", "s2", "s3"}
        for servers in ([s1, s2], [s1, s2, s3], [s2, s3, s1]):
            lvsd.write(web(lab, servers))
            lvsd.reload()
            lvsd.wait_state("web", "up")
            asked = held.asked
            wait_for("requests after the reload", lambda: held.asked > asked + 50)
    # The removed server's connections ended at that moment and were told so; no other connection noticed.
    assert set(held.failed) == {"s3"} and len(held.failed["s3"]) == held.server.count("s3")
    assert {ask(lab.client, VIP4[0])[0] for _ in range(6)} == {"s1", "s2", "s3"}


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_flows_continue_over_an_exchange_of_lvsd(one_arm, start, how):
    """A flow that began under one lvsd is the same flow for the next: same backend, counted once."""
    lab = one_arm
    lvsd = start(lab, web(lab, check=dict(FAST_HTTP, interval="1s", timeout="1s"))).ready()
    with Held(lab, 6) as held:
        for _ in range(3):
            getattr(lvsd, how)()
            lvsd.start()
        reports = lvsd.backends("web")
        assert sum(r["active"] for r in reports.values()) == 6
    assert held.failed == {}
    assert sum(b["traffic"]["flows"] for b in lvsd.service("web")["backends"]) == 6
