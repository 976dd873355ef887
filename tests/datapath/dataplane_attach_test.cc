// SPDX-License-Identifier: Apache-2.0
// Interfaces: links, ports, modes, rivals.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>

#include "tests/datapath/dataplane_fixture.h"

namespace xlvs::dataplane {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class Attach : public DataplaneTest {
 protected:
  void SetUp() override {
    DataplaneTest::SetUp();
    open();
  }
  PortStatus attach(const PortRequest& request) {
    const auto status = dp->attach(request);
    EXPECT_TRUE(status) << status.error().message;
    return status.value_or(PortStatus{});
  }
  static std::uint32_t attached_program(unsigned ifindex) {
    __u32 id = 0;
    bpf_xdp_query_id(static_cast<int>(ifindex), 0, &id);
    return id;
  }
  // The port's number if control, its index by ifindex and the devmap agree; else 0.
  [[nodiscard]] std::uint32_t port_number(unsigned ifindex) const {
    const lvs_control& control = maps().control();
    const std::uint32_t number = control.port_of_ifindex[ifindex & 255];
    if (number == 0 || control.port[number].ifindex != ifindex) return 0;
    for (const auto& [key, value] : maps().entries<std::uint32_t, std::uint32_t>("ports"))
      if (key == number && value == ifindex) return number;
    return 0;
  }
};

TEST_F(Attach, NativeFirst) {
  const PortRequest request = make_port("dp0");
  const PortStatus status = attach(request);
  EXPECT_TRUE(status.native);
  EXPECT_FALSE(status.adopted);
  EXPECT_EQ(status.program_id, program_id(dp->program()));
  EXPECT_EQ(attached_program(request.ifindex), status.program_id);
  const std::uint32_t number = port_number(request.ifindex);
  ASSERT_NE(number, 0U);
  EXPECT_EQ(maps().control().port[number].mtu, 1500);
  EXPECT_EQ(maps().control().port[number].mac[5], 1);
}

TEST_F(Attach, GenericByRequest) {
  const PortRequest request = make_port("dp0", XdpMode::generic);
  const PortStatus status = attach(request);
  EXPECT_FALSE(status.native);
  EXPECT_EQ(status.mode_reason, "configured");
  LIBBPF_OPTS(bpf_xdp_query_opts, query);
  ASSERT_EQ(bpf_xdp_query(static_cast<int>(request.ifindex), 0, &query), 0);
  EXPECT_EQ(query.attach_mode, XDP_ATTACHED_SKB);
}

TEST_F(Attach, FallsBackToGenericOnlyInAutomaticModeAndSaysWhy) {
  run("ip link set lo up");  // the loopback driver has no native XDP
  PortRequest lo{"lo", if_nametoindex("lo"), {}, 65535, XdpMode::native};
  const auto refused = dp->attach(lo);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::unsupported);
  EXPECT_THAT(refused.error().message, AllOf(HasSubstr("lo:"), HasSubstr("native")));
  EXPECT_EQ(port_number(lo.ifindex), 0U) << "a refused interface must not become a port";
  lo.mode = XdpMode::automatic;
  const PortStatus status = attach(lo);
  EXPECT_FALSE(status.native);
  EXPECT_THAT(status.mode_reason, HasSubstr("not supported"));
}

TEST_F(Attach, ARestartAdoptsTheLink) {
  const PortRequest request = make_port("dp0");
  const PortStatus before = attach(request);
  const std::uint32_t number = port_number(request.ifindex);
  open();
  EXPECT_EQ(attached_program(request.ifindex), before.program_id) << "attached all the time";
  ASSERT_THAT(dp->ports(), SizeIs(1)) << "known before anyone asks for it";
  const PortStatus after = attach(request);
  EXPECT_TRUE(after.adopted);
  EXPECT_TRUE(after.native);
  EXPECT_EQ(after.program_id, before.program_id);
  EXPECT_EQ(port_number(request.ifindex), number);
}

TEST_F(Attach, AForeignProgramIsAConflictThatNamesIt) {
  const bpf_insn code[] = {{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, XDP_PASS}, {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
  const Fd foreign(bpf_prog_load(BPF_PROG_TYPE_XDP, "stranger", "GPL", code, 2, nullptr));
  ASSERT_TRUE(foreign.valid());
  for (const __u32 mode : {XDP_FLAGS_DRV_MODE, XDP_FLAGS_SKB_MODE}) {
    const PortRequest request = make_port(mode == XDP_FLAGS_DRV_MODE ? "dp0" : "dp1");
    ASSERT_EQ(bpf_xdp_attach(static_cast<int>(request.ifindex), foreign.get(), mode, nullptr), 0);
    const auto refused = dp->attach(request);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::conflict);
    EXPECT_THAT(refused.error().message,
                AllOf(HasSubstr("stranger"), HasSubstr(std::to_string(program_id(foreign.get()))),
                      HasSubstr("ip link set dev " + request.name + " xdp off")));
    EXPECT_EQ(attached_program(request.ifindex), program_id(foreign.get())) << "and it stays";
    EXPECT_EQ(port_number(request.ifindex), 0U);
  }
}

TEST_F(Attach, AnotherInstanceIsAConflictToo) {
  const PortRequest request = make_port("dp0");
  attach(request);
  OpenOptions other = options;
  other.instance += "b";
  {
    auto second = open_xdp_dataplane(other);
    ASSERT_TRUE(second) << second.error().message;
    const auto refused = (*second)->attach(request);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::conflict);
  }
  EXPECT_TRUE(remove_pins(other));
}

