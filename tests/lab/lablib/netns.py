# SPDX-License-Identifier: Apache-2.0
"""One network namespace and what runs in it."""

import os
import signal
import subprocess
import time
from pathlib import Path


class LabError(Exception):
    """A command failed or a condition did not come true in time; the text says which."""


def command(args, timeout=60, stdin=None, check=True):
    """Runs a program; returns what it did (stdout, stderr, returncode as text)."""
    try:
        done = subprocess.run([str(a) for a in args], input=stdin, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired as late:
        raise LabError(f"{' '.join(map(str, args))}: not finished within {timeout} s") from late
    except FileNotFoundError as missing:
        raise LabError(f"{args[0]}: not installed (scripts/setup installs it)") from missing
    if check and done.returncode != 0:
        raise LabError(f"{' '.join(map(str, args))}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def wait_for(what, condition, timeout=10.0, interval=0.05):
    """Returns the first true value of condition(); LabError names `what` (and the last value) when time is up."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise LabError(f"waited {timeout:g} s for {what}; last: {value!r}")
        time.sleep(interval)


class Namespace:
    def __init__(self, name, directory):
        self.name = name  # as in `ip netns list`
        self.path = Path("/run/netns") / name
        self.directory = Path(directory)  # logs and configuration of what runs here

    def enter(self):
        # Not `ip netns exec`: that mounts a /sys of its own and so hides the bpf file system.
        return ["nsenter", f"--net={self.path}"]

    def create(self):
        command(["ip", "netns", "add", self.name])
        self.directory.mkdir(parents=True, exist_ok=True)
        # Addresses are usable at once, no namespace ever asks for a router, and nobody takes the hint (redirect) that
        # on one segment it could do without the router.
        self.sysctl({"net.ipv6.conf.all.disable_ipv6": 0, "net.ipv6.conf.default.disable_ipv6": 0,
                     "net.ipv6.conf.default.accept_dad": 0, "net.ipv6.conf.default.dad_transmits": 0,
                     "net.ipv6.conf.default.accept_ra": 0, "net.ipv6.conf.default.router_solicitations": 0,
                     "net.ipv6.conf.default.accept_redirects": 0, "net.ipv6.conf.all.accept_redirects": 0,
                     "net.ipv4.conf.default.accept_redirects": 0, "net.ipv4.conf.all.accept_redirects": 0,
                     "net.ipv4.conf.all.rp_filter": 0, "net.ipv4.conf.default.rp_filter": 0})
        self.ip("link set lo up")

    def run(self, *args, timeout=60, stdin=None, check=True):
        return command([*self.enter(), *args], timeout, stdin, check)

    def start(self, *args, log, env=None):
        """Starts a program in its own session, so that it outlives this process until the namespace goes."""
        with open(log, "ab") as out:
            return subprocess.Popen([*self.enter(), *map(str, args)], stdin=subprocess.DEVNULL, stdout=out,
                                    stderr=subprocess.STDOUT, start_new_session=True,
                                    env={**os.environ, **(env or {})})

    def ip(self, *lines, family=None):
        """Each line is an ip(8) command without the leading "ip"."""
        options = [f"-{family}"] if family else []
        command(["ip", *options, "-n", self.name, "-batch", "-"], stdin="\n".join(lines) + "\n")

    def sysctl(self, values):
        # /proc/sys/net shows the namespace of whoever opens it.
        self.run("sysctl", "-q", "-w", *(f"{key}={value}" for key, value in values.items()))

    def pids(self):
        return [int(p) for p in command(["ip", "netns", "pids", self.name], check=False).stdout.split()]

    def destroy(self):
        """Ends what runs in the namespace (all of it was started there for this lab), then removes it."""
        if not self.path.exists():
            return
        for sig in (signal.SIGTERM, signal.SIGKILL):
            pids = self.pids()
            for pid in pids:
                try:
                    os.kill(pid, sig)
                except ProcessLookupError:
                    pass
            deadline = time.monotonic() + 3
            while self.pids() and time.monotonic() < deadline:
                time.sleep(0.02)
            if not self.pids():
                break
        command(["ip", "netns", "del", self.name], check=False)
