# SPDX-License-Identifier: Apache-2.0
"""What befalls a running lvsd: systemd, interfaces that vanish and return, a damaged state file, sockets in use."""

import os
import signal
import socket
from contextlib import contextmanager
from pathlib import Path

import pytest
from lablib.address import NAT_PORT, VIP4
from lablib.load import curl
from lablib.lvsd import SANITIZERS, Lvsd, configuration, endpoint, listen, service
from lablib.netns import wait_for

CONFLICT, UNSUPPORTED = 4, 5  # exit codes, docs/operations.md
UNIT = Path(__file__).resolve().parents[2] / "packaging/lvsd.service.in"


def web(lab, **more):
    return configuration(lab, service("web", listen(VIP4[0]), lab.servers), **more)


def everybody_answers(lab):
    return {curl(lab.client, VIP4[0]).split()[0] for _ in range(6)} == {"s1", "s2", "s3"}


@contextmanager
def extra_interface(lab):
    """x0 on the router, besides those of the topology."""
    def add():
        lab.router.ip("link add x0 type veth peer name x1", "link set x1 up", "link set x0 up")

    add()
    try:
        yield add
    finally:
        lab.router.run("ip", "link", "del", "x0", check=False)


def has_xdp(lab, interface):
    return "xdp" in lab.router.run("ip", "link", "show", "dev", interface).stdout


def test_metrics_port_in_use(one_arm):
    lab = one_arm
    blocker = lab.router.start("nc", "-l", "127.0.0.1", "9539", log=lab.directory / "nc.log")
    try:
        wait_for("nc", lambda: ":9539" in lab.router.run("ss", "-Hltn").stdout)
        lvsd = Lvsd(lab)
        lvsd.write(web(lab))
        done = lvsd.run()
        assert done.returncode == CONFLICT and "127.0.0.1:9539" in done.stderr
        assert not lvsd.pins.exists() and not lvsd.socket.exists() and not has_xdp(lab, "lan0")
    finally:
        blocker.terminate()
        blocker.wait(10)


def test_native_mode_where_there_is_none(one_arm):
    lab = one_arm
    lvsd = Lvsd(lab)
    lvsd.write(web(lab, interfaces=["lan0", {"name": "lo", "mode": "native"}]))
    done = lvsd.run()
    assert done.returncode == UNSUPPORTED and "lo: the driver refuses" in done.stderr
    assert not lvsd.pins.exists() and not has_xdp(lab, "lan0"), "what was attached before the failure stayed"
    assert VIP4[0] not in lab.router.run("ip", "addr", "show").stdout


def test_the_capabilities_of_the_unit_are_enough(one_arm):
    lab = one_arm
    line = next(x for x in UNIT.read_text().splitlines() if x.startswith("CapabilityBoundingSet="))
    bounds = ",".join("+" + name[4:].lower() for name in line.partition("=")[2].split())
    lvsd = Lvsd(lab)
    lvsd.write(web(lab))
    lvsd.process = lab.router.start("setpriv", f"--bounding-set=-all,{bounds}", *lvsd.arguments(), log=lvsd.log,
                                    env=SANITIZERS)
    try:
        wait_for(f"lvsd\n{lvsd.log_tail()}", lvsd._answers, timeout=20)
        lvsd.ready()
        assert everybody_answers(lab)
    finally:
        lvsd.reset()
        lvsd.log.unlink()


