# SPDX-License-Identifier: Apache-2.0
"""The part of scripts/demo that runs in the lab. What it shows is also checked; it ends with PASS or FAIL."""

import argparse
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path

from lablib.address import CLIENT, VIP4, VIP6
from lablib.lab import Lab, all_labs, remove_stale
from lablib.load import Wrk, curl, dig, errors
from lablib.lvsd import SOURCE, Lvsd
from lablib.netns import LabError

NAME = "demo"
METRICS = ("lvs_interface_native", "lvs_flow_table_used", "lvs_backend_flows_total", "lvs_config_stale")


class Demo:
    def __init__(self, lab, bin_dir):
        self.lab, self.bin_dir = lab, bin_dir
        self.failed = []

    def check(self, fact, true, found=""):
        print(f"  {'ok  ' if true else 'FAIL'} {fact}{f': {found}' if found else ''}", flush=True)
        if not true:
            self.failed.append(f"{fact}{f': {found}' if found else ''}")

    def run(self, example):
        title(f"examples/{example}.yaml")
        lvsd = Lvsd(self.lab, self.bin_dir)
        lvsd.config = SOURCE / "examples" / f"{example}.yaml"
        print(f"  $ lvsd --config {lvsd.config.relative_to(SOURCE)}")
        lvsd.start()
        lvsd.ready()
        self.single_requests()
        self.load("web", VIP4[0])
        self.load("web6", VIP6[0])
        self.show(lvsd)
        self.stop_and_return(lvsd)
        return lvsd

    # ---- what is shown ---------------------------------------------------------------------------------------------

    def single_requests(self):
        title("single requests")
        for name, vip, client in (("HTTP, IPv4", VIP4[0], CLIENT.ipv4), ("HTTP, IPv6", VIP6[0], CLIENT.ipv6)):
            answers = [curl(self.lab.client, vip).split() for _ in range(9)]
            self.check(f"{name}: every server answers", len({a[0] for a in answers}) == 3, share(a[0] for a in answers))
            self.check(f"{name}: the server sees the client's address", {a[1] for a in answers} == {client}, client)
        for kind in ("UDP", "TCP"):
            names = [dig(self.lab.client, VIP4[0], tcp=kind == "TCP") for _ in range(9)]
            self.check(f"DNS over {kind}: every server answers", len(set(names)) == 3, share(names))

    def load(self, name, vip):
        before = [s.request_count() for s in self.lab.servers]
        result = Wrk(self.lab.client, vip, seconds=3, close=True).wait()
        served = [s.request_count() - b for s, b in zip(self.lab.servers, before)]
        shown = ", ".join(f"{s.name} {n}" for s, n in zip(self.lab.servers, served))
        self.check(f"load on {name}, a new connection for each request: no failure", errors(result) == {},
                   f"{result['requests']} requests ({result['requests'] // 3}/s): {shown}"
                   + (f"; failed: {errors(result)}" if errors(result) else ""))
        return dict(zip((s.name for s in self.lab.servers), served))

    def show(self, lvsd):
        title("lvsctl status")
        print(lvsd.try_ctl("status").stdout)
        title("metrics (127.0.0.1:9539/metrics)")
        values = lvsd.metrics()
        for name, value in values.items():
            if name.startswith(METRICS):
                print(f"  {name} {value:g}")
        self.check("the data path runs in the driver", all(v == 1 for n, v in values.items()
                                                           if n.startswith("lvs_interface_native")))

    def stop_and_return(self, lvsd):
        title("a server stops, and comes back")
        server = self.lab.servers[1]
        address = next(a for a in lvsd.backends("web") if a.startswith(server.address.ipv4 + ":"))
        server.stop_nginx()
        started = time.monotonic()
        lvsd.wait_state("web", "down", [address], timeout=20)
        print(f"  nginx of {server.name} stopped; its check noticed after {time.monotonic() - started:.1f} s")
        served = self.load("web", VIP4[0])
        self.check("requests go on without it", served[server.name] == 0 and min(
            count for name, count in served.items() if name != server.name) > 0)
        server.start_nginx()
        lvsd.wait_state("web", "up", timeout=30)
        names = [curl(self.lab.client, VIP4[0]).split()[0] for _ in range(9)]
        self.check("it is back and gets its share", names.count(server.name) > 0, share(names))


def share(names):
    return ", ".join(f"{name} {count}" for name, count in sorted(Counter(names).items()))


def title(text):
    print(f"\n== {text}", flush=True)


def make_lab():
    """The lab of an interrupted or a kept earlier run is replaced; one that is in use is not touched."""
    remove_stale()
    for lab, _ in all_labs():
        if lab.name == NAME and (lab.owner() is not None):
            raise LabError(f"another scripts/demo is running (process {lab.owner()})")
    return Lab(NAME).up(owner=os.getpid())


def how_to_step_in(lab, lvsd):
    title("the lab stays up")
    for host in lab.hosts():
        print(f"  {' '.join(host.enter())} bash    # {host.name.rsplit('-', 1)[1]}")
    print(f"\n  in the client:  curl http://{VIP4[0]}/whoami    dig @{VIP4[0]} whoami.lab TXT +short")
    print(f"  anywhere:       {lvsd.bin}/lvsctl --socket {lvsd.socket} status")
    print("  remove it all:  scripts/lab down demo")


def main():
    parser = argparse.ArgumentParser(prog="scripts/demo")
    parser.add_argument("--bin", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--only", choices=("nat", "dr"))
    args = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit("demo: interrupted"))
    started = time.monotonic()
    title("lab")
    lab = make_lab()
    demo, kept = Demo(lab, args.bin.resolve()), False
    try:
        print(f"  up: {', '.join(host.name for host in lab.hosts())}")
        examples = [args.only] if args.only else ["nat", "dr"]
        for example in examples:
            lvsd = demo.run(example)
            if not (args.keep and example == examples[-1]):
                lvsd.reset()
        if args.keep:
            lab.disown()
            kept = True
            how_to_step_in(lab, lvsd)
    except LabError as error:
        demo.failed.append(str(error))
    except KeyboardInterrupt:
        demo.failed.append("interrupted")
    finally:
        if not kept:
            lab.down()
    title(f"{'FAIL' if demo.failed else 'PASS'} after {time.monotonic() - started:.0f} s")
    for failure in demo.failed:
        print(f"  {failure}")
    return 1 if demo.failed else 0


if __name__ == "__main__":
    sys.exit(main())
