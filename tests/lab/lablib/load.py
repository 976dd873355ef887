# SPDX-License-Identifier: Apache-2.0
"""What clients do: curl, dig, wrk, and a plain socket where a test must hold a connection in its hand."""

import ctypes
import hashlib
import json
import os
import signal
import socket
import threading
import uuid
from pathlib import Path

from .address import url
from .netns import LabError, command

WRK_SCRIPT = Path(__file__).resolve().parent / "wrk.lua"


def curl(host, address, path="/whoami", port=80, source=None, timeout=10, check=True):
    """The body of one HTTP request over a connection of its own; None if it failed and `check` is off."""
    options = ["--interface", source] if source else []
    done = host.run("curl", "-sS", "--fail", "-g", "--noproxy", "*", "--max-time", timeout, *options,
                    url(address, path, port), timeout=timeout + 10, check=check)
    return done.stdout if done.returncode == 0 else None


def dig(host, server, name="whoami.lab", kind="TXT", tcp=False, source=None):
    """The answer's text; each query comes from a source port of its own."""
    options = ["+tcp" if tcp else "+notcp", "+short", "+tries=1", "+time=3"] + (["-b", source] if source else [])
    return host.run("dig", *options, f"@{server}", name, kind).stdout.strip().strip('"')


class Inside:
    """Runs this thread in a host's network namespace, so that sockets opened meanwhile belong to that host."""

    def __init__(self, host):
        self.host = host

    def __enter__(self):
        self.home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        with open(self.host.path) as there:
            setns(there.fileno())

    def __exit__(self, *_):
        setns(self.home)
        os.close(self.home)


def setns(fd):  # Python has it from 3.12 on
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(fd, 0x40000000) != 0:  # CLONE_NEWNET
        raise OSError(ctypes.get_errno(), "setns: " + os.strerror(ctypes.get_errno()))


def connect(host, address, port=80, source=None, timeout=5.0):
    """A TCP connection from `host`; the socket stays in that host wherever it is used later."""
    with Inside(host):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
    sock.settimeout(timeout)
    if source:
        sock.bind((source, 0))
    sock.connect((address, port))
    return sock


def request(sock, path="/whoami", close=False):
    """Sends one HTTP/1.1 request and reads the answer's header; the rest of the answer: (first bytes, missing)."""
    ending = "Connection: close\r\n" if close else ""
    sock.sendall(f"GET {path} HTTP/1.1\r\nHost: lab\r\n{ending}\r\n".encode())
    data = b""
    while b"\r\n\r\n" not in data:
        data += receive(sock, f"the answer's header after {len(data)} bytes")
    head, body = data.split(b"\r\n\r\n", 1)
    if b" 200 " not in head.split(b"\r\n")[0]:
        raise LabError(f"{path}: {head.splitlines()[0].decode()}")
    length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    return body, length - len(body)


def receive(sock, where):
    part = sock.recv(65536)
    if not part:
        raise LabError(f"connection closed in {where}")
    return part


def fetch(sock, path="/whoami", close=False):
    """The body of one request over an open connection, which stays open unless `close`."""
    body, missing = request(sock, path, close)
    while missing > 0:
        part = receive(sock, f"the answer, {missing} bytes before its end")
        body, missing = body + part, missing - len(part)
    return body.decode()


class Download:
    """A transfer that has begun and waits, the server's buffers full, until finish() takes the rest."""

    def __init__(self, host, address, path="/big"):
        self.sock = connect(host, address, timeout=30.0)
        first, self.missing = request(self.sock, path, close=True)
        self.hash = hashlib.sha256(first)

    def finish(self):
        """The SHA-256 of all that came."""
        while self.missing > 0:
            part = receive(self.sock, f"a download, {self.missing} bytes before its end")
            self.hash.update(part)
            self.missing -= len(part)
        self.sock.close()
        return self.hash.hexdigest()


def ask(host, address, port=80, source=None):
    """(server's name, client address as the server saw it, client port) of one request over a connection of its own.
    Without a process for each, as with curl()."""
    with connect(host, address, port, source) as sock:
        return fetch(sock, close=True).split()


class Echo:
    """A TCP server in `host` that sends back what it gets: a login session, as far as a router can tell."""

    def __init__(self, host, port, address="0.0.0.0"):
        self.port = port
        with Inside(host):
            self.listener = socket.create_server((address, port))
        self.thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self):
        try:
            while True:
                connection, _ = self.listener.accept()
                with connection:
                    while data := connection.recv(65536):
                        connection.sendall(data)
        except OSError:
            pass  # closed

    def roundtrip(self, sock, data):
        sock.sendall(data)
        got = b""
        while len(got) < len(data):
            got += receive(sock, "an echo")
        if got != data:
            raise LabError(f"echo: sent {data!r}, got {got!r}")

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(5)


class Wrk:
    """wrk(1) in the background. `close`: a new connection for each request."""

    def __init__(self, host, address, path="/whoami", port=80, connections=32, threads=2, seconds=5, close=False):
        self.seconds = seconds
        self.log = host.directory / f"wrk-{uuid.uuid4().hex[:8]}.log"
        headers = ["-H", "Connection: close"] if close else []
        # --timeout: a request that takes longer counts as failed. A lost SYN costs 1 s, two in a row 3 s.
        self.process = host.start("wrk", "-c", connections, "-t", threads, "-d", f"{seconds}s", "--timeout", "2s",
                                  *headers, "-s", WRK_SCRIPT, url(address, path, port), log=self.log)

    def stop(self):
        """Ends it before its time. Returns what wait() does."""
        self.process.send_signal(signal.SIGINT)
        return self.wait()

    def wait(self):
        """What wrk.lua prints: "requests", "bytes", and how often each kind of failure happened (see errors())."""
        self.process.wait(self.seconds + 30)
        text = self.log.read_text()
        for line in text.splitlines():
            if line.startswith('{"requests"'):
                return json.loads(line)
        raise LabError(f"wrk: no result:\n{text}")


def errors(result):
    """The kinds of failure that happened, for an assertion's message: empty when all went well."""
    return {kind: result[kind] for kind in ("connect", "read", "write", "status", "timeout") if result[kind]}