def test_what_systemd_is_told(one_arm):
    lab = one_arm
    path = lab.directory / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(path))
        systemd.settimeout(20)

        def heard(text):
            while text not in (message := systemd.recv(4096).decode()):
                pass
            return message

        lvsd = Lvsd(lab)
        lvsd.write(web(lab))
        env = {**SANITIZERS, "NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "600000"}
        lvsd.process = lab.router.start(*lvsd.arguments(), log=lvsd.log, env=env)
        try:
            assert "1 service, " in heard("READY=1")
            assert lvsd.try_ctl("version").returncode == 0, "READY=1 before lvsd answers"
            for _ in range(3):
                heard("WATCHDOG=1")
            os.kill(lvsd.process.pid, signal.SIGHUP)
            assert "MONOTONIC_USEC=" in heard("RELOADING=1")
            heard("READY=1")
            lvsd.write("nonsense")
            os.kill(lvsd.process.pid, signal.SIGHUP)
            heard("RELOADING=1")
            assert "rejected" in heard("READY=1")
            os.kill(lvsd.process.pid, signal.SIGTERM)
            heard("STOPPING=1")
            assert lvsd.process.wait(20) == 0
        finally:
            lvsd.reset()
            lvsd.log.unlink()


def test_an_interface_that_returns_is_attached_again(one_arm, start):
    lab = one_arm
    with extra_interface(lab) as add:
        lvsd = start(lab, web(lab, interfaces=["lan0", "x0"])).ready()
        assert has_xdp(lab, "x0")
        lab.router.ip("link del x0")
        wait_for("the warning", lambda: "interface x0 is gone" in lvsd.status()["warnings"])
        assert everybody_answers(lab)
        add()
        wait_for("the program on x0", lambda: has_xdp(lab, "x0"), timeout=20)
        wait_for("an end of warnings", lambda: lvsd.status()["warnings"] == [])
        reported = {i["name"]: i for i in lvsd.status()["interfaces"]}
        assert reported["x0"]["program_id"] == reported["lan0"]["program_id"]


def test_reload_attaches_and_detaches_interfaces(one_arm, start):
    lab = one_arm
    with extra_interface(lab):
        lvsd = start(lab, web(lab)).ready()
        assert not has_xdp(lab, "x0")
        lvsd.write(web(lab, interfaces=["lan0", "x0"]))
        lvsd.reload()
        assert has_xdp(lab, "x0")
        lvsd.write(web(lab))
        lvsd.reload()
        assert not has_xdp(lab, "x0") and has_xdp(lab, "lan0")
        assert everybody_answers(lab)


@pytest.mark.parametrize("damage", ["truncated", "removed"])
def test_a_lost_state_file_stops_nothing(one_arm, start, damage):
    lab = one_arm
    lvsd = start(lab, web(lab)).ready()
    state = lvsd.state_dir / lab.instance / "state.json"
    lvsd.kill()
    if damage == "removed":
        state.unlink()
    else:
        state.write_text(state.read_text()[:40])
    lvsd.start()
    # Up before any check: what the maps hold is what clients use.
    assert "adopted 3 backends of an earlier lvsd, 3 of them up" in lvsd.log_tail()
    assert everybody_answers(lab)
    if damage == "truncated":
        assert state.with_suffix(".json.corrupt").exists() and "is not usable" in lvsd.log_tail()
    lvsd.reset()
    lab.router.ip(f"addr del {VIP4[0]}/32 dev lo")  # nobody knows any more that lvsd had added it


def test_two_instances_side_by_side(one_arm, start):
    """The second has an interface, a VIP and a metrics port of its own; neither notices the other."""
    lab = one_arm
    with extra_interface(lab):
        first = start(lab, web(lab)).ready()
        second = Lvsd(lab)
        second.config = lab.directory / "second.yaml"
        second.write({"interfaces": ["x0"], "metrics": {"listen": "127.0.0.1:9540"},
                      "services": [service("other", listen(VIP4[2]), lab.servers)]})
        name = lab.instance + "-b"
        arguments = [a if a != lab.instance else name for a in second.arguments()]
        process = lab.router.start(*arguments, log=lab.directory / "second.log", env=SANITIZERS)
        second.socket = second.run_dir / name / "lvsd.sock"
        try:
            second.process = process
            wait_for("the second lvsd", second._answers, timeout=20)
            assert [s["name"] for s in second.status()["services"]] == ["other"]
            assert [s["name"] for s in first.status()["services"]] == ["web"]
            assert [x.status()["version"]["instance"] for x in (first, second)] == [lab.instance, name]
            assert everybody_answers(lab)
        finally:
            process.terminate()
            process.wait(20)
            lab.router.run(*arguments, "--reset")
        assert everybody_answers(lab)
        address = endpoint(lab.servers[0].address.ipv4, NAT_PORT)
        assert first.backends("web")[address]["state"] == "up"
