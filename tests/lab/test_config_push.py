# SPDX-License-Identifier: Apache-2.0
"""`lvsctl config push`: what is changed on one router of a pair is in force on the other, whole or not at all, and clients
notice nothing of it."""

import json
import time

import pytest
from lablib.address import VIP4
from lablib.lab import PAIR
from lablib.load import Wrk, curl, errors
from lablib.lvsd import listen, service
from lablib.netns import wait_for
from lablib.pair import FIRST, SECOND, ha, role, wait_role
from lablib.peer_link import PORT, cut_link, lossy, make_keys, peer

from conftest import make_lab

VIP = VIP4[0]
PUSH_PORT = PORT + 2


@pytest.fixture(scope="module")
def pair():
    lab = make_lab(PAIR)
    make_keys(lab)
    yield lab
    lab.down()


@pytest.fixture(autouse=True)
def clean(pair):
    for host in (pair.router, pair.peer):
        for file in conf_d(host).glob("*.yaml"):
            file.unlink()
    yield
    cut_link(pair, False)


def conf_d(host):
    return host.directory / "conf.d"


def web(pair, servers, name="web", port=80, **more):
    return service(name, listen(VIP, port), servers, forward="dr", port=port, check={"type": "none"}, **more)


def write_services(host, *services, file="services.yaml", more=""):
    conf_d(host).mkdir(exist_ok=True)
    (conf_d(host) / file).write_text(json.dumps({"services": services}, indent=1) + more)


def own(pair, host, **more):
    """What is the router's own: its main file."""
    return {"interfaces": pair.interfaces, "limits": {"flows_ipv4": 262144, "flows_ipv6": 65536},
            "ha": {**ha(FIRST if host is pair.router else SECOND), "peer": peer(pair, host, **more)}}


@pytest.fixture
def routers(pair, start):
    """routers(services, second=...) -> both lvsd, with `services`; `second`: more of ha.peer there."""
    def begin(services, second=None):
        for host in (pair.router, pair.peer):
            write_services(host, *services)
        both = (start(pair, own(pair, pair.router)),
                start(pair, own(pair, pair.peer, **({"accept_config": True} if second is None else second)),
                      host=pair.peer))
        wait_role(both[0], "active")
        wait_role(both[1], "backup")
        for lvsd in both:
            wait_config(lvsd, "same")
        return both
    return begin


def wait_config(lvsd, wanted):
    wait_for(f"the configurations to be {wanted}", lambda: lvsd.ctl("ha", "status")["peer"]["config"] == wanted)


def servers_of(lvsd, name="web"):
    return sorted(b["address"] for s in lvsd.status()["services"] if s["name"] == name for b in s["backends"])


def test_what_is_pushed_is_what_a_takeover_serves(pair, routers):
    first, second = routers([web(pair, pair.servers[:1])])
    with_two = [web(pair, pair.servers[:2])]
    load = Wrk(pair.client, VIP, seconds=20)
    write_services(pair.router, *with_two, more="# by the night shift\n")
    assert first.try_ctl("config", "apply").returncode == 0
    for lvsd in (first, second):
        wait_config(lvsd, "differs")

    said = first.try_ctl("config", "push", "--dry-run")
    assert said.returncode == 0 and "Valid at the peer 192.168.7.2" in said.stdout and "added" in said.stdout
    assert len(servers_of(second)) == 1, "only a dry run"
    done = first.ctl("config", "push")
    assert done["state"] == "done" and done["acknowledged"] == done["bytes"] > 0, done
    assert servers_of(second) == servers_of(first) and len(servers_of(second)) == 2
    assert (conf_d(pair.peer) / "services.yaml").read_text() == (conf_d(pair.router) / "services.yaml").read_text()
    for lvsd in (first, second):
        wait_config(lvsd, "same")
    assert second.metrics()['lvs_peer_config_pushes_total{direction="received",result="applied"}'] == 1
    assert (role(first), role(second)) == ("active", "backup")
    assert errors(load.stop()) == {}

    first.kill()
    wait_role(second, "active")
    seen = {curl(pair.client, VIP).split()[0] for _ in range(20)}
    assert seen == {"s1", "s2"}
    second.leave()
    second.start()
    assert len(servers_of(second)) == 2, "it is on disk"


def test_a_router_that_does_not_accept_says_so(pair, routers):
    first, second = routers([web(pair, pair.servers[:1])], second={})
    write_services(pair.router, web(pair, pair.servers))
    first.reload()
    refused = first.try_ctl("config", "push")
    assert refused.returncode == 1 and "accept_config" in refused.stderr, refused
    assert len(servers_of(second)) == 1 and second.status()["config"]["generation"] == 1


def test_what_is_not_valid_there_changes_nothing_there(pair, routers):
    first, second = routers([web(pair, pair.servers[:1])])
    # The second router's own file has the name of one that the first is about to push.
    (conf_d(pair.peer) / "more.yaml").write_text("max_programs: 3\n")
    write_services(pair.router, web(pair, pair.servers))
    write_services(pair.router, web(pair, pair.servers, name="more", port=81), file="more.yaml")
    first.reload()
    refused = first.try_ctl("config", "push")
    assert refused.returncode == 3, refused
    assert f"{conf_d(pair.peer)}/more.yaml is this router's own" in refused.stderr
    assert len(servers_of(second)) == 1
    assert (conf_d(pair.peer) / "more.yaml").read_text() == "max_programs: 3\n"
    assert not second.status()["config"]["stale"]


def test_a_large_one_over_a_bad_link(pair, routers):
    first, second = routers([web(pair, pair.servers[:1])])
    write_services(pair.router, web(pair, pair.servers), more="".join(f"# line {i:60}\n" for i in range(5000)))
    first.reload()
    with lossy(pair.peer, 10, f"udp dport {PUSH_PORT}"), lossy(pair.router, 10, f"udp dport {PUSH_PORT}"):
        done = first.ctl("config", "push")
    assert done["state"] == "done" and done["bytes"] > 300_000, done
    assert servers_of(second) == servers_of(first)


def test_a_link_that_is_cut_leaves_the_other_router_as_it_was(pair, routers):
    first, second = routers([web(pair, pair.servers[:1])])
    write_services(pair.router, web(pair, pair.servers))
    first.reload()
    before = (conf_d(pair.peer) / "services.yaml").read_text()
    with lossy(pair.peer, 100, f"udp dport {PUSH_PORT}"):
        began = time.monotonic()
        lost = first.try_ctl("config", "push")
        assert lost.returncode == 1 and "does not answer" in lost.stderr, lost
        assert time.monotonic() - began < 8
    assert (conf_d(pair.peer) / "services.yaml").read_text() == before
    assert len(servers_of(second)) == 1
    assert first.ctl("config", "push")["state"] == "done", "and afterwards it works"
    assert len(servers_of(second)) == len(pair.servers)
