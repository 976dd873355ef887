# SPDX-License-Identifier: Apache-2.0
"""Who gets how many: 100,000 connections without an error, rr and wrr exact, hash schedulers loyal."""

import os
from collections import Counter

import pytest
from lablib.address import CLIENT_EXTRA4, NAT_PORT, VIP4, VIP6
from lablib.load import Wrk, ask, connect, dig, errors, fetch
from lablib.lvsd import FAST_TCP, configuration, endpoint, listen, service

REQUESTS = int(os.environ.get("XLVS_LAB_REQUESTS", "100000"))
CONNECTIONS = 32
CPUS = os.cpu_count()


def flows(lvsd, name, lab, port=NAT_PORT):
    """Flows created so far, by server, in the servers' order."""
    by_address = {b["address"]: b["traffic"]["flows"] for b in lvsd.service(name)["backends"]}
    return [by_address[endpoint(s.address.ipv4, port)] for s in lab.servers]


def load_new_connections(lab, vip, requests):
    """At least so many requests, a new connection for each; none may fail. Returns how many were answered, and how many
    connections may have been cut in the middle because a run's time was up."""
    done = cut = 0
    while done < requests:
        result = Wrk(lab.client, vip, connections=CONNECTIONS, seconds=5, close=True).wait()
        assert errors(result) == {}, result
        assert result["requests"] > 0
        done += result["requests"]
        cut += CONNECTIONS + 1  # wrk first tries whether it can connect at all
    return done, cut


@pytest.mark.parametrize("scheduler, weights", [("rr", [1, 1, 1]), ("wrr", [1, 2, 3])])
def test_100000_connections_without_an_error_in_exact_shares(two_nic, start, scheduler, weights):
    lab = two_nic
    lvsd = start(lab, configuration(lab, service("web", listen(VIP4[0]), lab.servers, scheduler=scheduler,
                                                 weights=weights, check={"type": "none"})))
    logged = [s.request_count() for s in lab.servers]
    done, cut = load_new_connections(lab, VIP4[0], REQUESTS)
    created = flows(lvsd, "web", lab)
    assert done <= sum(created) <= done + cut
    # Every CPU has a cursor of its own, and each is at most one round of the weights ahead.
    unit = [count / weight for count, weight in zip(created, weights)]
    assert max(unit) - min(unit) <= CPUS, f"{created} for weights {weights}"
    # The servers' own logs agree, but for the connections that were cut.
    served = [s.request_count() - before for s, before in zip(lab.servers, logged)]
    assert all(abs(requests - connections) <= cut for requests, connections in zip(served, created)), (served, created)
    assert sum(served) >= done
    assert lvsd.reasons()["no_backend"] == 0


@pytest.mark.parametrize("scheduler, weights, rounds", [("rr", [1, 1, 1], 30), ("wrr", [3, 1, 1], 12)])
def test_shares_that_the_servers_count(one_arm, start, scheduler, weights, rounds):
    """One connection after the other, so that nothing is cut: the servers' own logs must be exact."""
    lab = one_arm
    start(lab, configuration(lab, service("web", listen(VIP4[0]), lab.servers, scheduler=scheduler,
                                          weights=weights, check={"type": "none"}))).ready()
    total = rounds * sum(weights)
    names = Counter(ask(lab.client, VIP4[0])[0] for _ in range(total))
    for server, weight in zip(lab.servers, weights):
        # A CPU that was left in the middle of a round owes a server at most its weight.
        assert abs(names[server.name] - rounds * weight) <= CPUS * weight, names


def test_udp_shares_are_exact(one_arm, start):
    lab = one_arm
    dns = service("dns", listen(VIP4[0], 53, "udp"), lab.servers, port=53, check=FAST_TCP)
    start(lab, configuration(lab, dns)).ready()
    names = Counter(dig(lab.client, VIP4[0]) for _ in range(30))
    assert max(names.values()) - min(names.values()) <= CPUS, names
    assert sum(names.values()) == 30


@pytest.mark.parametrize("scheduler", ["sh", "mh"])
def test_a_client_stays_with_its_server(one_arm, start, scheduler):
    lab = one_arm
    start(lab, configuration(lab, service("web", listen(VIP4[0]), lab.servers, scheduler=scheduler))).ready()
    chosen = {source: {ask(lab.client, VIP4[0], source=source)[0] for _ in range(5)}
              for source in CLIENT_EXTRA4}
    assert all(len(names) == 1 for names in chosen.values()), chosen
    assert len(set.union(*chosen.values())) > 1, f"nine clients and all with the same server: {chosen}"


@pytest.mark.parametrize("scheduler", ["lc", "wlc"])
def test_least_connection_prefers_the_idle_server(one_arm, start, scheduler):
    """Connections held open are spread evenly, whatever was first."""
    lab = one_arm
    start(lab, configuration(lab, service("web", listen(VIP6[0]), lab.servers, scheduler=scheduler, family=6))).ready()
    held = [connect(lab.client, VIP6[0]) for _ in range(12)]
    names = Counter(fetch(sock).split()[0] for sock in held)
    for sock in held:
        sock.close()
    assert names == {"s1": 4, "s2": 4, "s3": 4}
