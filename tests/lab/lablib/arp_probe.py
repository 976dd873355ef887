# SPDX-License-Identifier: Apache-2.0
"""Who answers for an IPv4 address? Asked over and over, without touching anybody's neighbour table."""

import socket
import struct
import threading
import time

from .load import Inside

INTERVAL = 0.005
SILENCE = 0.04  # who has not answered for so long does not answer any more
ETH_P_ARP = 0x0806
ARP_REPLY = 2


class ArpProbe:
    """with ArpProbe(host, "eth0", vip) as probe: ...; then owners() and longest_overlap()."""

    def __init__(self, host, device, address):
        self.target = socket.inet_aton(address)
        with Inside(host):
            self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ARP))
            self.sock.bind((device, ETH_P_ARP))
        self.mac = self.sock.getsockname()[4]
        self.sock.settimeout(0.2)
        self.answers = []  # (when, MAC address), in order
        self.ending = threading.Event()
        self.threads = [threading.Thread(target=work, daemon=True) for work in (self._ask, self._listen)]

    def _ask(self):
        # A probe (RFC 5227, section 2.1): its sender address is 0.0.0.0, which nobody learns.
        body = struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, self.mac, bytes(4), bytes(6), self.target)
        frame = b"\xff" * 6 + self.mac + struct.pack("!H", ETH_P_ARP) + body
        while not self.ending.wait(INTERVAL):
            try:
                self.sock.send(frame)
            except OSError:
                pass  # the link is down

    def _listen(self):
        while not self.ending.is_set():
            try:
                frame = self.sock.recv(128)
            except OSError:
                continue
            operation, sender_mac, sender = struct.unpack("!H6s4s", frame[20:32])
            if operation == ARP_REPLY and sender == self.target:
                self.answers.append((time.monotonic(), sender_mac.hex(":")))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        for thread in self.threads:
            thread.join(5)
        self.sock.close()

    def owners(self, since=0.0):
        return {mac for when, mac in list(self.answers) if when >= since}

    def terms(self):
        """MAC address -> the times during which it answered, as (begin, end)."""
        found = {}
        for when, mac in list(self.answers):
            terms = found.setdefault(mac, [])
            if terms and when - terms[-1][1] <= SILENCE:
                terms[-1][1] = when
            else:
                terms.append([when, when])
        return found

    def longest_overlap(self):
        """The longest time, in seconds, during which two answered."""
        terms = [term for owner in self.terms().values() for term in owner]
        owners = [mac for mac, owner in self.terms().items() for _ in owner]
        longest = 0.0
        for i, (begin, end) in enumerate(terms):
            for j in range(i):
                if owners[i] != owners[j]:
                    longest = max(longest, min(end, terms[j][1]) - max(begin, terms[j][0]))
        return longest
