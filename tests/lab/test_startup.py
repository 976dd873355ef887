# SPDX-License-Identifier: Apache-2.0
"""What can be wrong when lvsd starts: one clear message, an exit code, nothing changed and nothing left behind."""

from pathlib import Path

import pytest
from lablib.address import VIP4, VIP6
from lablib.load import curl
from lablib.lvsd import Lvsd, configuration, listen, service

INVALID, CONFLICT, UNSUPPORTED = 3, 4, 5  # exit codes, docs/config.md


def web(lab, **more):
    return configuration(lab, service("web", listen(VIP4[0]), lab.servers), **more)


def traces(lab):
    """All that a started lvsd leaves on a host."""
    links = lab.router.run("ip", "-o", "link", "show").stdout
    addresses = [line.split()[3] for line in lab.router.run("ip", "-o", "addr", "show").stdout.splitlines()]
    pins = Path("/sys/fs/bpf/lvs") / lab.instance
    return {"xdp": "xdp" in links, "addresses": sorted(addresses), "pins": pins.exists()}


def refused(lab, config, code, *says, arguments=(), prefix=()):
    before = traces(lab)
    lvsd = Lvsd(lab)
    lvsd.write(config)
    done = lab.router.run(*prefix, *lvsd.arguments(*arguments), timeout=20, check=False)
    message = done.stdout + done.stderr
    assert done.returncode == code, message
    for text in says:
        assert text in message
    assert traces(lab) == before
    assert not lvsd.socket.exists()


def test_missing_interface(one_arm):
    refused(one_arm, web(one_arm, interfaces=["lan0", "eth7"]), 1, "eth7")


def test_invalid_configuration(one_arm):
    config = web(one_arm)
    config["services"][0]["backends"][0]["address"] = "10.0.0.300"
    refused(one_arm, config, INVALID, "lvs.yaml:", "10.0.0.300")


def test_no_configuration(one_arm):
    refused(one_arm, "", INVALID, "lvs.yaml")


def test_no_bpffs(one_arm):
    refused(one_arm, web(one_arm), UNSUPPORTED, "/proc/self", "bpf", arguments=["--bpffs", "/proc/self"])


def test_no_capabilities(one_arm):
    # Root without capabilities, as in an unprivileged container.
    refused(one_arm, web(one_arm), UNSUPPORTED, "CAP_", prefix=["setpriv", "--bounding-set=-all", "--inh-caps=-all"])


def test_foreign_xdp_program(one_arm):
    lab = one_arm
    lab.router.ip(f"link set dev lan0 xdp obj {lab.directory / 'pass.bpf.o'} sec xdp.frags")
    try:
        refused(lab, web(lab), CONFLICT, "lan0", "XDP program")
    finally:
        lab.router.ip("link set dev lan0 xdp off")


def test_second_lvsd_of_the_same_instance(one_arm, start):
    lab = one_arm
    lvsd = start(lab, web(lab)).ready()
    programs = lvsd.program_ids()
    second = lvsd.run()
    assert second.returncode == CONFLICT and str(lvsd.process.pid) in second.stdout + second.stderr
    assert lvsd.run("--reset").returncode == CONFLICT
    assert lvsd.program_ids() == programs
    assert curl(lab.client, VIP4[0])


@pytest.mark.parametrize("interface", ["lo", "lan0"])
def test_vips_come_and_go_with_the_configuration(one_arm, start, interface):
    lab = one_arm

    def present():
        lines = lab.router.run("ip", "-o", "addr", "show", "dev", interface).stdout
        return {vip for vip in (*VIP4, *VIP6) if f" {vip}/" in lines}

    two = [service("web", listen(VIP4[0]), lab.servers), service("web6", listen(VIP6[0]), lab.servers, family=6)]
    lab.router.ip(f"addr add {VIP4[3]}/32 dev {interface}")  # the operator's own: lvsd must leave it there
    try:
        own = service("own", listen(VIP4[3]), lab.servers)
        lvsd = start(lab, configuration(lab, *two, own, vip_interface=interface))
        assert present() == {VIP4[0], VIP6[0], VIP4[3]}
        lvsd.kill()
        lvsd.start(configuration(lab, two[0], vip_interface=interface))
        assert present() == {VIP4[0], VIP4[3]}
        lvsd.write(configuration(lab, two[0], vip_interface=interface, manage_vips=False))
        lvsd.reload()
        assert present() == {VIP4[3]}
        lvsd.write(configuration(lab, *two, vip_interface=interface))
        lvsd.reload()
        assert present() == {VIP4[0], VIP6[0], VIP4[3]}
        lvsd.reset()
        assert present() == {VIP4[3]}
    finally:
        lab.router.ip(f"addr del {VIP4[3]}/32 dev {interface}")


def test_detach_on_exit_leaves_nothing(one_arm, start):
    lab = one_arm
    before = traces(lab)
    lvsd = start(lab, web(lab), "--detach-on-exit").ready()
    assert traces(lab) != before
    assert lvsd.stop() == 0
    assert traces(lab) == before


def test_a_stopped_lvsd_leaves_traffic_going(one_arm, start):
    lab = one_arm
    lvsd = start(lab, web(lab)).ready()
    assert lvsd.stop() == 0
    assert {curl(lab.client, VIP4[0]).split()[0] for _ in range(6)} == {"s1", "s2", "s3"}


def test_generic_mode_is_announced(one_arm, start):
    lab = one_arm
    lvsd = start(lab, web(lab, interfaces=[{"name": "lan0", "mode": "generic"}])).ready()
    status = lvsd.status()
    assert status["interfaces"][0]["mode"] == "generic"
    assert any("generic" in warning for warning in status["warnings"])
    assert lvsd.metrics()['lvs_interface_native{interface="lan0"}'] == 0
    assert "generic" in lvsd.log_tail()
    assert {curl(lab.client, VIP4[0]).split()[0] for _ in range(6)} == {"s1", "s2", "s3"}
