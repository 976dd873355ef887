# SPDX-License-Identifier: Apache-2.0
"""The peer link between the two routers of a pair, and what may happen to it and to the segment beside it."""

import secrets
import socket
import struct
import time
from contextlib import contextmanager

from .address import PEER_LINK, ROUTER_LINK
from .load import Inside
from .netns import LabError

PORT = 5394
ETH_P_IP = 0x0800
HEADER, TAG = 64, 16  # bytes of a datagram before and after its body


def make_keys(lab):
    """One key for both routers."""
    key = secrets.token_hex(32)
    for host in (lab.router, lab.peer):
        write_key(host, key)


def write_key(host, key):
    path = host.directory / "peer.key"
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(key)


def peer(lab, host, **more):
    """The section `ha.peer` of the router that runs on `host`."""
    local, other = (ROUTER_LINK, PEER_LINK) if host is lab.router else (PEER_LINK, ROUTER_LINK)
    return {"local": local.ipv4, "address": other.ipv4, "key_file": str(host.directory / "peer.key"),
            "interval": "100ms", **more}


def cut_segment(lab, cut=True):
    """The routers do not hear each other on the segment, though both hear everybody else."""
    state = "on" if cut else "off"
    lab.switch.ip(*(f"link set {port} type bridge_slave isolated {state}" for port in ("router", "peer")))


def cut_link(lab, cut=True):
    lab.peer.ip(f"link set peer0 {'down' if cut else 'up'}")


@contextmanager
def lossy(host, percent, match):
    """Loses so much of what matches (nftables) and is for `host` itself."""
    share = f"numgen random mod 100 < {percent}" if percent < 100 else ""
    host.run("nft", "-f", "-", stdin=f"table inet lossy {{ chain input {{ type filter hook input priority 0;\n"
                                     f"{match} {share} drop\n}}\n}}\n")
    try:
        yield
    finally:
        host.run("nft", "delete", "table", "inet", "lossy")


class Tap:
    """Frames of the peer link, seen and sent at the first router's end."""

    def __init__(self, lab):
        with Inside(lab.router):
            self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_IP))
            self.sock.bind(("peer0", 0x0003))  # ETH_P_ALL: what this end sends, too
        self.sock.settimeout(1)

    def record(self, count):
        """So many frames with the first router's heartbeats."""
        source, found, deadline = socket.inet_aton(ROUTER_LINK.ipv4), [], time.monotonic() + 20
        while len(found) < count:
            if time.monotonic() > deadline:
                raise LabError(f"{len(found)} heartbeats within 20 s, not {count}")
            frame = self.sock.recv(2048)
            if frame[12:14] == b"\x08\x00" and frame[23] == socket.IPPROTO_UDP and frame[26:30] == source:
                if struct.unpack("!H", frame[36:38])[0] == PORT and len(frame) > 42 + HEADER + TAG:
                    found.append(frame)
        return found

    def send(self, frames, count, burst=40, pause=0.002):
        """`count` frames, those given in turn; in bursts that a socket's buffer holds."""
        for begin in range(0, count, burst):
            for i in range(begin, min(begin + burst, count)):
                self.sock.send(frames[i % len(frames)])
            time.sleep(pause)

    def close(self):
        self.sock.close()


def with_body(frame, change):
    """The frame with another datagram in it, of the same length; without UDP checksum."""
    datagram = bytes(change(bytearray(frame[42:])))
    return frame[:40] + b"\x00\x00" + datagram
