# SPDX-License-Identifier: Apache-2.0
"""What lvsd has put into the kernel comes back when somebody takes it away, each time while traffic is sent: the table
"What is looked after" of docs/operations.md, row by row. Reports tell what is there, not what should be."""

import json
import shutil
import time
from contextlib import contextmanager

import pytest
from lablib.address import DR_PORT, VIP4, VIP6
from lablib.load import curl
from lablib.lvsd import FAST_TCP, configuration, listen, service
from lablib.netns import wait_for

AT_ONCE, SOON = 2, 8  # seconds: by an event of the kernel's; with the tick


def web(lab, vips=(VIP4[0],), **more):
    return configuration(lab, *(service(f"web{i}", listen(vip), lab.servers, family=6 if ":" in vip else 4)
                                for i, vip in enumerate(vips)), **more)


def answers(lab, vip=VIP4[0]):
    return curl(lab.client, vip, timeout=1, check=False) is not None


def addresses(lab, device):
    links = json.loads(lab.router.run("ip", "-j", "addr", "show", "dev", device).stdout)
    return {a["local"] for link in links for a in link.get("addr_info", [])}


def comes_back(lvsd, lab, vip=VIP4[0], within=AT_ONCE):
    wait_for(f"an answer of {vip}\n{lvsd.log_tail()}", lambda: answers(lab, vip), timeout=within)


def repaired(lvsd, kind):
    return lvsd.ctl("stats")["repairs"][kind]


def logged(lvsd, text):
    wait_for(f"\"{text}\" in the log\n{lvsd.log_tail()}", lambda: text in lvsd.log.read_text(), timeout=3)


def has_xdp(lab, device):
    return "xdp" in lab.router.run("ip", "link", "show", "dev", device).stdout


def test_an_address_that_somebody_removes_from_lo(two_nic, start):
    lab = two_nic
    lvsd = start(lab, web(lab)).ready()
    assert answers(lab)
    lab.router.ip(f"addr del {VIP4[0]}/32 dev lo")
    wait_for("the address", lambda: VIP4[0] in addresses(lab, "lo"), timeout=AT_ONCE)
    comes_back(lvsd, lab)
    logged(lvsd, f"VIP {VIP4[0]} was removed from lo by somebody; added again")
    assert repaired(lvsd, "vip") == 1
    assert lvsd.status()["vips"] == [VIP4[0]] and lvsd.metrics()[f'lvs_vip_present{{vip="{VIP4[0]}"}}'] == 1


@pytest.fixture
def vip_link(two_nic):
    """An interface of its own for the VIPs, which may be flapped and made anew."""
    lab = two_nic

    def make():
        lab.router.ip("link add v0 type veth peer name v1", "link set v1 up", "link set v0 up")

    make()
    yield make
    lab.router.run("ip", "link", "del", "v0", check=False)


def test_a_link_flap_that_takes_the_ipv6_address(two_nic, vip_link, start):
    lab = two_nic
    lvsd = start(lab, web(lab, (VIP4[0], VIP6[0]), vip_interface="v0")).ready()
    assert answers(lab, VIP6[0])
    lab.router.ip("link set v0 down")
    lab.router.ip("link set v0 up")
    wait_for("the addresses", lambda: {VIP4[0], VIP6[0]} <= addresses(lab, "v0"), timeout=AT_ONCE)
    for vip in (VIP4[0], VIP6[0]):
        comes_back(lvsd, lab, vip)


def test_an_interface_that_is_made_anew(two_nic, vip_link, start):
    lab = two_nic
    lvsd = start(lab, web(lab, (VIP4[0], VIP6[0]), vip_interface="v0")).ready()
    lab.router.ip("link del v0")
    wait_for("the fact in the status", lambda: lvsd.status()["vips"] == [], timeout=AT_ONCE)
    status = lvsd.status()
    assert status["vips_missing"] == [VIP4[0], VIP6[0]]
    assert any("is not on v0" in warning for warning in status["warnings"]), status["warnings"]
    assert lvsd.metrics()[f'lvs_vip_present{{vip="{VIP4[0]}"}}'] == 0
    vip_link()
    wait_for("the addresses", lambda: {VIP4[0], VIP6[0]} <= addresses(lab, "v0"), timeout=AT_ONCE)
    for vip in (VIP4[0], VIP6[0]):
        comes_back(lvsd, lab, vip)
    assert not any("is not on v0" in warning for warning in lvsd.status()["warnings"])


