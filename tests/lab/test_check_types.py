# SPDX-License-Identifier: Apache-2.0
"""Each type of check against real servers: it passes, and it fails for each reason that a server can give."""

import hashlib
import json
import sys
from pathlib import Path

import pytest
from lablib.address import DNS_PORT, NAT_PORT, SERVERS, VIP4, VIP6
from lablib.lvsd import configuration, listen, service
from lablib.netns import LabError, command, wait_for

HERE = Path(__file__).resolve().parent
H2C, TLS, TLS_EXPIRED, TLS_OPENSSL, GRPC, GRPC_TLS, ETCD, ETCD_PEER = 8081, 8443, 8444, 4433, 50051, 50052, 2379, 2380
SMTP, REJECTS, CUTS, DRIPS, FLOODS, SILENT, AGENT, AGENT_DOWN, AGENT_DRAINS = range(2525, 2534)
UNREACHABLE, LOST = "10.98.0.1", "10.98.0.2"  # behind s1, which says so or does not
NOBODY = 9  # a port without a listener
S1 = SERVERS[0]

TALKERS = {
    SMTP: {"say": "220 lab ESMTP\r\n", "answers": {"EHLO": "250-lab\r\n250 HELP\r\n"}},
    REJECTS: {"say": "554 lab no\r\n"},
    CUTS: {"say": "22", "close": True},
    DRIPS: {"drip": "2"},
    FLOODS: {"flood": "\x00\xff" * 4096},
    SILENT: {},
    AGENT: {"answers": {"web": "up 75%\n"}},
    AGENT_DOWN: {"say": "stopped # lunch\n"},
    AGENT_DRAINS: {"say": "drain\n"},
}

NGINX = """
daemon off;
user root;
worker_processes 1;
pid {dir}/types.pid;
error_log {dir}/types-error.log warn;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {dir}/body2; proxy_temp_path {dir}/proxy2; fastcgi_temp_path {dir}/fastcgi2;
  uwsgi_temp_path {dir}/uwsgi2; scgi_temp_path {dir}/scgi2;
  ssl_certificate {dir}/server.pem; ssl_certificate_key {dir}/server.key;
  server {{ listen {h2c} http2; location / {{ return 200 "$server_protocol\\n"; }} }}
  server {{ listen {tls} ssl http2; location / {{ return 200 "$server_protocol $ssl_server_name\\n"; }} }}
}}
"""


def certificates(directory):
    """A CA and certificates of it for s1: server.pem, expired.pem, and of nobody: other.pem."""
    def openssl(*args):
        command(["openssl", *args])
    names = directory / "names.cnf"
    names.write_text(f"subjectAltName=IP:{S1.ipv4},DNS:www.example.test\n")
    for name in ("ca", "other"):
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", f"/CN={name}",
                "-keyout", directory / f"{name}.key", "-out", directory / f"{name}.pem")
    for name, days in (("server", 30), ("expired", 0)):
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=lab", "-keyout", directory / f"{name}.key",
                "-out", directory / f"{name}.csr")
        openssl("x509", "-req", "-in", directory / f"{name}.csr", "-CA", directory / "ca.pem",
                "-CAkey", directory / "ca.key", "-CAcreateserial", "-days", str(days), "-extfile", names,
                "-out", directory / f"{name}.pem")


@pytest.fixture(scope="module")
def peers(one_arm):
    """Servers of every kind, on s1."""
    lab, host = one_arm, one_arm.servers[0].host
    directory = host.directory
    certificates(directory)
    config = directory / "types.conf"
    config.write_text(NGINX.format(dir=directory, h2c=H2C, tls=TLS))
    log = directory / "peers.log"
    for args in (
            ("nginx", "-p", directory, "-c", config, "-e", directory / "types-error.log"),
            ("openssl", "s_server", "-quiet", "-accept", TLS_OPENSSL, "-cert", directory / "server.pem", "-key",
             directory / "server.key"),
            ("openssl", "s_server", "-quiet", "-accept", TLS_EXPIRED, "-cert", directory / "expired.pem", "-key",
             directory / "expired.key"),
            (sys.executable, HERE / "lablib/talker.py", json.dumps(TALKERS)),
            ("etcd", "--data-dir", directory / "etcd", "--listen-client-urls", f"http://{S1.ipv4}:{ETCD}",
             "--advertise-client-urls", f"http://{S1.ipv4}:{ETCD}", "--listen-peer-urls", f"http://127.0.0.1:{ETCD_PEER}"),
            (sys.executable, HERE / "lablib/grpc_health.py", GRPC, GRPC_TLS, directory / "server.pem",
             directory / "server.key")):
        host.start(*args, log=log)
    for port in (H2C, TLS, TLS_EXPIRED, TLS_OPENSSL, ETCD, GRPC, GRPC_TLS, *TALKERS):
        wait_for(f"port {port}\n{log.read_text()}",
                 lambda p=port: host.run("ss", "-Hltn", f"sport = :{p}").stdout.strip(), timeout=20)
    host.sysctl({"net.ipv4.ip_forward": 1, "net.ipv4.icmp_ratemask": 0})  # several checks live by ICMP errors
    host.ip(f"route add unreachable {UNREACHABLE}/32", f"route add blackhole {LOST}/32")
    lab.router.ip(f"route add {UNREACHABLE}/32 via {S1.ipv4}", f"route add {LOST}/32 via {S1.ipv4}")
    return lab


