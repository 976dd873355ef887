// SPDX-License-Identifier: Apache-2.0
// Limits that have changed since the last lvsd: the new one carries everything over into maps of the new sizes.
#include "tests/datapath/dataplane_exchange_fixture.h"

namespace xlvs::dataplane {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class Resize : public ExchangeTest {
 protected:
  // Flows of every kind of state and family, and what they look like.
  void make_flows() {
    ASSERT_TRUE(send("203.0.113.1:1000", "198.51.100.10:80", test::kSyn));  // half-open
    ASSERT_TRUE(send("203.0.113.1:1001", "198.51.100.10:80", test::kSyn));
    ASSERT_TRUE(send("203.0.113.1:1001", "198.51.100.10:80", test::kAck));
    ASSERT_TRUE(send("[2001:db8::1]:1003", "[2001:db8:5::10]:80", test::kSyn));
    learn_targets();
    std::vector<FlowRecord> many;
    for (std::uint16_t i = 0; i < 500; ++i)
      many.push_back(record(fmt::format("203.0.113.2:{}", 2000 + i), i % 2, FlowState::established,
                            static_cast<std::uint16_t>(i % 30)));
    many.push_back(record("203.0.113.3:53", 2, FlowState::udp));
    many.push_back(record("203.0.113.3:54", 0, FlowState::fin_wait));
    const FlowImports done = import(many);
    ASSERT_EQ(done.created, many.size());
  }
  // Without times, which go on.
  [[nodiscard]] std::vector<std::string> described() const {
    std::vector<std::string> out;
    for (const Flow& flow : flows())
      out.push_back(fmt::format("{} {} {} {} {}", flow.client.to_string(), flow.destination.to_string(), flow.service,
                                flow.backend.to_string(), flow.state));
    std::sort(out.begin(), out.end());
    return out;
  }
  [[nodiscard]] std::uint64_t counted_flows() const {
    std::uint64_t sum = 0;
    for (const ServiceStats& service : dp->stats().services) sum += service.traffic.flows;
    return sum;
  }
};

TEST_F(Resize, EverythingIsCarriedOver) {
  make_flows();
  const auto before = described();
  ASSERT_THAT(before, SizeIs(505));
  const auto installed = dp->installed();
  const auto counted = counted_flows();
  const std::uint32_t program = program_id(dp->program());
  const auto half_open = flows();
  options.limits = {8192, 2048, 64, 100, 200};
  open();
  EXPECT_NE(program_id(dp->program()), program);
  ASSERT_THAT(dp->ports(), SizeIs(1));
  EXPECT_EQ(dp->ports()[0].program_id, program_id(dp->program())) << "the link already runs it";
  EXPECT_EQ(dp->maps().buckets4.size(), 8192 / LVS_SLOTS4);
  EXPECT_EQ(described(), before);
  EXPECT_EQ(dp->installed(), installed);
  EXPECT_EQ(counted_flows(), counted);
  EXPECT_EQ(backend_id("web", "10.0.0.11:8080"), one);
  EXPECT_EQ(drift(), 0U);

  // Packets go on where they were, before anything is applied: half-open, established, another family.
  test::Bytes frame;
  EXPECT_TRUE(send("203.0.113.1:1000", "198.51.100.10:80", test::kAck));
  EXPECT_TRUE(send("203.0.113.2:2001", "198.51.100.10:80", test::kAck));
  EXPECT_TRUE(send("[2001:db8::1]:1003", "[2001:db8:5::10]:80", test::kAck));
  EXPECT_TRUE(send("203.0.113.9:1", "198.51.100.10:80", test::kSyn)) << "and new ones are scheduled";
  EXPECT_FALSE(send("203.0.113.9:2", "198.51.100.10:80", test::kAck)) << "of nobody known";
  apply(desired({web(), dns(), six()}));
  EXPECT_EQ(summary.services_added + summary.services_changed + summary.backends_added + summary.backends_changed, 0U)
      << "nothing to mend";
  EXPECT_EQ(drift(), 0U);

  open();  // the same limits: adopted as ever
  EXPECT_THAT(described(), SizeIs(506));
}

TEST_F(Resize, IntoSmallerTablesAsFarAsTheyHold) {
  options.limits = {8192, 1024, 16, 32, 64};
  open();
  make_flows();
  options.limits.flows_ipv4 = 1024;
  open();
  EXPECT_EQ(dp->maps().buckets4.size(), 1024 / LVS_SLOTS4);
  EXPECT_THAT(described(), SizeIs(505));
  EXPECT_EQ(drift(), 0U);
}

TEST_F(Resize, WhatIsInstalledMustFit) {
  make_flows();
  const auto before = described();
  const auto good = options.limits;
  const std::uint32_t program = program_id(dp->program());
  dp.reset();
  options.limits.services = 1;
  options.limits.backends = 1;
  const auto opened = open_xdp_dataplane(options);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, ErrorKind::conflict);
  EXPECT_THAT(opened.error().message, AllOf(HasSubstr("limits.services"), HasSubstr("too small")));
  options.limits = good;
  open();
  EXPECT_EQ(program_id(dp->program()), program) << "nothing has changed";
  EXPECT_EQ(described(), before);
}

