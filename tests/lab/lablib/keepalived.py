# SPDX-License-Identifier: Apache-2.0
"""keepalived, the peer that VRRP has to get on with."""

import signal

from .netns import LabError, wait_for


class Keepalived:
    """One virtual router of Debian's keepalived in `host`, on interface lan0."""

    def __init__(self, host):
        self.host = host
        self.config, self.log = host.directory / "keepalived.conf", host.directory / "keepalived.log"
        self.process = None

    def start(self, vips, vrid=51, priority=100, version=3, interval=0.1, unicast=None, preempt=True, password=None):
        """`unicast`: (own address, peer's address)."""
        lines = [f"  virtual_router_id {vrid}", f"  priority {priority}", f"  advert_int {interval}", "  state BACKUP",
                 "  interface lan0", "  virtual_ipaddress {", *(f"    {vip} dev lo" for vip in vips), "  }"]
        if not preempt:
            lines.append("  nopreempt")
        if unicast:
            lines += [f"  unicast_src_ip {unicast[0]}", "  unicast_peer {", f"    {unicast[1]}", "  }"]
        if password:
            lines += ["  authentication {", "    auth_type PASS", f"    auth_pass {password}", "  }"]
        self.config.write_text("\n".join([f"global_defs {{\n  vrrp_version {version}\n  vrrp_garp_master_delay 1\n}}",
                                          "vrrp_instance pair {", *lines, "}", ""]))
        pid = [f"--pid={self.host.directory}/keepalived.pid", f"--vrrp_pid={self.host.directory}/vrrp.pid"]
        self.process = self.host.start("keepalived", "--vrrp", "--dont-fork", "--log-console", "--log-detail",
                                       f"--use-file={self.config}", *pid, log=self.log)
        self.wait_for_log("Entering BACKUP STATE")
        return self

    def wait_for_log(self, text, timeout=10):
        wait_for(f"keepalived to log '{text}'", lambda: text in self.text(), timeout)

    def text(self):
        if self.process.poll() is not None:
            raise LabError(f"keepalived ended with exit code {self.process.returncode}\n{self.log.read_text()}")
        return self.log.read_text()

    def stop(self):
        """Ends it cleanly: an active one hands over."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(10)
        self.log.unlink(missing_ok=True)
