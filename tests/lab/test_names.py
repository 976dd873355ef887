# SPDX-License-Identifier: Apache-2.0
"""Backends given by DNS name, with a real dnsmasq: the pool follows the name, and outlives the server."""

import signal

import pytest
from lablib.address import NAT_PORT, SERVERS, VIP4, VIP6
from lablib.load import ask, connect, fetch
from lablib.lvsd import FAST_TCP, configuration, endpoint, listen
from lablib.netns import LabError, wait_for

PORT = 5353
NAME = "web.lab.test"
SHORT = {"tcp_fin_wait": "1s", "tcp_time_wait": "1s", "tcp_close": "1s", "tcp_close_wait": "1s", "tcp_last_ack": "1s"}


class Dns:
    """dnsmasq on the router's loopback interface; records have a TTL of 1 s."""

    def __init__(self, host):
        self.host, self.process = host, None
        self.hosts = host.directory / "names"

    def start(self):
        self.process = self.host.start(
            "dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--pid-file=", "--user=root", "--no-resolv", "--no-hosts",
            f"--addn-hosts={self.hosts}", "--local-ttl=1", "--local=/test/", f"--port={PORT}",
            "--listen-address=127.0.0.1", "--bind-interfaces", log=self.host.directory / "names.log")
        wait_for("dnsmasq", lambda: self.host.run("ss", "-Hlnu", f"sport = :{PORT}").stdout.strip())

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(10)
            self.process = None

    def set(self, *addresses):
        self.hosts.write_text("".join(f"{a} {NAME}\n" for a in addresses))
        if self.process:
            self.process.send_signal(signal.SIGHUP)


@pytest.fixture
def dns(one_arm):
    server = Dns(one_arm.router)
    server.set(*(a for s in SERVERS[:2] for a in (s.ipv4, s.ipv6)))
    server.start()
    yield server
    server.stop()


def web(lab, family=4, **more):
    service = {"name": "web", "listen": [listen(VIP4[0] if family == 4 else VIP6[0])], "scheduler": "rr",
               "check": FAST_TCP, "backends": [{"address": NAME, "port": NAT_PORT}]}
    names = {"min_ttl": "1s", "max_ttl": "2s", "servers": [f"127.0.0.1:{PORT}"], **more}
    return configuration(lab, service, names=names, timeouts=SHORT)


def at(*servers, family=4):
    return {endpoint(s.ipv4 if family == 4 else s.ipv6, NAT_PORT) for s in servers}


def wait_up(lvsd, *servers, family=4):
    def reached():
        return {a for a, b in lvsd.backends("web").items() if b["state"] == "up"} == at(*servers, family=family)
    wait_for(f"{[s.name for s in servers]} to be up\n{lvsd.log_tail()}", reached)


def name(lvsd):
    return lvsd.status()["names"][0]


def test_the_pool_follows_the_name_and_what_it_loses_drains(one_arm, start, dns):
    s1, s2, s3 = SERVERS
    lvsd = start(one_arm, web(one_arm))
    wait_up(lvsd, s1, s2)
    assert lvsd.backends("web")[at(s1).pop()]["host"] == NAME
    assert {ask(one_arm.client, VIP4[0])[0] for _ in range(4)} == {"s1", "s2"}
    held = {}
    while set(held) != {"s1", "s2"}:
        sock = connect(one_arm.client, VIP4[0])
        held.setdefault(fetch(sock).split()[0], sock)
    dns.set(s2.ipv4, s3.ipv4)
    wait_up(lvsd, s2, s3)
    left = lvsd.backends("web")[at(s1).pop()]
    assert (left["state"], left["leaving"]) == ("drained", True), "its connections were cut"
    assert name(lvsd)["leaving"] == [s1.ipv4]
    assert {ask(one_arm.client, VIP4[0])[0] for _ in range(6)} == {"s2", "s3"}
    assert fetch(held["s1"]).split()[0] == "s1", "an established connection did not outlive its server's name"
    for sock in held.values():
        sock.close()
    wait_for("the address to go", lambda: at(s1).isdisjoint(lvsd.backends("web")), timeout=30)
    assert name(lvsd)["leaving"] == []


def test_without_an_answer_the_pool_stays(one_arm, start, dns):
    s1, s2, s3 = SERVERS
    lvsd = start(one_arm, web(one_arm))
    wait_up(lvsd, s1, s2)
    dns.stop()
    failed = name(lvsd)["failed"]
    wait_for("two failures", lambda: name(lvsd)["failed"] >= failed + 2, timeout=30)
    wait_up(lvsd, s1, s2)
    assert any(NAME in w and "stay in use" in w for w in lvsd.status()["warnings"])
    labels = f'{{name="{NAME}",family="ipv4"}}'
    assert (lvsd.metrics()[f"lvs_name_up{labels}"], lvsd.metrics()[f"lvs_name_addresses{labels}"]) == (0, 2)
    assert {ask(one_arm.client, VIP4[0])[0] for _ in range(4)} == {"s1", "s2"}
    # A new lvsd knows them, too.
    lvsd.kill()
    lvsd.start()
    assert at(s1, s2) == set(lvsd.backends("web"))
    assert {ask(one_arm.client, VIP4[0])[0] for _ in range(4)} == {"s1", "s2"}
    dns.set(s3.ipv4)
    dns.start()
    wait_up(lvsd, s3)
    assert not any(NAME in w for w in lvsd.status()["warnings"])


def test_lvsd_starts_without_dns(one_arm, start, dns):
    dns.stop()
    lvsd = start(one_arm, web(one_arm))
    assert lvsd.backends("web") == {}
    wait_for("a failure", lambda: name(lvsd)["failed"] > 0, timeout=30)
    dns.start()
    wait_up(lvsd, *SERVERS[:2])


def test_a_name_that_exists_no_more_keeps_its_addresses(one_arm, start, dns):
    lvsd = start(one_arm, web(one_arm))
    wait_up(lvsd, *SERVERS[:2])
    dns.set()
    wait_for("a failure", lambda: name(lvsd)["error"] != "", timeout=10)
    wait_up(lvsd, *SERVERS[:2])


def test_ipv6_names_and_too_many_addresses(one_arm, start, dns):
    lvsd = start(one_arm, web(one_arm, family=6, max_addresses=1))
    wait_up(lvsd, SERVERS[0], family=6)
    assert set(lvsd.backends("web")) == at(SERVERS[0], family=6)
    assert any("max_addresses" in w for w in lvsd.status()["warnings"])


def test_a_reload_keeps_what_the_name_means(one_arm, start, dns):
    lvsd = start(one_arm, web(one_arm))
    wait_up(lvsd, *SERVERS[:2])
    resolved = name(lvsd)["resolved"]
    dns.stop()
    config = web(one_arm)
    config["services"][0]["backends"][0]["weight"] = 3
    lvsd.write(config)
    assert lvsd.ctl("config", "diff")["changes"] == [f"service web: backend {NAME}:{NAT_PORT}: weight 1 -> 3"]
    lvsd.reload()
    wait_up(lvsd, *SERVERS[:2])
    assert {b["configured_weight"] for b in lvsd.backends("web").values()} == {3}
    assert name(lvsd)["resolved"] >= resolved
    config["services"][0]["backends"] = [{"address": SERVERS[2].ipv4, "port": NAT_PORT}]
    lvsd.write(config)
    lvsd.reload()
    wait_up(lvsd, SERVERS[2])
    assert lvsd.status()["names"] == []
    with pytest.raises(LabError):
        lvsd.ctl("backend", "drain", NAME)
