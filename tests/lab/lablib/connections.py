#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Many TCP connections that stay open, and the servers that echo over them.

    connections.py echo PORT             sends back what it gets
    connections.py hold ADDRESS PORT N   opens N connections and says "ready". At each SIGUSR1 it sends a word over every
                                         one of them and prints, as JSON, how many brought it back and what became of
                                         the others
"""

import collections
import errno
import json
import os
import resource
import select
import signal
import socket
import sys
import time

PATIENCE = 20.0  # seconds for all echoes of one round
BATCH = 200  # connections that are being opened at the same time


def raise_limit():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def echo(port):
    listener = socket.create_server(("", port), backlog=4096)
    listener.setblocking(False)
    poll, open_sockets = select.epoll(), {}
    poll.register(listener, select.EPOLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd == listener.fileno():
                accepted, _ = listener.accept()
                open_sockets[accepted.fileno()] = accepted
                poll.register(accepted, select.EPOLLIN)
                continue
            sock = open_sockets[fd]
            try:
                data = sock.recv(4096)
                if data:
                    sock.sendall(data)
                    continue
            except OSError:
                pass
            poll.unregister(fd)
            open_sockets.pop(fd).close()


def open_all(address, port, count):
    opened = []
    while len(opened) < count:
        batch = []
        for _ in range(min(BATCH, count - len(opened))):
            sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
            sock.setblocking(False)
            if sock.connect_ex((address, port)) not in (0, errno.EINPROGRESS):
                raise OSError("connect")
            batch.append(sock)
        for sock in batch:
            if not writable(sock):
                raise OSError("no answer")
            error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                raise OSError(error, os.strerror(error))
        opened += batch
    return opened


def writable(sock):
    poll = select.poll()
    poll.register(sock, select.POLLOUT)
    return poll.poll(PATIENCE * 1000)


def check(sockets, word):
    """{"echoed": N, "silent": N, "ConnectionResetError": N, ...}"""
    result, poll = collections.Counter(), select.epoll()
    waiting = {}
    for sock in sockets:
        try:
            sock.send(word)
        except OSError as error:
            result[type(error).__name__] += 1
            continue
        waiting[sock.fileno()] = [sock, b""]
        poll.register(sock, select.EPOLLIN)
    end = time.monotonic() + PATIENCE
    while waiting and time.monotonic() < end:
        for fd, _ in poll.poll(0.5):
            sock, got = waiting[fd]
            outcome = None
            try:
                data = sock.recv(4096)
                waiting[fd][1] = got + data
                if not data:
                    outcome = "closed"
                elif waiting[fd][1] == word:
                    outcome = "echoed"
            except OSError as error:
                outcome = type(error).__name__
            if outcome:
                result[outcome] += 1
                poll.unregister(fd)
                del waiting[fd]
    poll.close()
    if waiting:
        result["silent"] = len(waiting)
    return result


def hold(address, port, count):
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    sockets = open_all(address, port, count)
    check(sockets, b"hello")  # the servers have accepted
    print("ready", flush=True)
    number = 0
    while True:
        signal.sigwait({signal.SIGUSR1})
        number += 1
        print(json.dumps(check(sockets, f"word {number}".encode())), flush=True)


if __name__ == "__main__":
    raise_limit()
    if sys.argv[1] == "echo":
        echo(int(sys.argv[2]))
    else:
        hold(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
