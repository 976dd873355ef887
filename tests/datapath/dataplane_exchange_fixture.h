// SPDX-License-Identifier: Apache-2.0
// Two services whose flows are told and imported, and packets through the program beside that.
#pragma once

#include <bpf/bpf.h>

#include "tests/datapath/dataplane_fixture.h"
#include "tests/support/packet.h"

namespace xlvs::dataplane {

inline constexpr const char* kWebVip = "198.51.100.10:80/tcp";
inline constexpr const char* kDnsVip = "198.51.100.10:53/udp";
inline constexpr const char* kSixVip = "[2001:db8:5::10]:80/tcp";
inline constexpr std::chrono::milliseconds kAtOnce{0};

class ExchangeTest : public DataplaneTest {
 protected:
  void SetUp() override {
    DataplaneTest::SetUp();
    open();
    port_ = make_port("dp0");
    ASSERT_TRUE(dp->attach(port_));
    for (const char* server : {"10.0.0.11", "10.0.0.12", "10.0.0.13", "fd00::11"})
      dp->set_next_hop(address(server), NextHop{false, MacAddress{{2, 0, 0, 0, 0, 9}}, port_.ifindex});
    apply(desired({web(), dns(), six()}));
    one = backend_id("web", "10.0.0.11:8080");
    two = backend_id("web", "10.0.0.12:8080");
  }
  static DesiredService web() {
    return service("web", {kWebVip}, {backend("10.0.0.11:8080"), backend("10.0.0.12:8080")}, Scheduler::rr);
  }
  static DesiredService dns() { return service("dns", {kDnsVip}, {backend("10.0.0.13:53")}, Scheduler::rr); }
  static DesiredService six() { return service("six", {kSixVip}, {backend("[fd00::11]:8080")}, Scheduler::rr); }

  // Target numbers 0: web on .11, 1: web on .12, 2: dns, 3: six.
  void learn_targets() {
    FlowSink& sink = dp->flow_exchange().sink;
    sink.forget_targets();
    sink.set_target(0, {"web", listener(kWebVip), endpoint("10.0.0.11:8080")});
    sink.set_target(1, {"web", listener(kWebVip), endpoint("10.0.0.12:8080")});
    sink.set_target(2, {"dns", listener(kDnsVip), endpoint("10.0.0.13:53")});
    sink.set_target(3, {"six", listener(kSixVip), endpoint("[fd00::11]:8080")});
  }
  static FlowRecord record(const std::string& client, std::uint32_t target = 0,
                           FlowState state = FlowState::established, std::uint16_t idle = 0) {
    return {endpoint(client), target, state, std::chrono::duration<std::uint16_t>(idle)};
  }
  FlowImports import(const std::vector<FlowRecord>& flows, bool replace = true) {
    return dp->flow_exchange().sink.import(flows, replace);
  }
  // One walk of the whole table.
  std::vector<FlowRecord> walk(std::chrono::milliseconds after = kAtOnce) {
    std::vector<FlowRecord> out;
    FlowSource& source = dp->flow_exchange().source;
    std::size_t all = source.bucket_count();
    EXPECT_TRUE(source.collect(all, 1U << 20, after, out));
    return out;
  }

  // A segment from a client, or a reply towards it; true: it was forwarded.
  bool send(const std::string& from, const std::string& to, std::uint8_t flags, test::Bytes* sent = nullptr) const {
    const Endpoint source = endpoint(from), destination = endpoint(to);
    test::Packet p{test::Ethernet{.dst = {2, 0, 0, 0, 0, 1}, .src = {2, 0, 0, 0, 0, 7}}};
    if (source.address.is_v4())
      p.append(test::IPv4{.src = source.address.to_string(), .dst = destination.address.to_string()});
    else
      p.append(test::IPv6{.src = source.address.to_string(), .dst = destination.address.to_string()});
    p.append(test::Tcp{.sport = source.port, .dport = destination.port, .flags = flags});
    return run_frame(p.build(), sent);
  }
  bool run_frame(const test::Bytes& frame, test::Bytes* sent = nullptr) const {
    test::Bytes out(frame.size() + 256);
    xdp_md context{};
    context.data_end = static_cast<std::uint32_t>(frame.size());
    context.ingress_ifindex = port_.ifindex;
    LIBBPF_OPTS(bpf_test_run_opts, test_run, .data_in = frame.data(), .data_out = out.data(),
                .data_size_in = static_cast<std::uint32_t>(frame.size()),
                .data_size_out = static_cast<std::uint32_t>(out.size()), .ctx_in = &context,
                .ctx_size_in = sizeof context, .repeat = 1);
    EXPECT_EQ(bpf_prog_test_run_opts(dp->program(), &test_run), 0) << std::strerror(errno);
    if (sent != nullptr) *sent = out;
    return test_run.retval == XDP_TX || test_run.retval == XDP_REDIRECT;
  }
  [[nodiscard]] std::vector<Flow> flows() const { return dp->flows({}, 1U << 20, nullptr); }
  // Kept counts against a recount.
  [[nodiscard]] std::uint64_t drift() {
    sweep(4);
    return dp->stats().count_drift;
  }

  std::uint32_t one = 0, two = 0;

 private:
  PortRequest port_;
};

}  // namespace xlvs::dataplane
