# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the lab tests. Each test file can run alone and beside the others: python3 -m pytest tests/lab/FILE.

A lab is made once per file and topology; lvsd is started anew in every test and leaves nothing behind.
"""

import os
import uuid
from pathlib import Path

import pytest
from lablib.lab import TOPOLOGIES, lab_of, remove_stale
from lablib.lvsd import Lvsd
from lablib.netns import command


def pytest_sessionstart(session):
    if os.geteuid() != 0:
        pytest.exit("lab tests make network namespaces: run as root", returncode=2)
    if not Path("/sys/fs/bpf").is_mount():
        command(["mount", "-t", "bpf", "bpf", "/sys/fs/bpf"])
    remove_stale()


def make_lab(topology):
    return lab_of(f"t{os.getpid()}{uuid.uuid4().hex[:4]}", topology).up(owner=os.getpid())


@pytest.fixture(scope="module")
def two_nic():
    lab = make_lab("two-nic")
    yield lab
    lab.down()


@pytest.fixture(scope="module")
def one_arm():
    lab = make_lab("one-arm")
    yield lab
    lab.down()


@pytest.fixture(scope="module", params=TOPOLOGIES)
def lab(request):
    """The same test in every topology."""
    made = make_lab(request.param)
    yield made
    made.down()


@pytest.fixture
def start(request):
    """start(lab, config) -> a running Lvsd. Whatever the test did, afterwards its flow counts must be exact, the
    sanitizers silent, and nothing of it left."""
    running = []

    def run(lab, config, *arguments, host=None):
        lvsd = Lvsd(lab, host=host)
        running.append(lvsd)
        return lvsd.start(config, *arguments)

    yield run
    for lvsd in running:
        try:
            if lvsd.process and lvsd.process.poll() is None:
                drift = lvsd.ctl("stats")["count_drift"]
                assert drift == 0, f"active and inactive counts are off by {drift}"
            lvsd.reset()
        finally:
            log = lvsd.log.read_text()
            lvsd.log.unlink()
            print(f"---- lvsd's log\n{log}")  # pytest shows it when the test failed
        assert "ERROR: AddressSanitizer" not in log and "runtime error:" not in log and "LeakSanitizer" not in log
        assert not lvsd.pins.exists(), f"{lvsd.pins} is still there after --reset"
        for interface in lvsd.lab.interfaces:
            assert "xdp" not in lvsd.host.run("ip", "link", "show", "dev", interface).stdout
