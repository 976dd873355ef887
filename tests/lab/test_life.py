# SPDX-License-Identifier: Apache-2.0
"""The life of a real server: detection of its death under load, its way back, spares, and what operators do with it.

XLVS_KILLS=30 gives the distribution of detection times over thirty kills of each kind (the default is three of each).
"""

import hashlib
import os
import statistics
import threading
import time

from lablib.address import NAT_PORT, VIP4
from lablib.load import Download, Wrk, ask, connect, curl, errors, fetch
from lablib.lvsd import FAST_TCP, configuration, endpoint, listen, service
from lablib.netns import wait_for

KILLS = int(os.environ.get("XLVS_KILLS", "3"))
INTERVAL, TIMEOUT, FALL = 0.2, 0.2, 2
CHECK = {"type": "http", "path": "/health", "interval": "200ms", "timeout": "200ms", "rise": 1, "fall": FALL}
# The machine that runs the tests is itself late now and then; a check that is counts from its planned time.
SLACK = 0.3


def address(server, port=NAT_PORT):
    return endpoint(server.address.ipv4, port)


def created(lvsd, server):
    return next(b["traffic"]["flows"] for b in lvsd.service("web")["backends"] if b["address"] == address(server))


def web(lab, servers=None, **more):
    return configuration(lab, service("web", listen(VIP4[0]), servers or lab.servers, **more))


def answering(lab, count=9):
    return {ask(lab.client, VIP4[0])[0] for _ in range(count)}


def silence(server):
    """The host no longer answers anything, as if its cable were cut."""
    server.host.run("nft", "add table ip dead; add chain ip dead in { type filter hook input priority 0; policy drop; }")


def revive(server):
    server.host.run("nft", "delete table ip dead")


def kill_and_detect(lab, lvsd, server, kill):
    """(seconds until lvsd knew, requests lost until then)"""
    load = Wrk(lab.client, VIP4[0], seconds=3, close=True)
    before = created(lvsd, server)
    wait_for("traffic to the server", lambda: created(lvsd, server) > before)
    killed = time.time()
    kill(server)
    lvsd.wait_state("web", "down", [address(server)])
    detected = lvsd.backends("web")[address(server)]["health"]["since"] - killed
    lost = sum(errors(load.wait()).values())
    after = created(lvsd, server)
    clean = Wrk(lab.client, VIP4[0], seconds=1, close=True).wait()
    assert errors(clean) == {} and clean["requests"] > 100, f"requests were lost after the detection: {clean}"
    assert created(lvsd, server) == after
    return detected, lost


def report(kind, results):
    times = sorted(seconds for seconds, _ in results)
    print(f"{kind}: {len(times)} kills, detected after {times[0]:.3f} .. {times[-1]:.3f} s, "
          f"median {statistics.median(times):.3f} s; requests lost until then: {[lost for _, lost in results]}")


def test_a_killed_server_is_found_in_time_and_no_request_is_lost_after_that(two_nic, start):
    lab = two_nic
    lvsd = start(lab, web(lab, check=CHECK)).ready()
    results = []
    for number in range(KILLS):
        server = lab.servers[number % 3]
        results.append(kill_and_detect(lab, lvsd, server, lambda s: s.stop_nginx()))
        server.start_nginx()
        lvsd.wait_state("web", "up")
    report("refusing", results)
    # Refused at once: the last of the failures begins at most fall intervals after the kill.
    assert all(0 <= seconds <= INTERVAL * FALL + SLACK for seconds, _ in results), results


def test_a_silent_server_is_found_within_its_checks_timeout(two_nic, start):
    lab = two_nic
    lvsd = start(lab, web(lab, check=CHECK)).ready()
    results = []
    for number in range(KILLS):
        server = lab.servers[number % 3]
        try:
            results.append(kill_and_detect(lab, lvsd, server, silence))
        finally:
            revive(server)
        lvsd.wait_state("web", "up")
    report("silent", results)
    assert all(0 < seconds <= INTERVAL * FALL + TIMEOUT + SLACK for seconds, _ in results), results


def test_drain_waits_for_a_running_download(two_nic, start):
    lab = two_nic
    expected = hashlib.sha256(lab.big_file().read_bytes()).hexdigest()
    s1 = lab.servers[0]
    lvsd = start(lab, web(lab, servers=[s1])).ready()
    download = Download(lab.client, VIP4[0])
    wait_for("the download", lambda: lvsd.backends("web")[address(s1)]["active"] == 1)
    done = lvsd.try_ctl("backend", "drain", address(s1), "--wait", "--timeout", "1s")
    assert done.returncode == 1 and "1 flow still established" in done.stderr
    results = []
    waiter = threading.Thread(target=lambda: results.append(
        lvsd.try_ctl("backend", "drain", address(s1), "--wait", "--timeout", "30s", "--reason", "new disk")))
    waiter.start()
    assert download.finish() == expected
    waiter.join(40)
    assert results[0].returncode == 0, results[0].stderr
    shown = lvsd.ctl("backend", "show", "web", s1.address.ipv4)
    assert (shown["state"], shown["active"]) == ("drained", 0) and "new disk" in shown["why"]