def ca(lab, name="ca"):
    return str(lab.servers[0].host.directory / f"{name}.pem")


def query(name, kind):
    """A DNS query as the escapes of `send` write it."""
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return "".join(f"\\x{b:02x}" for b in b"\x12\x34\x01\0\0\1\0\0\0\0\0\0" + labels + b"\0" + bytes([0, kind, 0, 1]))


OK_DIGEST = hashlib.sha256(b"ok\n").hexdigest()


def passing(lab):
    """name -> check"""
    tls = {"ca_file": ca(lab)}
    return {
        "http-regex": {"type": "http", "path": "/whoami", "body_regex": "^s1 [0-9.]+ "},
        "http-digest": {"type": "http", "path": "/health", "body_sha256": OK_DIGEST},
        "http-options": {"type": "http", "method": "OPTIONS", "path": "/health", "status": 200},
        "http2-cleartext": {"type": "http", "port": H2C, "http2": True, "body": "HTTP/2.0"},
        "https": {"type": "https", "port": TLS, "body": "HTTP/1.1", "min_days": 29, **tls},
        "https-http2": {"type": "https", "port": TLS, "http2": True, "sni": "www.example.test",
                        "body": "HTTP/2.0 www.example.test", **tls},
        "tls": {"type": "tls", "port": TLS_OPENSSL, **tls},
        "tls-name": {"type": "tls", "port": TLS, "sni": "www.example.test", "min_days": 29, **tls},
        "tls-unverified": {"type": "tls", "port": TLS_EXPIRED, "verify": False},
        "greeting": {"type": "send_expect", "port": SMTP, "expect": "220 "},
        "dialogue": {"type": "send_expect", "port": SMTP, "send": "EHLO lvs\\r\\n", "expect_regex": "(?m)^250 "},
        "binary": {"type": "send_expect", "port": FLOODS, "expect": "\\x00\\xff"},
        "udp-expect": {"type": "send_expect", "protocol": "udp", "port": DNS_PORT, "send": query("whoami.lab", 16),
                       "expect": "\\x12\\x34"},
        "udp": {"type": "udp", "port": DNS_PORT},
        "udp-reply": {"type": "udp", "port": DNS_PORT, "send": query("whoami.lab", 1), "require_reply": True},
        "dns": {"type": "dns", "port": DNS_PORT, "query": "whoami.lab", "answer": S1.ipv4},
        "dns-ipv6": {"type": "dns", "port": DNS_PORT, "query": "whoami.lab.", "record": "AAAA", "answer": S1.ipv6},
        "dns-tcp": {"type": "dns", "port": DNS_PORT, "query": "whoami.lab", "record": "TXT", "tcp": True},
        "dns-nxdomain": {"type": "dns", "port": DNS_PORT, "query": "nobody.lab", "rcode": "NXDOMAIN"},
        "icmp": {"type": "icmp"},
        "grpc": {"type": "grpc", "port": GRPC},
        "grpc-etcd": {"type": "grpc", "port": ETCD},
        "grpc-service": {"type": "grpc", "port": GRPC, "service": "shop"},
        "grpc-tls": {"type": "grpc", "port": GRPC_TLS, "tls": True, **tls},
        "agent": {"type": "agent", "port": AGENT, "send": "web\\n"},
        "elsewhere": {"type": "http", "connect": SERVERS[1].ipv4, "path": "/whoami", "body": "s2 "},
    }


