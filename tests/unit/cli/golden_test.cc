// SPDX-License-Identifier: Apache-2.0
// What operators see, to the blank. A change here is a change of lvsctl's interface.
#include "tests/unit/cli/cli_fixture.h"

namespace xlvs::cli {
namespace {

using Golden = CliTest;

TEST_F(Golden, Status) {
  EXPECT_EQ(run({"status"}).out, R"(lvsd 0.1.0, instance default, pid 4242, up 3m12s
WARNING: interface wan0: XDP runs in the slow generic mode (the driver has no XDP)
Config      /etc/lvs/lvs.yaml, generation 3, loaded 1m4s ago
Interfaces  lan0 native, wan0 generic
VIPs        198.51.100.10, 198.51.100.11, 2001:db8::10
Flows       ipv4 128 of 1048576 and 2 in overflow, ipv6 5 of 262144

Prot LocalAddress:Port Scheduler Forward Service
  -> RemoteAddress:Port   Forward  Weight  ActiveConn  InActConn  State     Since  Check
TCP  198.51.100.10:80 wrr nat web
TCP  198.51.100.11:80 wrr nat web
  -> 10.0.0.11:8080       nat           3         120          7  up        3m12s  ok 2.3ms
  -> 10.0.0.12:8080       nat           1           0          0  down        45s  status: HTTP status 503, expected 200
  -> 10.0.0.13:8080       nat           0           1          0  drained    1d1h  ok 2.3ms
UDP  [2001:db8::10]:53 mh dr dns6
  -> [2001:db8:1::11]:53  dr            1           0          5  no-route

Packets not plainly forwarded
Reason          Verdict  Packets  Meaning
no_backend      drop          12  the service has no backend that may take a new flow
no_flow_passed  pass           3  a TCP segment of no known flow, left to the host (which answers RST)
)");
}

TEST_F(Golden, HaStatusOfAPair) {
  control::HaReport ha;
  ha.mode = "vrrp";
  ha.role = "backup";
  ha.reason = "started";
  ha.since = control::kNow - 65;
  ha.transitions = 1;
  control::HaInstanceReport& instance = ha.instances.emplace_back();
  instance.name = "outside";
  instance.interface = "wan0";
  instance.vrid = 51;
  instance.priority = 100;
  instance.received = 650;
  instance.peer = "198.51.100.1";
  instance.peer_priority = 150;
  instance.peer_heard_ago = 0.05;
  control::HaPeerReport& peer = ha.peer.emplace();
  peer.address = "192.168.7.1";
  peer.state = "unheard";
  peer.takeover = "both_silent";
  peer.sent = 325;
  peer.send_errors = 2;
  peer.rejected = {{"key", 3}, {"source", 1}};
  lvsd.canned.ha = ha;
  EXPECT_EQ(run({"ha", "status"}).out, R"(Role        backup for 1m5s (started)
Transitions 1
Peer        192.168.7.1 unheard
Peer link   sent 325 (2 errors), received 0, rejected key 3, source 1, takeover both_silent

Instance  Interface  VRID  Priority  Sent  Received  Rejected  Peer
outside   wan0         51       100     0       650  0         198.51.100.1 priority 150, 0s ago
)");
  lvsd.canned.ha->warnings = {"no router of the pair is active"};
  EXPECT_THAT(run({"ha", "status"}).out,
              testing::HasSubstr("takeover both_silent\nWarning     no router of the pair is active\n\nInstance"));
  lvsd.canned.ha->warnings.clear();
  peer = {"192.168.7.1", "up", "both_silent", "active", 150, false, 0.05, "differs", 3, 2, 1, 5, 4,
          325,           0,    324,           {},       {},  {}};
  lvsd.canned.ha->peer = peer;
  EXPECT_THAT(
      run({"ha", "status"}).out,
      testing::HasSubstr("Peer        192.168.7.1 up, heard 0s ago: active priority 150, 1 of 2 services up, 4 of 5 "
                         "backends up\n"
                         "Config      differs from the peer's (the peer's generation is 3)\n"
                         "Peer link   sent 325, received 324, rejected 0, takeover both_silent\n"));
}

TEST_F(Golden, HaStatusOfAnycast) {
  control::HaReport ha;
  ha.mode = "anycast";
  ha.role = "active";
  ha.since = control::kNow - 65;
  ha.vips = {{"198.51.100.10", true, ""}, {"2001:db8::10", false, "service web6: no backend may take flows"}};
  lvsd.canned.ha = ha;
  EXPECT_EQ(run({"ha", "status"}).out, R"(Role        active for 1m5s (start)
Transitions 0

VIP            Announced  Why not
198.51.100.10  yes
2001:db8::10   no         service web6: no backend may take flows
)");
  ha.role = "released";
  ha.reason = "released by the operator";
  ha.released = true;
  ha.table = 100;
  ha.vips = {{"198.51.100.10", true, ""}};
  lvsd.canned.ha = ha;
  EXPECT_EQ(run({"ha", "release"}).out,
            R"(Role        released for 1m5s (released by the operator): announces nothing until `lvsctl ha resume`
Transitions 0

VIP            Announced     Why not
198.51.100.10  in table 100
)");
}

TEST_F(Golden, ServiceList) {
  EXPECT_EQ(
      run({"service", "list"}).out,
      R"(Service  Listeners                                  Scheduler  Forward  Check  Backends  Up  Active  Inactive  Conns
web      198.51.100.10:80/tcp,198.51.100.11:80/tcp  wrr        nat      http          3   2     121         7    150
dns6     [2001:db8::10]:53/udp                      mh         dr       none          1   1       0         5      5
)");
}
TEST_F(Golden, ServiceShow) {
  EXPECT_EQ(run({"service", "show", "web"}).out, R"(Service    web
Listeners  198.51.100.10:80/tcp, 198.51.100.11:80/tcp
Scheduler  wrr
Forward    nat
Check      http

Backend         Forward  Weight  Active  Inactive  State    Since  Conns  InPkts  OutPkts        InBytes  OutBytes  NextHop                     Check
10.0.0.11:8080  nat           3     120         7  up       3m12s    100    6000     5000  1234567000000     12000  02:00:00:00:00:0b dev lan0  ok 2.3ms
10.0.0.12:8080  nat           1       0         0  down       45s     30    2000     2000         800000      5000  02:00:00:00:00:0b dev lan0  status: HTTP status 503, expected 200
10.0.0.13:8080  nat           0       1         0  drained   1d1h     20    1000     1000          90123      3000  02:00:00:00:00:0b dev lan0  ok 2.3ms
)");
}
TEST_F(Golden, BackendList) {
  EXPECT_EQ(
      run({"backend", "list"}).out,
      R"(Service  Backend              Forward  Weight  Configured  Active  Inactive  State     Since  NextHop                     Check
web      10.0.0.11:8080       nat           3           3     120         7  up        3m12s  02:00:00:00:00:0b dev lan0  ok 2.3ms
web      10.0.0.12:8080       nat           1           1       0         0  down        45s  02:00:00:00:00:0b dev lan0  status: HTTP status 503, expected 200
web      10.0.0.13:8080       nat           0           1       1         0  drained    1d1h  02:00:00:00:00:0b dev lan0  ok 2.3ms
dns6     [2001:db8:1::11]:53  dr            1           1       0         5  no-route
)");
}
TEST_F(Golden, BackendShow) {
  lvsd.canned.services[0].backends[1].health.until = control::kNow + 30;
  EXPECT_EQ(run({"backend", "show", "web", "10.0.0.12"}).out, R"(Backend  10.0.0.12:8080 of web
State    down for 45s
Until    in 30s, if nothing fails
Why      http/health: HTTP status 503, expected 200 (4 failures in a row)
Weight   1, configured 1
Tier     0
Forward  nat
NextHop  02:00:00:00:00:0b dev lan0
Flows    0 active, 0 inactive

Check        State  InARow          Ago  Latency  Last                                   Results
tcp          up     90 passed of 2   1s    200us  ok                                     ok 90
http/health  down   4 failed of 3    1s    1.1ms  status: HTTP status 503, expected 200  ok 86, status 4
)");
}
TEST_F(Golden, Stats) {
  EXPECT_EQ(run({"stats"}).out, R"(Service / RemoteAddress:Port  Conns  InPkts  OutPkts        InBytes  OutBytes
web                             150    9000     8000  1234567890123     20000
  -> 10.0.0.11:8080             100    6000     5000  1234567000000     12000
  -> 10.0.0.12:8080              30    2000     2000         800000      5000
  -> 10.0.0.13:8080              20    1000     1000          90123      3000
dns6                              5      10        0            700         0
  -> [2001:db8:1::11]:53          5      10        0            700         0

Packets not plainly forwarded
Reason          Verdict  Packets  Meaning
no_backend      drop          12  the service has no backend that may take a new flow
no_flow_passed  pass           3  a TCP segment of no known flow, left to the host (which answers RST)
)");
}
TEST_F(Golden, FlowList) {
  lvsd.flow_list = {3,
                    {{"tcp", "192.0.2.7:40312", "198.51.100.10:80", "web", "10.0.0.11:8080", "ESTABLISHED", 899},
                     {"udp", "[2001:db8:2::7]:5353", "[2001:db8::10]:53", "dns6", "[2001:db8:1::11]:53", "UDP", 7}}};
  EXPECT_EQ(run({"flow", "list"}).out,
            R"(Prot  Expire  State        Source                Virtual            Destination          Service
tcp   14m59s  ESTABLISHED  192.0.2.7:40312       198.51.100.10:80   10.0.0.11:8080       web
udp       7s  UDP          [2001:db8:2::7]:5353  [2001:db8::10]:53  [2001:db8:1::11]:53  dns6
2 of 3 flows; --limit shows more
)");
}
TEST_F(Golden, Rates) {
  auto second = control::canned_stats();
  second.at += 2;
  second.services[0].traffic.flows += 5;
  second.services[0].traffic.in_bytes += 3'000'000'001;
  second.services[0].backends[0].traffic.flows += 5;
  second.services[0].backends[1].traffic.flows -= 1;
  second.services[1].backends[0].address = "[2001:db8:1::12]:53";
  second.reasons[1].packets += 1;
  lvsd.samples.push_back(second);
  EXPECT_EQ(run({"stats", "--rate"}).out, R"(Service / RemoteAddress:Port  CPS  InPPS  OutPPS         InBPS  OutBPS
web                           2.5    0.0     0.0  1500000000.5     0.0
  -> 10.0.0.11:8080           2.5    0.0     0.0           0.0     0.0
  -> 10.0.0.12:8080             -    0.0     0.0           0.0     0.0
  -> 10.0.0.13:8080           0.0    0.0     0.0           0.0     0.0
dns6                          0.0    0.0     0.0           0.0     0.0
  -> [2001:db8:1::12]:53        -      -       -             -       -

Packets not plainly forwarded
Reason      Verdict  PPS  Meaning
no_backend  drop     0.5  the service has no backend that may take a new flow
)");
}
TEST_F(Golden, Yaml) {
  EXPECT_EQ(run({"-o", "yaml", "backend", "list", "--service", "dns6"}).out, R"(---
- service: dns6
  address: "[2001:db8:1::11]:53"
  forward: dr
  weight: 1
  effective_weight: 1.0
  configured_weight: 1
  drained: false
  disabled: false
  weight_override: null
  forced: null
  reason: ""
  maintenance: ""
  state: no-route
  why: ""
  tier: 0
  host: ""
  leaving: false
  health:
    state: unchecked
    life: ""
    until: null
    since: 0.0
    reason: ""
    detail: ""
    latency: 0.0
    checks_passed: 0
    checks_failed: 0
    checks: []
  active: 0
  inactive: 5
  traffic:
    flows: 5
    in_packets: 10
    in_bytes: 700
    out_packets: 0
    out_bytes: 0
  next_hop: ""
)");
}
TEST_F(Golden, Drain) {
  EXPECT_EQ(run({"backend", "drain", "10.0.0.11:8080"}).out,
            R"(web 10.0.0.11:8080: drained: no new flows; 120 active and 7 inactive go on
)");
}

}  // namespace
}  // namespace xlvs::cli
