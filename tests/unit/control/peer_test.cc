// SPDX-License-Identifier: Apache-2.0
#include "control/peer.h"

#include <gmock/gmock.h>
#include <sys/socket.h>
#include <unistd.h>

namespace xlvs::control {
namespace {

constexpr uid_t kLvs = 800;
constexpr gid_t kOperators = 900;

TEST(Peer, RootMay) {
  EXPECT_TRUE(may_control({1, 0, {7}}, kLvs, kOperators));
}
TEST(Peer, TheDaemonsOwnUserMay) {
  EXPECT_TRUE(may_control({1, kLvs, {7}}, kLvs, kOperators));
}
TEST(Peer, APrimaryOrSupplementaryMemberMay) {
  EXPECT_TRUE(may_control({1, 1000, {kOperators}}, kLvs, kOperators));
  EXPECT_TRUE(may_control({1, 1000, {7, 8, kOperators, 9}}, kLvs, kOperators));
}
TEST(Peer, OthersMayNot) {
  EXPECT_FALSE(may_control({1, 1000, {}}, kLvs, kOperators));
  EXPECT_FALSE(may_control({1, 1000, {7, 8}}, kLvs, kOperators));
}

TEST(Peer, IsReadFromTheSocket) {
  int pair[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  const auto peer = peer_of(pair[0]);
  close(pair[0]);
  close(pair[1]);
  ASSERT_TRUE(peer) << peer.error().message;
  EXPECT_EQ(peer->pid, getpid());
  EXPECT_EQ(peer->uid, geteuid());
  EXPECT_THAT(peer->groups, testing::Contains(getegid()));
  std::vector<gid_t> own(256);
  const int count = getgroups(static_cast<int>(own.size()), own.data());
  for (int i = 0; i < count; ++i) EXPECT_THAT(peer->groups, testing::Contains(own[static_cast<std::size_t>(i)]));
}

TEST(Peer, ADescriptorThatIsNoSocketIsAnError) {
  EXPECT_FALSE(peer_of(-1));
}

}  // namespace
}  // namespace xlvs::control
