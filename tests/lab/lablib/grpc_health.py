#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A server of gRPC's health service, over Debian's HTTP/2 library. Arguments: PORT [TLS-PORT CERTIFICATE KEY].

It serves as a whole, and so does the service `shop`; `closed` does not; others are not known. The two messages are so
small that they are taken apart here rather than by generated code. (The server of Debian 12's python3-grpcio answers no
call at all, not even its own client's.)
"""

import asyncio
import ssl
import sys

import h2.config
import h2.connection
import h2.events

PATH = b"/grpc.health.v1.Health/Check"
STATUS = {b"": 1, b"shop": 1, b"closed": 2}  # SERVING, NOT_SERVING
OK, NOT_FOUND, UNIMPLEMENTED = b"0", b"5", b"12"


def frame(message):
    return b"\0" + len(message).to_bytes(4, "big") + message


def answer(path, body):
    """(gRPC status, text, messages)"""
    if path != PATH:
        return UNIMPLEMENTED, b"no such method", b""
    name = body[5:][2:]  # the message, its field 1: number, length, name
    if name not in STATUS:
        return NOT_FOUND, b"unknown service", b""
    return OK, b"", frame(bytes([8, STATUS[name]]))


async def serve(reader, writer):
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding=None))
    connection.initiate_connection()
    paths, bodies = {}, {}
    try:
        while True:
            writer.write(connection.data_to_send())
            await writer.drain()
            data = await reader.read(65536)
            if not data:
                return
            for event in connection.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    paths[event.stream_id], bodies[event.stream_id] = dict(event.headers)[b":path"], b""
                elif isinstance(event, h2.events.DataReceived):
                    bodies[event.stream_id] += event.data
                    connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.StreamEnded):
                    stream = event.stream_id
                    status, text, messages = answer(paths.pop(stream), bodies.pop(stream))
                    connection.send_headers(stream, [(b":status", b"200"), (b"content-type", b"application/grpc")])
                    connection.send_data(stream, messages)
                    connection.send_headers(stream, [(b"grpc-status", status), (b"grpc-message", text)], True)
    except (ConnectionError, h2.exceptions.ProtocolError):
        pass
    finally:
        writer.close()


async def main():
    await asyncio.start_server(serve, None, int(sys.argv[1]))
    if len(sys.argv) > 2:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*sys.argv[3:5])
        tls.set_alpn_protocols(["h2"])
        await asyncio.start_server(serve, None, int(sys.argv[2]), ssl=tls)
    await asyncio.Event().wait()


asyncio.run(main())
