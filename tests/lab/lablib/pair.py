# SPDX-License-Identifier: Apache-2.0
"""Two routers with lvsd, one of them active."""

import json

from .netns import wait_for

INTERVAL = 0.1  # seconds between advertisements
FIRST, SECOND = 150, 100  # priorities
GATEWAY = "10.0.0.254"  # the servers' way back, which moves between the routers


def ha(priority=FIRST, **instance):
    """The `ha` section of one router."""
    return {"instances": [{"name": "pair", "interface": "lan0", "vrid": 51, "priority": priority,
                           "advert_interval": f"{int(INTERVAL * 1000)}ms", **instance}]}


def use_gateway(lab):
    """Replies of nat servers go to whichever router is active."""
    for server in lab.servers:
        server.host.ip(f"route replace default via {GATEWAY}")


def has(host, vip):
    shown = host.run("ip", "-j", "addr", "show", "dev", "lo").stdout
    return any(a["local"] == vip for link in json.loads(shown) for a in link["addr_info"])


def owners(*hosts, vip):
    return [host for host in hosts if has(host, vip)]


def role(lvsd):
    return lvsd.ctl("ha", "status")["role"]


def wait_role(lvsd, wanted, timeout=10):
    wait_for(f"lvsd to be {wanted}\n{lvsd.log_tail()}", lambda: role(lvsd) == wanted, timeout)