def test_what_cannot_be_put_back_is_a_warning(two_nic, vip_link, start):
    lab = two_nic
    lvsd = start(lab, web(lab, (VIP4[0], VIP6[0]), vip_interface="v0")).ready()
    lab.router.run("sysctl", "-qw", "net.ipv6.conf.v0.disable_ipv6=1")
    wait_for("the fact in the status", lambda: lvsd.status()["vips"] == [VIP4[0]], timeout=AT_ONCE)
    warnings = [w for w in lvsd.status()["warnings"] if VIP6[0] in w]
    assert warnings and "is not on v0" in warnings[0], lvsd.status()["warnings"]
    assert answers(lab, VIP4[0]), "one address that fails kept another away"
    lab.router.run("sysctl", "-qw", "net.ipv6.conf.v0.disable_ipv6=0")
    wait_for("the address", lambda: VIP6[0] in addresses(lab, "v0"), timeout=SOON)
    comes_back(lvsd, lab, VIP6[0])


def test_a_route_that_announces(two_nic, start):
    lab = two_nic
    lvsd = start(lab, web(lab, ha={"mode": "anycast", "table": 100})).ready()

    def announced():
        return VIP4[0] in lab.router.run("ip", "route", "show", "table", "100", check=False).stdout

    wait_for("the route", announced, timeout=SOON)
    lab.router.ip(f"route del blackhole {VIP4[0]}/32 table 100")
    wait_for("the route", announced, timeout=AT_ONCE)
    logged(lvsd, f"the route that announces VIP {VIP4[0]} was removed from table 100 by somebody; added again")
    lab.router.ip(f"route replace unreachable {VIP4[0]}/32 table 100")
    wait_for("our own route", lambda: "blackhole" in lab.router.run("ip", "route", "show", "table", "100").stdout,
             timeout=SOON)
    assert [vip["announced"] for vip in lvsd.ctl("ha", "status")["vips"]] == [True]


@pytest.mark.skipif(shutil.which("bpftool") is None, reason="bpftool is not installed")
def test_an_xdp_program_that_somebody_detaches(two_nic, start):
    lab = two_nic
    lvsd = start(lab, web(lab)).ready()
    lab.router.run("bpftool", "link", "detach", "pinned", next(lvsd.pins.iterdir()) / "link-wan0")
    assert not has_xdp(lab, "wan0") and not answers(lab)
    wait_for("the program", lambda: has_xdp(lab, "wan0"), timeout=SOON)
    comes_back(lvsd, lab)
    assert repaired(lvsd, "link") == 1
    logged(lvsd, "wan0: its XDP program was detached by somebody; attached again")
    lvsd.kill()
    assert answers(lab), "the new link is not pinned"
    lvsd.start()


def test_a_classifier_that_somebody_removes(one_arm, start):
    lab = one_arm
    vip = service("web", listen(VIP4[0]), lab.servers, forward="dr", port=DR_PORT, check={**FAST_TCP, "via": "vip"})
    lvsd = start(lab, configuration(lab, vip)).ready()

    def classifier():
        return "lvs_check" in lab.router.run("tc", "filter", "show", "dev", "lan0", "egress").stdout

    assert classifier()
    lab.router.run("tc", "qdisc", "del", "dev", "lan0", "clsact")
    wait_for("the classifier", classifier, timeout=SOON)
    assert repaired(lvsd, "classifier") == 1
    lvsd.wait_state("web", "up")
    assert answers(lab)


@contextmanager
def gone(path):
    """Takes pins away, whatever is in them, without touching what they stand for."""
    if path.is_dir():
        for entry in path.iterdir():
            entry.unlink()
        path.rmdir()
    else:
        path.unlink()
    yield


def survives(lvsd, lab):
    """The promise that pins are for."""
    lvsd.kill()
    assert answers(lab), "traffic ended with lvsd"
    lvsd.start().ready()
    assert answers(lab)


@pytest.mark.parametrize("what", ("link-wan0", "buckets4", "program", ""))
def test_pins_that_vanish_are_there_again_before_the_crash_that_needs_them(two_nic, start, what):
    lab = two_nic
    lvsd = start(lab, web(lab)).ready()
    layout = next(lvsd.pins.iterdir())
    pin = layout / what if what else layout
    if what and not pin.exists():
        pytest.fail(f"no pin {pin}: {[p.name for p in layout.iterdir()]}")
    with gone(pin):
        wait_for(f"the pin\n{lvsd.log_tail()}", lambda: pin.exists() and (layout / "link-wan0").exists(), timeout=SOON)
    assert repaired(lvsd, "pin") == 1
    logged(lvsd, "pins were removed by somebody")
    survives(lvsd, lab)