def test_backup_and_sorry_server_take_over_and_give_back(one_arm, start):
    lab = one_arm
    s1, s2, s3 = lab.servers
    config = web(lab, servers=[s1, s2], check=FAST_TCP, sorry={"address": s3.address.ipv4, "port": NAT_PORT})
    config["services"][0]["backends"][1]["tier"] = 1
    lvsd = start(lab, config)
    lvsd.wait_state("web", "up", [address(s1)])
    assert answering(lab) == {"s1"}
    assert lvsd.backends("web")[address(s2)]["state"] == "standby"
    s1.stop_nginx()
    try:
        lvsd.wait_state("web", "down", [address(s1)])
        assert answering(lab) == {"s2"}
        held = connect(lab.client, VIP4[0])
        assert fetch(held).split()[0] == "s2"
        s2.stop_nginx()
        lvsd.wait_state("web", "down", [address(s2)])
        assert answering(lab) == {"s3"}
        assert lvsd.service("web")["pool"]["state"] == "sorry"
        assert lvsd.metrics()['lvs_service_tier{service="web"}'] == 255
        sorry = connect(lab.client, VIP4[0])
        assert fetch(sorry).split()[0] == "s3"
        s2.start_nginx()
        lvsd.wait_state("web", "up", [address(s2)])
        assert answering(lab) == {"s2"}
        assert fetch(sorry).split()[0] == "s3", "an established connection stays with the sorry server"
    finally:
        for server in (s1, s2):
            if server.nginx is None:
                server.start_nginx()
    lvsd.wait_state("web", "up", [address(s1)])
    assert answering(lab) == {"s1"}


def test_a_slow_start_is_seen_in_the_shares(two_nic, start):
    lab = two_nic
    s1 = lab.servers[0]
    lvsd = start(lab, web(lab, check=CHECK, scheduler="wrr", slow_start="20s")).ready()
    s1.stop_nginx()
    lvsd.wait_state("web", "down", [address(s1)])
    s1.start_nginx()
    lvsd.wait_state("web", "slow-start", [address(s1)])
    before = [created(lvsd, s) for s in lab.servers]
    began = lvsd.backends("web")[address(s1)]["effective_weight"]
    for _ in range(120):
        ask(lab.client, VIP4[0])
    ended = lvsd.backends("web")[address(s1)]["effective_weight"]
    share = created(lvsd, s1) - before[0], created(lvsd, lab.servers[1]) - before[1]
    assert lvsd.backends("web")[address(s1)]["state"] == "slow-start" and 0 < began <= ended < 0.8, (began, ended)
    # Turns are counted by each CPU for itself: one more or less each, for each table that a step built.
    steps = round((ended - began) * 20) + 1
    assert began * share[1] - 2 * steps - 2 <= share[0] <= ended * share[1] + 2 * steps + 2, (share, began, ended)
    lvsd.wait_state("web", "up", timeout=40)
    before = [created(lvsd, s) for s in lab.servers]
    for _ in range(30):
        ask(lab.client, VIP4[0])
    after = [created(lvsd, s) - b for s, b in zip(lab.servers, before)]
    assert max(after) - min(after) <= 4, after


def test_a_maintenance_file_takes_a_server_out(one_arm, start):
    lab = one_arm
    s1, s2, s3 = lab.servers
    directory = lab.directory / "maintenance"
    lvsd = start(lab, dict(web(lab, check=FAST_TCP), maintenance_dir=str(directory))).ready()
    held = connect(lab.client, VIP4[0])
    name = fetch(held).split()[0]
    directory.mkdir()
    (directory / s1.address.ipv4).write_text("new disk\n")
    (directory / address(s2)).touch()
    lvsd.wait_state("web", "disabled", [address(s1), address(s2)])
    assert answering(lab) == {"s3"}
    assert fetch(held).split()[0] == name, "established connections go on"
    assert "new disk" in lvsd.ctl("backend", "show", "web", address(s1))["why"]
    (directory / s1.address.ipv4).unlink()
    lvsd.wait_state("web", "up", [address(s1)])
    (directory / "web").touch()
    lvsd.wait_state("web", "disabled")
    assert curl(lab.client, VIP4[0], timeout=1, check=False) is None
    for file in directory.iterdir():
        file.unlink()
    lvsd.wait_state("web", "up")
    directory.rmdir()


def test_disabled_and_forced_hold_over_a_kill(one_arm, start):
    lab = one_arm
    s1, s2, _ = lab.servers
    lvsd = start(lab, web(lab, check=FAST_TCP)).ready()
    lvsd.ctl("backend", "disable", address(s1), "--reason", "burns")
    lvsd.ctl("backend", "force", "down", address(s2))
    assert answering(lab) == {"s3"}
    lvsd.kill()
    assert answering(lab) == {"s3"}
    lvsd.start()
    shown = lvsd.backends("web")
    assert (shown[address(s1)]["state"], shown[address(s2)]["state"]) == ("disabled", "forced-down")
    assert "burns" in shown[address(s1)]["why"]
    assert answering(lab) == {"s3"}
    lvsd.ctl("backend", "enable", address(s1))
    lvsd.ctl("backend", "force", "clear", address(s2))
    lvsd.wait_state("web", "up")
    assert answering(lab) == {"s1", "s2", "s3"}


def test_a_vip_is_withdrawn_while_nobody_is_left(one_arm, start):
    lab = one_arm
    lvsd = start(lab, web(lab, servers=lab.servers[:1], check=FAST_TCP, withdraw_vip=True)).ready()

    def present():
        return VIP4[0] in lab.router.run("ip", "-4", "addr", "show", "dev", "lo").stdout

    wait_for("the VIP", present)
    lab.servers[0].stop_nginx()
    try:
        wait_for("the VIP to go", lambda: not present())
        assert lvsd.service("web")["pool"]["withdrawn"]
    finally:
        lab.servers[0].start_nginx()
    wait_for("the VIP to come back", present)
    lvsd.kill()
    lvsd.start()
    assert present(), "a restart keeps the VIP"
    lvsd.ready()
