#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A gRPC server with the health service, on gRPC's own library. Arguments: PORT [TLS-PORT CERTIFICATE KEY].

It serves as a whole, and so does the service `shop`; `closed` does not; others are not known. The two messages are so
small that they are taken apart here rather than by generated code.
"""

import sys
from concurrent import futures

import grpc

STATUS = {b"": 1, b"shop": 1, b"closed": 2}  # SERVING, NOT_SERVING


def check(request, context):
    name = request[2:] if request else b""  # field 1, its length, the name
    if name not in STATUS:
        context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
    return bytes([8, STATUS[name]])


def main():
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(
        "grpc.health.v1.Health", {"Check": grpc.unary_unary_rpc_method_handler(check)}),))
    server.add_insecure_port(f"0.0.0.0:{sys.argv[1]}")
    if len(sys.argv) > 2:
        certificate, key = (open(path, "rb").read() for path in sys.argv[3:5])
        server.add_secure_port(f"0.0.0.0:{sys.argv[2]}", grpc.ssl_server_credentials([(key, certificate)]))
    server.start()
    server.wait_for_termination()


main()
