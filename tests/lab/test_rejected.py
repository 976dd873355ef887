# SPDX-License-Identifier: Apache-2.0
"""A configuration that is not accepted changes nothing: packets, maps and status are exactly as before."""

import json
import signal

import pytest
from lablib.address import VIP4
from lablib.load import Wrk, ask, connect, errors, fetch
from lablib.lvsd import configuration, listen, service
from lablib.netns import command, wait_for


def good(lab):
    # Without checks and with small maps: nothing moves by itself, and all of it can be read.
    return configuration(lab, service("web", listen(VIP4[0]), lab.servers, weights=[3, 2, 1], scheduler="wrr",
                                      check={"type": "none"}),
                         limits={"flows_ipv4": 4096, "flows_ipv6": 1024, "services": 16, "listeners": 64, "backends": 64})


def broken(config, what):
    bad = json.loads(json.dumps(config))
    web = bad["services"][0]
    if what == "unknown key":
        web["schedular"] = "rr"
    elif what == "wrong type":
        web["backends"][0]["weight"] = "heavy"
    elif what == "bad address":
        web["backends"][1]["address"] = "10.0.0.256"
    elif what == "duplicate listener":
        bad["services"].append(dict(web, name="other"))
    elif what == "missing interface":
        bad["interfaces"] = [*bad["interfaces"], "eth7"]
    elif what == "other limits":
        bad["limits"]["flows_ipv4"] *= 2
    elif what == "not YAML":
        return json.dumps(bad)[:-20]
    # Something valid beside it, which must not come into force either.
    web["backends"].pop()
    return json.dumps(bad, indent=1)


BROKEN = ["unknown key", "wrong type", "bad address", "duplicate listener", "missing interface", "other limits",
          "not YAML"]


def maps(lvsd):
    """The contents of every pinned map."""
    found = {}
    for pin in sorted(lvsd.pins.rglob("*")):
        if pin.is_file():
            shown = command(["bpftool", "-j", "map", "show", "pinned", pin], check=False)
            if shown.returncode == 0 and "type" in json.loads(shown.stdout or "{}"):
                found[pin.name] = command(["bpftool", "-j", "map", "dump", "pinned", pin]).stdout
    return found


def settled(status):
    """Status without what a rejected reload is meant to change: that it was rejected."""
    return {**status, "config": {k: v for k, v in status["config"].items() if not k.startswith("stale")},
            "warnings": [w for w in status["warnings"] if "config" not in w.lower()]}


@pytest.mark.parametrize("what", BROKEN)
def test_a_rejected_reload_changes_nothing(one_arm, start, what):
    lab = one_arm
    lvsd = start(lab, good(lab))
    held = connect(lab.client, VIP4[0])
    server = fetch(held).split()[0]
    # Until a sweep has seen the flow.
    wait_for("the flow to be counted", lambda: lvsd.status()["flow_tables"][0]["used"] == 1)
    status, before = settled(lvsd.status()), maps(lvsd)
    assert len(before) > 8, f"maps seen under {lvsd.pins}: {list(before)}"

    lvsd.write(broken(good(lab), what))
    done = lvsd.try_ctl("config", "apply")
    assert done.returncode == (5 if what == "missing interface" else 3), done.stderr
    assert done.stderr.strip()
    lvsd.process.send_signal(signal.SIGHUP)
    wait_for("a stale configuration to be reported", lambda: lvsd.metrics()["lvs_config_stale"] == 1)

    assert lvsd.status()["config"]["stale"] is True
    assert settled(lvsd.status()) == status
    after = maps(lvsd)
    assert {name for name in before if before[name] != after.get(name)} == set()
    assert fetch(held).split()[0] == server
    held.close()
    lvsd.write(good(lab))
    lvsd.ctl("config", "apply")
    assert lvsd.metrics()["lvs_config_stale"] == 0


def test_the_comparison_sees_an_accepted_reload(one_arm, start):
    lab = one_arm
    lvsd = start(lab, good(lab))
    status, before = settled(lvsd.status()), maps(lvsd)
    fewer = good(lab)
    fewer["services"][0]["backends"].pop()
    lvsd.write(fewer)
    lvsd.ctl("config", "apply")
    changed = {name for name, dump in maps(lvsd).items() if dump != before[name]}
    assert {"backends", "tables", "reals4"} & changed and settled(lvsd.status()) != status


def test_errors_name_file_line_and_column_all_at_once(one_arm, start):
    lab = one_arm
    lvsd = start(lab, good(lab))
    lvsd.write("interfaces: [lan0]\n"
               "services:\n"
               "  - name: web\n"
               "    listen: [\"198.51.100.10:80/tcp\"]\n"
               "    forward: teleport\n"
               "    backends:\n"
               "      - {address: 10.0.0.11, port: 99999}\n"
               "      - {adress: 10.0.0.12}\n")
    for done in (lvsd.try_ctl("config", "apply"), lvsd.run("--check")):
        assert done.returncode == 3
        for position in (":5:", ":7:", ":8:"):
            assert f"lvs.yaml{position}" in done.stdout + done.stderr
    lvsd.write(good(lab))
    assert lvsd.run("--check").returncode == 0


def test_rejected_reloads_under_load_fail_no_request(two_nic, start):
    lab = two_nic
    lvsd = start(lab, good(lab))
    load = Wrk(lab.client, VIP4[0], seconds=4, close=True)
    for what in BROKEN:
        lvsd.write(broken(good(lab), what))
        assert lvsd.try_ctl("config", "apply").returncode != 0
    result = load.wait()
    assert errors(result) == {} and result["requests"] > 1000, result
    assert {ask(lab.client, VIP4[0])[0] for _ in range(6)} == {"s1", "s2", "s3"}
