# SPDX-License-Identifier: Apache-2.0
"""lvsd on a lab's router, and lvsctl talking to it."""

import json
import os
import signal
from pathlib import Path

from .netns import LabError, command, wait_for

SOURCE = Path(__file__).resolve().parents[3]
# Leaks are looked for at exit; kill -9 skips that, which is fine. halt_on_error is the default of ASan, not of UBSan.
SANITIZERS = {"ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0", "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1"}
FAST_HTTP = {"type": "http", "path": "/health", "interval": "200ms", "timeout": "200ms", "rise": 1, "fall": 2}
FAST_TCP = {"type": "tcp", "interval": "200ms", "timeout": "200ms", "rise": 1, "fall": 2}


def binaries():
    """Where lvsd and lvsctl are: XLVS_BIN, else the last built of the build folders that scripts make."""
    if "XLVS_BIN" in os.environ:
        return Path(os.environ["XLVS_BIN"])
    built = [d for d in (SOURCE / "build/test/bin", SOURCE / "build/release/bin") if (d / "lvsd").exists()]
    if not built:
        raise LabError("no lvsd: build first (scripts/test --build-only), or set XLVS_BIN to a folder that has it")
    return max(built, key=lambda d: (d / "lvsd").stat().st_mtime)


class Lvsd:
    def __init__(self, lab, bin_dir=None, host=None):
        """`host`: the router it runs on, when that is not the lab's first."""
        self.lab, self.host = lab, host or lab.router
        self.instance = lab.instance if host is None else f"{lab.instance}-{host.name.rsplit('-', 1)[1]}"
        self.bin = Path(bin_dir) if bin_dir else binaries()
        self.config = self.host.directory / "lvs.yaml"
        self.log = self.host.directory / "lvsd.log"
        self.run_dir, self.state_dir = self.host.directory / "run", self.host.directory / "state"
        self.socket = self.run_dir / self.instance / "lvsd.sock"
        self.pins = Path("/sys/fs/bpf/lvs") / self.instance
        self.process = None

    # ---- life ------------------------------------------------------------------------------------------------------

    def arguments(self, *more):
        return [self.bin / "lvsd", "--config", self.config, "--instance", self.instance, "--run-dir", self.run_dir,
                "--state-dir", self.state_dir, *more]

    def write(self, config):
        """`config`: a dictionary (JSON is YAML) or the text itself."""
        text = config if isinstance(config, str) else json.dumps(config, indent=1)
        partial = self.config.with_suffix(".partial")
        partial.write_text(text)
        partial.rename(self.config)

    def start(self, config=None, *more):
        if config is not None:
            self.write(config)
        self.process = self.host.start(*self.arguments(*more), log=self.log, env=SANITIZERS)
        wait_for(f"lvsd's control socket\n{self.log_tail()}", self._answers, timeout=20)
        return self

    def _answers(self):
        if self.process.poll() is not None:
            raise LabError(f"lvsd ended with exit code {self.process.returncode}:\n{self.log_tail()}")
        return self.socket.exists() and self.try_ctl("version").returncode == 0

    def run(self, *more, timeout=30):
        """lvsd in the foreground, for what ends by itself: --check, --reset, errors at start."""
        return self.host.run("env", *(f"{k}={v}" for k, v in SANITIZERS.items()), *self.arguments(*more),
                             timeout=timeout, check=False)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def stop(self):
        self.process.terminate()
        return self.process.wait(20)

    def leave(self):
        """Ends it as `systemctl restart` does: another one is about to be started."""
        self.process.send_signal(signal.SIGUSR2)
        return self.process.wait(20)

    def reset(self):
        """Ends lvsd and removes everything it has left: programs, pins, state, VIPs."""
        if self.process and self.process.poll() is None:
            code = self.stop()
            if code != 0:
                raise LabError(f"lvsd ended with exit code {code}:\n{self.log_tail()}")
        self.process = None
        done = self.run("--reset")
        if done.returncode != 0:
            raise LabError(f"lvsd --reset: exit code {done.returncode}\n{done.stdout}{done.stderr}")

    def reload(self):
        """Asks by SIGHUP for what is in the file now; returns once it runs (or LabError)."""
        before = self.status()["config"]["generation"]
        self.process.send_signal(signal.SIGHUP)
        wait_for("the reload", lambda: self.status()["config"]["generation"] > before)

    def log_tail(self, lines=40):
        return "\n".join(self.log.read_text().splitlines()[-lines:]) if self.log.exists() else "(no log)"

    # ---- lvsctl ----------------------------------------------------------------------------------------------------

    def try_ctl(self, *args):
        return command([self.bin / "lvsctl", "--socket", self.socket, *args], check=False)

    def ctl(self, *args):
        """The JSON that lvsctl prints."""
        done = self.try_ctl("-o", "json", *args)
        if done.returncode != 0:
            raise LabError(f"lvsctl {' '.join(map(str, args))}: exit code {done.returncode}\n{done.stderr}")
        return json.loads(done.stdout) if done.stdout.strip() else None

    def status(self):
        return self.ctl("status")

    def service(self, name):
        return next(s for s in self.ctl("stats")["services"] if s["name"] == name)

    def backends(self, service):
        """address -> report"""
        return {b["address"]: b for b in next(s for s in self.status()["services"] if s["name"] == service)["backends"]}

    def wait_state(self, service, state, addresses=None, timeout=15):
        def reached():
            reports = self.backends(service)
            return all(reports[a]["state"] == state for a in (addresses or reports))
        wait_for(f"{service}: {addresses or 'all backends'} {state}\n{self.log_tail()}", reached, timeout)

    def ready(self, *services):
        for service in services or [s["name"] for s in self.status()["services"]]:
            self.wait_state(service, "up")
        return self

    def reasons(self):
        return {r["name"]: r["packets"] for r in self.status()["reasons"]}

    def program_ids(self):
        return {i["name"]: i["program_id"] for i in self.status()["interfaces"]}

    def metrics(self):
        """name{labels} -> value, as Prometheus would read it."""
        text = self.host.run("curl", "-sS", "--fail", "--max-time", 5, "http://127.0.0.1:9539/metrics").stdout
        pairs = (line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, value in pairs}


# ---- configurations ------------------------------------------------------------------------------------------------


def service(name, listen, servers, forward="nat", port=8080, scheduler="rr", check=None, weights=None, family=4,
            **more):
    """One service as in docs/config.md; `servers`: the lab's Server objects."""
    backends = []
    for index, server in enumerate(servers):
        address = server.address.ipv4 if family == 4 else server.address.ipv6
        backends.append({"address": address, "port": port, "weight": weights[index] if weights else 1})
    return {"name": name, "listen": [listen] if isinstance(listen, str) else list(listen), "forward": forward,
            "scheduler": scheduler, "check": check or FAST_HTTP, "backends": backends, **more}


def configuration(lab, *services, **more):
    # Small tables: lvsd sweeps them quickly and a lab machine has other uses for its memory.
    return {"interfaces": lab.interfaces, "services": list(services),
            "limits": {"flows_ipv4": 262144, "flows_ipv6": 65536}, **more}


def listen(address, port=80, protocol="tcp"):
    return f"[{address}]:{port}/{protocol}" if ":" in address else f"{address}:{port}/{protocol}"


def endpoint(address, port):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
