# SPDX-License-Identifier: Apache-2.0
"""Programs of the operator's, checks, tracks and hooks, see and signal the host's processes as from a shell, and leave
nothing behind."""

import os
import shutil
import signal
import subprocess

import pytest
from lablib.address import VIP4
from lablib.lvsd import Lvsd, configuration, listen, service
from lablib.netns import wait_for
from lablib.pair import ha, wait_role


class Daemon:
    """A process of root's with a name and a PID file of its own."""

    def __init__(self, host, name):
        self.host, self.name, self.process = host, f"{name}-{os.getpid() % 100000}", None
        self.program, self.pid_file = host.directory / self.name, host.directory / f"{self.name}.pid"
        shutil.copy("/bin/sleep", self.program)

    def start(self):
        self.process = subprocess.Popen([self.program, "1000"])
        self.pid_file.write_text(f"{self.process.pid}\n")

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait(10)


@pytest.fixture
def daemon(one_arm):
    daemon = Daemon(one_arm.router, "xd")
    daemon.start()
    yield daemon
    daemon.stop()


def lives(argument):
    return subprocess.run(["pgrep", "-f", "--", argument], stdout=subprocess.DEVNULL, check=False).returncode == 0


def config(lab, daemon, check=None, **more):
    web = service("web", listen(VIP4[0]), lab.servers, check=check or {"type": "none"})
    track = [{"name": "daemon", "program": ["/usr/bin/killall", "-0", daemon.name], "user": "root", "interval": "300ms",
              "timeout": "300ms", "weight": 0}]
    return configuration(lab, web, ha={**ha(), "track": track}, root_programs=True, **more)


def test_killall_0_tells_a_track_whether_a_daemon_runs(one_arm, start, daemon):
    lvsd = start(one_arm, config(one_arm, daemon))
    wait_role(lvsd, "active")
    daemon.stop()
    wait_role(lvsd, "init")
    daemon.start()
    wait_role(lvsd, "active")
    assert lvsd.ctl("ha", "status")["tracks"][0]["good"]


def test_kill_0_with_a_pid_file_is_a_check(one_arm, start, daemon):
    check = {"type": "exec", "command": ["/bin/sh", "-c", f"kill -0 $(cat {daemon.pid_file})"], "user": "root",
             "interval": "200ms", "timeout": "200ms", "fall": 1, "rise": 1}
    lvsd = start(one_arm, config(one_arm, daemon, check=check))
    names = [f"{s.address.ipv4}:8080" for s in one_arm.servers]
    lvsd.wait_state("web", "up")
    daemon.stop()
    lvsd.wait_state("web", "down")
    daemon.start()
    lvsd.wait_state("web", "up")
    assert len(names) == len(lvsd.backends("web"))


def test_a_hook_reloads_a_daemon_by_its_pid_file_and_leaves_nothing(one_arm, start, daemon):
    left = f"9876.{os.getpid() % 100000}"
    script = f'kill -HUP $(cat {daemon.pid_file}); setsid sleep {left} & echo "$@" >> {daemon.pid_file}.args'
    hook = {"program": ["/bin/sh", "-c", script, "notify"], "user": "root", "events": ["role"],
            "keepalived_arguments": True}
    lvsd = start(one_arm, config(one_arm, daemon, hooks=[hook]))
    assert daemon.process.wait(10) == -signal.SIGHUP
    daemon.start()
    wait_role(lvsd, "active")
    arguments = daemon.pid_file.with_suffix(".pid.args")
    wait_for("the hook to be told of both roles", lambda: "MASTER" in arguments.read_text())
    assert arguments.read_text().splitlines()[:2] == ["INSTANCE pair BACKUP 150", "INSTANCE pair MASTER 150"]
    wait_for("what it has started to be dead", lambda: not lives(left))
    arguments.unlink()


def test_what_others_may_change_does_not_run_as_root(one_arm, start, daemon):
    program = one_arm.router.directory / "notify"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o777)
    lvsd = Lvsd(one_arm)
    lvsd.write(config(one_arm, daemon, hooks=[{"program": [str(program)], "user": "root"}]))
    for arguments in (("--check",), ()):
        refused = lvsd.run(*arguments)
        assert refused.returncode == 3
        assert f"{program} would run as root, but others than root may change" in refused.stdout + refused.stderr
    program.unlink()


def test_a_killall_that_can_not_work_is_warned_of(one_arm, start, daemon):
    text = config(one_arm, daemon)
    text["ha"]["track"][0]["user"] = "nobody"
    lvsd = Lvsd(one_arm)
    lvsd.write(text)
    checked = lvsd.run("--check")
    assert checked.returncode == 0 and "/usr/bin/killall runs as nobody" in checked.stderr