def test_the_whole_folder_of_an_instance_that_vanishes(two_nic, start):
    lab = two_nic
    lvsd = start(lab, web(lab)).ready()
    layout = next(lvsd.pins.iterdir())
    with gone(layout):
        lvsd.pins.rmdir()
        wait_for(f"the pins\n{lvsd.log_tail()}", lambda: (layout / "link-wan0").exists(), timeout=SOON)
    survives(lvsd, lab)


# ---- interfaces that are missing -----------------------------------------------------------------------------------


@pytest.fixture
def late(two_nic):
    lab = two_nic

    def add():
        lab.router.ip("link add late0 type veth peer name late1", "link set late1 up", "link set late0 up")

    yield add
    lab.router.run("ip", "link", "del", "late0", check=False)
    lab.router.run("ip", "link", "del", "late9", check=False)


def missing(lvsd, text):
    return any(text in warning for warning in lvsd.status()["warnings"])


def test_one_missing_interface_blocks_no_reload_and_no_restart(two_nic, late, start):
    lab = two_nic
    late()
    config = web(lab, interfaces=[*lab.interfaces, "late0"])
    lvsd = start(lab, config).ready()
    lab.router.ip("link del late0")
    wait_for("the warning", lambda: missing(lvsd, "interface late0 is gone"))
    config["services"][0]["backends"][0]["weight"] = 5
    lvsd.write(config)
    assert lvsd.try_ctl("config", "apply").returncode == 0
    for end in (lvsd.leave, lvsd.kill, lvsd.leave):
        end()
        lvsd.start().ready()
        assert answers(lab) and missing(lvsd, "interface late0 is gone"), lvsd.status()["warnings"]
    late()
    wait_for("the program", lambda: has_xdp(lab, "late0"))
    assert not missing(lvsd, "late0 is gone")


def test_an_interface_that_never_was_there_is_an_error_unless_it_is_optional(two_nic, late, start):
    lab = two_nic
    lvsd = start(lab, web(lab)).ready()
    lvsd.write(web(lab, interfaces=[*lab.interfaces, "late0"]))
    done = lvsd.try_ctl("config", "apply")
    assert done.returncode == 3 and "no such interface: late0" in done.stderr, "a refused configuration is exit code 3"
    lvsd.write(web(lab, interfaces=[*lab.interfaces, {"name": "late0", "optional": True}]))
    assert lvsd.try_ctl("config", "apply").returncode == 0
    assert missing(lvsd, "interface late0 is missing")
    lvsd.leave()
    lvsd.start().ready()
    assert missing(lvsd, "interface late0 is missing") and answers(lab)
    late()
    wait_for("the program", lambda: has_xdp(lab, "late0"))


def test_a_renamed_interface_is_named(two_nic, late, start):
    lab = two_nic
    late()
    lvsd = start(lab, web(lab, interfaces=[*lab.interfaces, "late0"])).ready()
    lab.router.ip("link set late0 down", "link set late0 name late9", "link set late9 up")
    wait_for("the warning", lambda: missing(lvsd, "interface late0 was renamed to late9"))
    assert has_xdp(lab, "late9") and not missing(lvsd, "late0 is down")
    assert lvsd.try_ctl("config", "apply").returncode == 0, "a renamed interface blocks the reload"
    lvsd.write(web(lab, interfaces=[*lab.interfaces, "late9"]))
    assert lvsd.try_ctl("config", "apply").returncode == 0
    assert has_xdp(lab, "late9") and not missing(lvsd, "late0"), lvsd.status()["warnings"]


# ---- all at once ---------------------------------------------------------------------------------------------------


def test_every_row_in_turn_while_traffic_is_sent(two_nic, start):
    """Answers are lost only from the moment something is taken until it is back."""
    lab = two_nic
    lvsd = start(lab, web(lab)).ready()
    layout = next(lvsd.pins.iterdir())
    for take in (lambda: lab.router.ip(f"addr del {VIP4[0]}/32 dev lo"), (layout / "link-lan0").unlink,
                 (layout / "listeners4").unlink):
        before = sum(lvsd.ctl("stats")["repairs"].values())
        take()
        wait_for("the repair", lambda seen=before: sum(lvsd.ctl("stats")["repairs"].values()) > seen, timeout=SOON)
        comes_back(lvsd, lab)
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            assert answers(lab), "an answer is missing although everything is back"
