# SPDX-License-Identifier: Apache-2.0
"""BIRD 2, the routing daemon of Debian."""

import signal
import subprocess

from .netns import LabError, wait_for


class Bird:
    def __init__(self, host, config):
        """`config`: the file it reads."""
        self.host, self.config = host, config
        self.log, self.socket = host.directory / "bird.log", host.directory / "bird.ctl"
        self.process = None

    def start(self):
        self.process = self.host.start("bird", "-f", "-c", self.config, "-s", self.socket,
                                       "-P", self.host.directory / "bird.pid", log=self.log)
        wait_for(f"BIRD's control socket in {self.host.name}", lambda: self._alive() and self.socket.exists())
        return self

    def _alive(self):
        if self.process.poll() is not None:
            raise LabError(f"bird ended with exit code {self.process.returncode}\n{self.log.read_text()}")
        return True

    def ask(self, *words):
        return self.host.run("birdc", "-s", self.socket, *words).stdout

    def established(self):
        """Names of the BGP sessions that are up."""
        rows = (line.split() for line in self.ask("show", "protocols").splitlines())
        return [row[0] for row in rows if len(row) > 5 and row[1] == "BGP" and row[5] == "Established"]

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)
        self.socket.unlink(missing_ok=True)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()