TEST_F(Attach, AMissingInterfaceIsSaidSo) {
  const auto refused = dp->attach({"nosuch0", 4242, {}, 1500, XdpMode::automatic});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::not_found);
  EXPECT_THAT(refused.error().message, HasSubstr("nosuch0"));
}

TEST_F(Attach, ARecreatedInterfaceIsAttachedAnew) {
  attach(make_port("dp0"));
  run("ip link del dp0");
  const PortRequest again = make_port("dp0");
  const PortStatus status = attach(again);
  EXPECT_FALSE(status.adopted);
  EXPECT_EQ(attached_program(again.ifindex), status.program_id);
  EXPECT_NE(port_number(again.ifindex), 0U);
  EXPECT_THAT(dp->ports(), SizeIs(1));
}

TEST_F(Attach, AnInterfaceThatVanishedWhileLvsdWasDownIsForgotten) {
  const PortRequest request = make_port("dp0");
  attach(request);
  const std::uint32_t number = port_number(request.ifindex);
  dp.reset();
  run("ip link del dp0");
  open();
  EXPECT_THAT(dp->ports(), IsEmpty());
  EXPECT_EQ(maps().control().port[number].ifindex, 0U);
  EXPECT_EQ(maps().control().port_of_ifindex[request.ifindex & 255], 0);
}

TEST_F(Attach, ARenamedInterfaceKeepsItsLink) {
  PortRequest request = make_port("dp0");
  const PortStatus before = attach(request);
  dp.reset();
  run("ip link set dp0 down && ip link set dp0 name lan.1 && ip link set lan.1 up");
  open();
  request.name = "lan.1";
  const PortStatus after = attach(request);
  EXPECT_TRUE(after.adopted);
  EXPECT_EQ(after.program_id, before.program_id);
  EXPECT_THAT(dp->ports(), SizeIs(1));
  EXPECT_EQ(dp->ports()[0].name, "lan.1") << "dots are no trouble";
  dp->detach("lan.1");
  EXPECT_EQ(attached_program(request.ifindex), 0U);
}

TEST_F(Attach, AnotherModeIsAttachedAnew) {
  PortRequest request = make_port("dp0");
  attach(request);
  request.mode = XdpMode::generic;
  const PortStatus status = attach(request);
  EXPECT_FALSE(status.native);
  EXPECT_FALSE(status.adopted);
}

TEST_F(Attach, DetachLeavesNothingThatRefersToThePort) {
  const PortRequest request = make_port("dp0");
  attach(request);
  const std::uint32_t number = port_number(request.ifindex);
  apply(desired({service("web", {"198.51.100.10:80/tcp"}, {backend("10.0.0.11:80")})}));
  dp->set_next_hop(address("10.0.0.11"), NextHop{false, MacAddress{{2, 0, 0, 0, 0, 9}}, request.ifindex});
  const lvs_backend& record = maps().backends[backend_id("web", "10.0.0.11:80")];
  EXPECT_EQ(LVS_HOP_PORT(record.hop), number);
  maps().control().gateway[7] = encode_hop(MacAddress{{2, 0, 0, 0, 0, 8}}, number);

  dp->detach("dp0");
  dp->detach("dp0");  // unknown by now: ignored
  EXPECT_EQ(attached_program(request.ifindex), 0U);
  EXPECT_EQ(record.hop, 0U);
  EXPECT_EQ(maps().control().gateway[7], 0U);
  EXPECT_EQ(maps().control().port[number].ifindex, 0U);
  EXPECT_THAT((maps().entries<std::uint32_t, std::uint32_t>("ports")), IsEmpty());
  EXPECT_FALSE(std::filesystem::exists(root() + "/v1/link-dp0"));

  attach(request);
  EXPECT_NE(record.hop, 0U) << "the next hop is remembered until the port returns";
}

TEST_F(Attach, UpdatePortChangesMacAndMtu) {
  PortRequest request = make_port("dp0");
  attach(request);
  request.mac = MacAddress{{2, 0, 0, 0, 0, 42}};
  request.mtu = 9000;
  dp->update_port(request);
  const lvs_port& record = maps().control().port[port_number(request.ifindex)];
  EXPECT_EQ(record.mac[5], 42);
  EXPECT_EQ(record.mtu, 9000);
}

TEST_F(Attach, IndexesThatAreEqualModulo256AreRefused) {
  run("ip link add dp0 index 300 type veth peer name dp0p && ip link add dp1 index 556 type veth peer name dp1p");
  attach({"dp0", 300, {}, 1500, XdpMode::automatic});
  const auto refused = dp->attach({"dp1", 556, {}, 1500, XdpMode::automatic});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::unsupported);
  EXPECT_EQ(attached_program(556), 0U);
}

TEST_F(Attach, RemovePinsDetaches) {
  const PortRequest request = make_port("dp0");
  attach(request);
  dp.reset();
  EXPECT_NE(attached_program(request.ifindex), 0U) << "closing leaves traffic alone";
  ASSERT_TRUE(remove_pins(options));
  EXPECT_EQ(attached_program(request.ifindex), 0U);
  EXPECT_TRUE(remove_pins(options)) << "nothing there is fine";
}

}  // namespace
}  // namespace xlvs::dataplane