// Between the change of programs and the last flow's arrival nobody is answered for a flow that may still come.
TEST_F(Resize, WhileFlowsAreOnTheirWayNoConnectionIsReset) {
  const auto dropped = [&] { return dp->maps().reason(LVS_REASON_no_flow_dropped); };
  const auto passed = [&] { return dp->maps().reason(LVS_REASON_no_flow_passed); };
  ASSERT_FALSE(send("203.0.113.7:1", "198.51.100.10:80", test::kAck));
  EXPECT_EQ(passed(), 1U) << "the host resets it";
  dp->maps().services[0].flags = LVS_SERVICE_MOVING;
  ASSERT_FALSE(send("203.0.113.7:1", "198.51.100.10:80", test::kAck));
  ASSERT_FALSE(send("10.0.0.11:8080", "203.0.113.7:1", test::kSyn | test::kAck));
  EXPECT_EQ(passed(), 1U);
  EXPECT_EQ(dropped(), 2U) << "the request, and the reply that would go out with the server's address";
  EXPECT_TRUE(send("203.0.113.7:2", "198.51.100.10:80", test::kSyn)) << "new flows are welcome";
  open();
  ASSERT_FALSE(send("203.0.113.7:1", "198.51.100.10:80", test::kAck));
  EXPECT_EQ(passed(), 2U) << "a change that was interrupted does not last for ever";
}

// A crash while names are exchanged leaves the other folder, with links that are in use.
TEST_F(Resize, WhatACrashLeavesDetachesNothing) {
  make_flows();
  const std::string root = options.bpffs + "/lvs/" + options.instance;
  ASSERT_TRUE(std::filesystem::create_directory(root + "/next-1"));
  const Fd link(bpf_obj_get((root + "/v1/link-dp0").c_str()));
  ASSERT_EQ(bpf_obj_pin(link.get(), (root + "/next-1/link-dp0").c_str()), 0);
  open();
  EXPECT_FALSE(std::filesystem::exists(root + "/next-1"));
  ASSERT_THAT(dp->ports(), SizeIs(1));
  EXPECT_EQ(link_state(link.get())->program_id, program_id(dp->program()));
}

// Again and again, with flows: nothing is left of earlier sizes, and nothing gets lost.
TEST_F(Resize, ManyTimes) {
  make_flows();
  const auto before = described();
  for (int i = 0; i < 6; ++i) {
    options.limits.flows_ipv4 = i % 2 == 0 ? 4096 : 1024;
    options.limits.backends = 64 + i;
    open();
    ASSERT_EQ(described(), before) << i;
  }
  EXPECT_EQ(drift(), 0U);
}

}  // namespace
}  // namespace xlvs::dataplane
