# SPDX-License-Identifier: Apache-2.0
"""A real server: nginx for TCP, dnsmasq for UDP (and DNS over TCP), both as Debian ships them."""

import os
import signal
from pathlib import Path

from .address import DNS_PORT, DR_PORT, NAT_PORT
from .netns import wait_for

NGINX = """
daemon off;
user root;
worker_processes 1;
worker_rlimit_nofile 65536;
pid {dir}/nginx.pid;
error_log {dir}/error.log warn;
events {{ worker_connections 16384; multi_accept on; }}
http {{
  log_format short '$remote_addr $remote_port $connection $request_uri $status $body_bytes_sent';
  access_log {dir}/access.log short;
  client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;
  uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
  sendfile on;
  keepalive_requests 1000000;
  keepalive_timeout 600;
  reset_timedout_connection on;
  server {{
    listen {nat} backlog=16384; listen [::]:{nat} ipv6only=on backlog=16384;
    listen {dr} backlog=16384; listen [::]:{dr} ipv6only=on backlog=16384;
    default_type text/plain;
    location = /whoami {{ return 200 "{name} $remote_addr $remote_port\\n"; }}
    location = /health {{ access_log off; return 200 "ok\\n"; }}
    location / {{ root {www}; }}
  }}
}}
"""


class Server:
    def __init__(self, host, address):
        self.host, self.address, self.name = host, address, address.name
        self.nginx = self.dnsmasq = None

    @property
    def directory(self):
        return self.host.directory

    def start(self):
        self.start_nginx()
        self.start_dnsmasq()

    # ---- HTTP ------------------------------------------------------------------------------------------------------

    def start_nginx(self):
        config = self.directory / "nginx.conf"
        config.write_text(NGINX.format(dir=self.directory, www=self.directory.parent / "www", name=self.name,
                                       nat=NAT_PORT, dr=DR_PORT))
        self.nginx = self.host.start("nginx", "-p", self.directory, "-c", config, "-e", self.directory / "error.log",
                                     log=self.directory / "nginx.log")
        wait_for(f"nginx of {self.name}", lambda: self._nginx_pid() and self._listens(NAT_PORT, "-t"))

    def stop_nginx(self):
        """Stops at once: established connections are cut, the port answers with a reset from now on."""
        pid = self._nginx_pid()
        if pid:
            os.kill(pid, signal.SIGTERM)
        if self.nginx:
            self.nginx.wait(10)
            self.nginx = None
        wait_for(f"the end of nginx of {self.name}", lambda: not self._listens(NAT_PORT, "-t"))

    def _nginx_pid(self):
        try:
            return int((self.directory / "nginx.pid").read_text())
        except (FileNotFoundError, ValueError):
            return None

    def requests(self):
        """The access log: (client address, client port, connection number, path, status, bytes) of each request."""
        try:
            lines = (self.directory / "access.log").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [tuple(line.split()) for line in lines]

    def request_count(self):
        try:
            return (self.directory / "access.log").read_bytes().count(b"\n")
        except FileNotFoundError:
            return 0

    # ---- DNS -------------------------------------------------------------------------------------------------------

    def start_dnsmasq(self):
        """Answers whoami.lab with its own name (TXT) and address (A, AAAA)."""
        self.dnsmasq = self.host.start(
            "dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--pid-file=", "--user=root", "--no-resolv",
            "--no-hosts", "--cache-size=0", f"--port={DNS_PORT}", "--local=/lab/",
            f"--txt-record=whoami.lab,{self.name}", f"--address=/whoami.lab/{self.address.ipv4}",
            f"--address=/whoami.lab/{self.address.ipv6}",
            "--log-queries=extra", f"--log-facility={self.directory / 'queries.log'}",
            log=self.directory / "dnsmasq.log")
        wait_for(f"dnsmasq of {self.name}", lambda: self._listens(DNS_PORT, "-u"))

    def stop_dnsmasq(self):
        if self.dnsmasq:
            self.dnsmasq.terminate()
            self.dnsmasq.wait(10)
            self.dnsmasq = None

    def dns_clients(self):
        """(protocol, client address) of each query. dnsmasq marks a query by its client: "10.0.0.1/4242"."""
        try:
            lines = (self.directory / "queries.log").read_text().splitlines()
        except FileNotFoundError:
            return []
        # "dnsmasq[1]: 7 198.51.100.100/4242 query[TXT] whoami.lab from 198.51.100.100"
        return [line.rsplit(" from ", 1)[1].strip() for line in lines if " query[" in line]

    # ----------------------------------------------------------------------------------------------------------------

    def _listens(self, port, kind):
        return self.host.run("ss", "-Hln", kind, f"sport = :{port}").stdout.strip() != ""
