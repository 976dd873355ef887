// SPDX-License-Identifier: Apache-2.0
// The egress program of checks that go to a VIP: where it is attached, when, and that it is attached once.
#include <array>
#include <cstdio>

#include "tests/datapath/dataplane_fixture.h"

namespace xlvs::dataplane {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

const ViaCheck kFour{0x6c760001, address("198.51.100.10"), 80};
const ViaCheck kSix{0x6c760002, address("2001:db8:5::10"), 80};

class Via : public DataplaneTest {
 protected:
  void SetUp() override {
    DataplaneTest::SetUp();
    open();
    dp0_ = make_port("dp0");
    ASSERT_TRUE(dp->attach(dp0_));
  }
  void set(const std::set<ViaCheck>& checks) {
    const auto done = dp->set_via_checks(checks);
    ASSERT_TRUE(done) << done.error().message;
  }
  static std::string output(const std::string& command) {
    std::string text;
    FILE* pipe = ::popen(command.c_str(), "r");
    std::array<char, 256> line{};
    while (pipe != nullptr && std::fgets(line.data(), line.size(), pipe) != nullptr) text += line.data();
    if (pipe != nullptr) ::pclose(pipe);
    return text;
  }
  // How often the program is attached there.
  static int filters(const std::string& interface) {
    const std::string text = output("tc filter show dev " + interface + " egress");
    int count = 0;
    for (std::size_t at = text.find("lvs_check:["); at != std::string::npos; at = text.find("lvs_check:[", at + 1))
      ++count;
    return count;
  }
  static bool has_clsact(const std::string& interface) {
    return output("tc qdisc show dev " + interface).find("clsact") != std::string::npos;
  }
  template <typename Key>
  [[nodiscard]] std::size_t answers(std::string_view map) const {
    std::size_t count = 0;
    for (const auto& [key, real] : maps().entries<Key, lvs_real>(map)) count += (real.flags & LVS_REAL_CHECK) != 0;
    return count;
  }
  [[nodiscard]] std::size_t marks() const { return maps().entries<std::uint32_t, lvs_via>("via").size(); }

  PortRequest dp0_;
};

TEST_F(Via, OnEveryPortWhileThereIsSuchACheck) {
  EXPECT_EQ(filters("dp0"), 0);
  set({kFour});
  EXPECT_EQ(filters("dp0"), 1);
  const PortRequest later = make_port("dp1");
  ASSERT_TRUE(dp->attach(later));
  EXPECT_EQ(filters("dp1"), 1) << "a port that comes later";
  dp->detach("dp1");
  EXPECT_FALSE(has_clsact("dp1"));
  set({});
  EXPECT_FALSE(has_clsact("dp0"));
}

TEST_F(Via, MapsHoldWhatIsWantedAndNoMore) {
  set({kFour, kSix});
  EXPECT_EQ(marks(), 2U);
  EXPECT_EQ(answers<lvs_key4>("reals4"), 2U) << "TCP and UDP";
  EXPECT_EQ(answers<lvs_key6>("reals6"), 2U);
  ViaCheck other = kFour;
  other.port = 81;
  set({kFour, other});
  EXPECT_EQ(marks(), 1U);
  EXPECT_EQ(answers<lvs_key4>("reals4"), 4U);
  EXPECT_EQ(answers<lvs_key6>("reals6"), 0U);
  apply(desired({service("web", {"198.51.100.11:80/tcp"}, {backend("10.0.0.11:80")})}));
  EXPECT_EQ(answers<lvs_key4>("reals4"), 4U) << "apply() takes care of its own";
  set({});
  EXPECT_EQ(marks(), 0U);
  const auto reals = maps().entries<lvs_key4, lvs_real>("reals4");
  EXPECT_THAT(reals, SizeIs(1));
}

TEST_F(Via, ARestartAdoptsIt) {
  set({kFour, kSix});
  open();
  EXPECT_EQ(filters("dp0"), 1);
  ASSERT_TRUE(dp->attach(dp0_));
  set({kFour});
  EXPECT_EQ(filters("dp0"), 1) << "attached once, not twice";
  EXPECT_EQ(marks(), 1U);
  EXPECT_EQ(answers<lvs_key6>("reals6"), 0U) << "what the earlier lvsd left is removed";
  open();
  ASSERT_TRUE(dp->attach(dp0_));
  set({});
  EXPECT_FALSE(has_clsact("dp0"));
}

TEST_F(Via, ResetRemovesIt) {
  set({kFour});
  dp.reset();
  ASSERT_TRUE(remove_pins(options));
  EXPECT_FALSE(has_clsact("dp0"));
}

TEST_F(Via, FiltersOfOthersStay) {
  run("tc qdisc add dev dp0 clsact && tc filter add dev dp0 egress pref 1 bpf bytecode '1,6 0 0 0,'");
  set({kFour});
  set({});
  EXPECT_EQ(filters("dp0"), 0);
  EXPECT_THAT(output("tc filter show dev dp0 egress"), HasSubstr("bytecode"));
}

TEST_F(Via, PinsOfABuildWithoutItAreUpgraded) {
  maps().control().object_hash[0] ^= 0xff;
  dp.reset();
  for (const char* name : {"via", "check_origins", "check_program"}) std::filesystem::remove(root() + "/v1/" + name);
  open();
  ASSERT_TRUE(dp->attach(dp0_));
  set({kFour});
  EXPECT_EQ(filters("dp0"), 1);
  EXPECT_TRUE(std::filesystem::exists(root() + "/v1/via"));
}

}  // namespace
}  // namespace xlvs::dataplane
