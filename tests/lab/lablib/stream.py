#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A stream of numbered UDP datagrams and what became of them.

    stream.py echo PORT                 sends every datagram back
    stream.py send ADDRESS PORT         1000 a second until SIGTERM (at most 120 s), then one line of JSON:
                                        sent, lost, the numbers of the first lost ones, and the longest time (ms) between
                                        two that came back
"""

import json
import signal
import socket
import sys
import time

RATE = 1000
MOST_SECONDS = 120
LINGER = 2.0  # after the last one, at most: what is under way on a busy machine


def echo(port):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("0.0.0.0", port))
    while True:
        data, sender = sock.recvfrom(64)
        sock.sendto(data, sender)


class Stream:
    def __init__(self, address, port):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.connect((address, port))
        self.sock.setblocking(False)
        self.sent, self.back = [], set()
        self.ending = False

    def run(self):
        begin = time.monotonic()
        while not self.ending and len(self.sent) < RATE * MOST_SECONDS:
            due = begin + len(self.sent) / RATE
            if (late := due - time.monotonic()) > 0:
                time.sleep(late)
            self.sent.append(time.monotonic())
            try:
                self.sock.send(b"%d" % (len(self.sent) - 1))
            except OSError:
                pass  # the router's host said that nobody listens: lost
            self.receive()
        end = time.monotonic() + LINGER
        while time.monotonic() < end and len(self.back) < len(self.sent):
            time.sleep(0.01)
            self.receive()

    def receive(self):
        try:
            while True:
                self.back.add(int(self.sock.recv(64)))
        except OSError:  # nothing more there, or an ICMP error
            pass

    def result(self):
        came = [self.sent[i] for i in sorted(self.back)]
        gap = max((later - earlier for earlier, later in zip(came, came[1:])), default=0) if came else None
        missing = [i for i in range(len(self.sent)) if i not in self.back]
        lost = len(missing)
        return {"sent": len(self.sent), "lost": lost, "missing": missing[:20], "gap_ms": 1000 * gap if lost and gap else 0}


def send(address, port):
    stream = Stream(address, port)

    def end(*_):
        stream.ending = True
    signal.signal(signal.SIGTERM, end)
    print("ready", flush=True)
    stream.run()
    print(json.dumps(stream.result()), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "echo":
        echo(int(sys.argv[2]))
    else:
        send(sys.argv[2], int(sys.argv[3]))
