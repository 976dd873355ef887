# SPDX-License-Identifier: Apache-2.0
"""VRRP advertisements that somebody on the segment sends, as anybody can."""

import socket
import struct
import threading

from .load import Inside

GROUP4, GROUP6 = "224.0.0.18", "ff02::12"
PROTOCOL = 112


def _checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def advertisement(priority, addresses, vrid=51, interval=0.1, version=3):
    """The message; its checksum is without pseudo-header, which lvsd accepts, and which the kernel sees to for IPv6."""
    family = socket.AF_INET6 if any(":" in a for a in addresses) else socket.AF_INET
    body = b"".join(socket.inet_pton(family, a) for a in addresses)
    if version == 2:
        timing, body = struct.pack("!BB", 0, int(interval)), body + bytes(8)
    else:
        timing = struct.pack("!H", round(interval * 100))
    head = struct.pack("!BBBB", version << 4 | 1, vrid, priority, len(addresses)) + timing
    return head + struct.pack("!H", _checksum(head + b"\0\0" + body)) + body


class Neighbour:
    """Sends advertisements from `host`'s eth0, from its own address; by multicast, or to one router."""

    def __init__(self, host, to=GROUP4):
        v6 = ":" in to
        self.to = (to, 0, 0, 0) if v6 else (to, 0)
        with Inside(host):
            self.sock = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_RAW, PROTOCOL)
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
            if v6:
                index = socket.if_nametoindex("eth0")
                self.sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
                self.sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
                self.sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_CHECKSUM, 6)
                self.to = (to, 0, 0, index)
            else:
                self.sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
                self.sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 255)
        self.stop = threading.Event()
        self.thread = None

    def send(self, message):
        self.sock.sendto(message, self.to)

    def repeat(self, message, pause):
        """Until the `with` block ends."""
        def run():
            while not self.stop.wait(pause):
                self.send(message)
        self.thread = threading.Thread(target=run)
        self.thread.start()
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop.set()
        if self.thread:
            self.thread.join()
        self.sock.close()