def failing(lab):
    """name -> (reason, part of the detail, check)"""
    tls = {"ca_file": ca(lab)}
    return {
        "http-status": ("status", "HTTP status 404", {"type": "http", "path": "/absent"}),
        "http-regex": ("body", "regular expression", {"type": "http", "path": "/whoami", "body_regex": "^s2"}),
        "http-digest": ("body", "SHA-256", {"type": "http", "path": "/whoami", "body_sha256": OK_DIGEST}),
        "http-bomb": ("regex", "too long", {"type": "http", "port": NAT_PORT, "path": "/aaa",
                                            "body_regex": "(a+)+[bc]$"}),
        "http2-none": ("protocol", "", {"type": "http", "http2": True, "path": "/health"}),
        "http-no-http": ("protocol", "", {"type": "http", "port": REJECTS}),
        "http-refused": ("refused", "", {"type": "http", "port": NOBODY}),
        "http-silent": ("timeout", "no complete reply", {"type": "http", "port": SILENT}),
        "https-plain": ("tls", "", {"type": "https"}),
        "https-ca": ("certificate", "", {"type": "https", "port": TLS, "ca_file": ca(lab, "other")}),
        "tls-expired": ("certificate", "certificate has expired", {"type": "tls", "port": TLS_EXPIRED, **tls}),
        "tls-ca": ("certificate", "issuer", {"type": "tls", "port": TLS_OPENSSL, "ca_file": ca(lab, "other")}),
        "tls-name": ("certificate", "mismatch", {"type": "tls", "port": TLS_OPENSSL, "sni": "other.test", **tls}),
        "tls-days": ("certificate", "29 more days, fewer than 31",
                     {"type": "tls", "port": TLS_OPENSSL, "min_days": 31, **tls}),
        "tls-plain": ("tls", "", {"type": "tls", "port": REJECTS}),
        "tls-silent": ("timeout", "no TLS handshake", {"type": "tls", "port": SILENT}),
        "reply": ("reply", 'expected "220 ", received "554 lab no', {"type": "send_expect", "port": REJECTS,
                                                                    "expect": "220 "}),
        "cut": ("closed", 'received "22"', {"type": "send_expect", "port": CUTS, "expect": "220 "}),
        "drip": ("timeout", "no expected reply", {"type": "send_expect", "port": DRIPS, "expect": "220 "}),
        "flood": ("too_large", "", {"type": "send_expect", "port": FLOODS, "expect_regex": "220"}),
        "udp-refused": ("refused", "", {"type": "udp", "port": NOBODY}),
        "udp-silent": ("timeout", "no reply", {"type": "udp", "port": DNS_PORT, "require_reply": True}),
        "dns-rcode": ("rcode", "NXDOMAIN, expected NOERROR", {"type": "dns", "port": DNS_PORT, "query": "nobody.lab"}),
        "dns-answer": ("answer", "192.0.2.1 is not among 1 A record", {"type": "dns", "port": DNS_PORT,
                                                                      "query": "whoami.lab", "answer": "192.0.2.1"}),
        "dns-refused": ("refused", "", {"type": "dns", "port": NOBODY, "query": "whoami.lab"}),
        "dns-cut": ("closed", "", {"type": "dns", "port": CUTS, "query": "whoami.lab", "tcp": True}),
        # The kernel answers so once a second, not more often.
        "icmp-unreachable": ("unreachable", "ICMP error", {"type": "icmp", "connect": UNREACHABLE, "interval": "2s"}),
        "icmp-lost": ("timeout", "no reply", {"type": "icmp", "connect": LOST}),
        "grpc-down": ("down", "NOT_SERVING", {"type": "grpc", "port": GRPC, "service": "closed"}),
        "grpc-unknown": ("status", "gRPC status", {"type": "grpc", "port": GRPC, "service": "nothing"}),
        "grpc-web": ("protocol", "content type", {"type": "grpc", "port": H2C}),
        "grpc-http1": ("protocol", "", {"type": "grpc"}),
        "grpc-ca": ("certificate", "", {"type": "grpc", "port": GRPC_TLS, "tls": True, "ca_file": ca(lab, "other")}),
        "agent-down": ("down", "stopped", {"type": "agent", "port": AGENT_DOWN}),
        "agent-smtp": ("protocol", "220", {"type": "agent", "port": SMTP}),
        "agent-closed": ("timeout", "no complete line", {"type": "agent", "port": SILENT}),
    }


def one_each(lab, checks):
    """A service for each check, with s1 behind it."""
    fast = {"interval": "1s", "timeout": "900ms", "rise": 1, "fall": 1}
    return configuration(lab, *(
        service(name, listen(VIP4[0], 10000 + i), lab.servers[:1], port=NAT_PORT, check={**fast, **check})
        for i, (name, check) in enumerate(checks.items())))


def health(lvsd, name):
    (backend,) = lvsd.backends(name).values()
    return backend["health"]


def bomb(lab):
    """A body that makes (a+)+ try everything."""
    page = lab.directory / "www" / "aaa"
    page.parent.mkdir(exist_ok=True)
    page.write_text("a" * 50000)


def settle(lvsd, expected):
    """Waits until each service's health is as expected: name -> (state, reason, part of the detail)."""
    def others():
        found = {name: health(lvsd, name) for name in expected}
        return {name: (found[name]["state"], found[name]["reason"], found[name]["detail"], "expected", *expected[name])
                for name, (state, reason, part) in expected.items()
                if (found[name]["state"], found[name]["reason"]) != (state, reason)
                or part not in found[name]["detail"]}
    try:
        wait_for("all checks", lambda: not others(), timeout=20)
    except LabError:
        assert others() == {}
        raise


def test_each_type_passes(peers, start):
    checks = passing(peers)
    lvsd = start(peers, one_each(peers, checks))
    settle(lvsd, {name: ("up", "ok", "") for name in checks})


def test_each_type_fails_for_each_reason(peers, start):
    bomb(peers)
    table = failing(peers)
    lvsd = start(peers, one_each(peers, {name: check for name, (_, _, check) in table.items()}))
    settle(lvsd, {name: ("down", reason, part) for name, (reason, part, _) in table.items()})


def test_ipv6_hosts_are_pinged(peers, start):
    lab = peers
    start(lab, configuration(lab, service("ping", listen(VIP6[0], 80), lab.servers, family=6,
                                          check={"type": "icmp", "interval": "200ms", "timeout": "200ms"}))).ready()
