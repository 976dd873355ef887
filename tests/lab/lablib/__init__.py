# SPDX-License-Identifier: Apache-2.0
"""A laboratory of network namespaces: a client, a router that runs lvsd, three real servers.

Only Python's standard library is used, so that scripts/lab and scripts/demo run on a fresh machine.
"""
