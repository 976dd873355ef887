// SPDX-License-Identifier: Apache-2.0
// What lvsd tells the fence, and that it outlives lvsd.
#include "tests/datapath/dataplane_fixture.h"

namespace xlvs::dataplane {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

const IpAddress kFour = address("198.51.100.10");
const IpAddress kSix = address("2001:db8:5::10");

class Fence : public DataplaneTest {
 protected:
  void SetUp() override {
    DataplaneTest::SetUp();
    open();
  }
  [[nodiscard]] std::vector<IpAddress> fenced() const {
    std::vector<IpAddress> out;
    for (const auto& [key, unused] : maps().entries<lvs_address, std::uint32_t>("fenced"))
      out.push_back(decode_any(key));
    return out;
  }
};

TEST_F(Fence, HoldsTheAddressesOfTheRole) {
  ASSERT_TRUE(dp->set_fenced({kFour, kSix}));
  EXPECT_THAT(fenced(), UnorderedElementsAre(kFour, kSix));
  const std::uint64_t writes = maps().writes();
  ASSERT_TRUE(dp->set_fenced({kFour, kSix}));
  EXPECT_EQ(maps().writes(), writes);
  ASSERT_TRUE(dp->set_fenced({kSix}));
  EXPECT_THAT(fenced(), UnorderedElementsAre(kSix));
  open();
  EXPECT_THAT(fenced(), UnorderedElementsAre(kSix)) << "a killed lvsd stays fenced";
  ASSERT_TRUE(dp->set_fenced({}));
  EXPECT_THAT(fenced(), IsEmpty());
}

TEST_F(Fence, TooManyAddressesChangeNothing) {
  ASSERT_TRUE(dp->set_fenced({kFour}));
  std::set<IpAddress> many;
  for (std::uint8_t high = 0; many.size() <= kMaxFenced; ++high)
    for (unsigned low = 0; low < 256; ++low) many.insert(IpAddress::v4({10, 0, high, static_cast<std::uint8_t>(low)}));
  const auto done = dp->set_fenced(many);
  ASSERT_FALSE(done);
  EXPECT_THAT(done.error().message, HasSubstr("at most 4096"));
  EXPECT_THAT(fenced(), UnorderedElementsAre(kFour));
}

TEST_F(Fence, TheTermIsKnownToTheNextLvsd) {
  EXPECT_FALSE(dp->fence().answers(Clock::now(), 7));
  dp->fence().answer_until(Clock::now() + 60s, 7);
  open();
  EXPECT_TRUE(dp->fence().answers(Clock::now(), 7));
  EXPECT_FALSE(dp->fence().answers(Clock::now(), 8)) << "another role's";
  EXPECT_FALSE(dp->fence().answers(Clock::now() + 61s, 7));
  dp->fence().answer_no_more();
  EXPECT_FALSE(dp->fence().answers(Clock::now(), 7));
}

TEST_F(Fence, PinsOfABuildWithoutItAreUpgraded) {
  maps().control().object_hash[0] ^= 0xff;
  dp.reset();
  for (const char* name : {"fence", "fenced"}) std::filesystem::remove(root() + "/v1/" + name);
  open();
  ASSERT_TRUE(dp->set_fenced({kFour}));
  EXPECT_THAT(fenced(), UnorderedElementsAre(kFour));
}

}  // namespace
}  // namespace xlvs::dataplane
