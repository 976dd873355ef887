# SPDX-License-Identifier: Apache-2.0
"""Who answers for an IPv4 address? Asked over and over, without touching anybody's neighbour table.

    python3 -m lablib.arp_probe DEVICE ADDRESS MS     asks so often, in the namespace that it is run in, and says "ready" at
                                                      the first answer; at SIGTERM one line of JSON: how many answers,
                                                      each owner's MAC address with its first one (ms of the monotonic
                                                      clock), the longest time (ms) without any, and with two owners
"""

import contextlib
import json
import signal
import socket
import struct
import sys
import threading
import time

from .load import Inside

INTERVAL = 0.005
SILENCE = 8  # intervals: who has not answered for so many does not answer any more
ETH_P_ARP = 0x0806
ARP_REPLY = 2


class ArpProbe:
    """with ArpProbe(host, "eth0", vip) as probe: ...; then owners() and longest_overlap(). `host` None: right here."""

    def __init__(self, host, device, address, interval=INTERVAL):
        self.interval = interval
        self.target = socket.inet_aton(address)
        with Inside(host) if host else contextlib.nullcontext():
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
        while not self.ending.wait(self.interval):
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
            if terms and when - terms[-1][1] <= SILENCE * self.interval:
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

    def longest_gap(self):
        """The longest time, in seconds, between two answers."""
        times = [when for when, _ in self.answers]
        return max((later - earlier for earlier, later in zip(times, times[1:])), default=0.0)

    def first_answers(self):
        """MAC address -> when it answered for the first time."""
        first = {}
        for when, mac in list(self.answers):
            first.setdefault(mac, when)
        return first


def main(device, address, milliseconds):
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    with ArpProbe(None, device, address, int(milliseconds) / 1000) as probe:
        while not probe.answers:
            time.sleep(INTERVAL)
        print("ready", flush=True)
        signal.sigwait({signal.SIGTERM})
    print(json.dumps({"answers": len(probe.answers),
                      "owners": {mac: round(1000 * when) for mac, when in probe.first_answers().items()},
                      "longest_gap_ms": round(1000 * probe.longest_gap()),
                      "longest_overlap_ms": round(1000 * probe.longest_overlap())}))


if __name__ == "__main__":
    main(*sys.argv[1:])
