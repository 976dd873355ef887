// SPDX-License-Identifier: Apache-2.0
// Who may be answered when somebody asks for an address of this router's role.
#include <time.h>

#include "tests/datapath/fixture.h"

namespace xlvs::test {
namespace {

class Fence : public PerFamily {
 protected:
  XdpHarness x;
  const Pool web = add_pool(x, n.vip, 80, IPPROTO_TCP, {{.address = n.server1, .port = 8080}});
  const Bytes asked = solicitation(n.client, n.vip).build();
  const std::string nobody = GetParam() == AF_INET ? "0.0.0.0" : "::";

  static std::uint64_t now() {
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(time.tv_nsec);
  }
};
XLVS_FOR_BOTH_FAMILIES(Fence);

TEST_P(Fence, WithoutARoleEverybodyIsAnswered) {
  EXPECT_UNTOUCHED(x.run(asked), XDP_PASS, asked);
  EXPECT_THAT(x.reasons(), ::testing::IsEmpty());
}

TEST_P(Fence, NobodyIsAnsweredBeforeTheFirstTermOrAfterTheLast) {
  x.fence_address(n.vip);
  EXPECT_UNTOUCHED(x.run(asked), XDP_DROP, asked);
  x.answer_until(now() + 60'000'000'000);
  EXPECT_UNTOUCHED(x.run(asked), XDP_PASS, asked);
  x.answer_until(now() - 1);
  EXPECT_UNTOUCHED(x.run(asked), XDP_DROP, asked);
  EXPECT_EQ(x.reason(LVS_REASON_fenced), 2U);
}

TEST_P(Fence, TheTermEndsByItself) {
  x.fence_address(n.vip);
  const std::uint64_t end = now() + 20'000'000;
  x.answer_until(end);
  while (now() <= end) EXPECT_NE(x.run(asked).verdict, XDP_ABORTED);
  EXPECT_UNTOUCHED(x.run(asked), XDP_DROP, asked);
}

TEST_P(Fence, OnlyAddressesOfTheRole) {
  x.fence_address(n.vip);
  const Bytes other = solicitation(n.client, n.vip2).build();
  EXPECT_UNTOUCHED(x.run(other), XDP_PASS, other);
  const Bytes probe = solicitation(nobody, n.vip).build();  // duplicate address detection
  EXPECT_UNTOUCHED(x.run(probe), XDP_DROP, probe);
}

TEST_P(Fence, BehindVlanTags) {
  x.fence_address(n.vip);
  Packet tagged{Ethernet{.src = kClientMac}};
  tagged.append(Vlan{100});
  if (GetParam() == AF_INET) {
    tagged.at<Ethernet>().type = 0x0806;
    tagged.append(Payload(arp_body(1, n.client, n.vip)));
  } else {
    tagged.append(IPv6{.src = n.client, .dst = "ff02::1:ff00:10", .hop_limit = 255});
    tagged.append(Icmp{.type = 135, .rest = 0});
    tagged.append(Payload(address_bytes(n.vip)));
  }
  const Bytes bytes = tagged.build();
  EXPECT_UNTOUCHED(x.run(bytes), XDP_DROP, bytes);
}

TEST_P(Fence, ForwardingGoesOn) {
  x.fence_address(n.vip);
  EXPECT_VERDICT(x.run(frame({.src = n.client, .dst = n.vip})), XDP_REDIRECT);
}

// How this host learns who has the address now.
TEST_P(Fence, AnnouncementsAndAnswersPass) {
  x.fence_address(n.vip);
  std::vector<Bytes> told;
  if (GetParam() == AF_INET) {
    for (const auto& [operation, sender] : {std::pair<std::uint16_t, std::string>{1, n.vip}, {2, n.vip}, {2, n.client}})
      told.push_back(
          (Ethernet{.src = kClientMac, .type = 0x0806} / Payload(arp_body(operation, sender, n.vip))).build());
  } else {
    told.push_back((Ethernet{.src = kClientMac} / IPv6{.src = n.vip, .dst = "ff02::1", .hop_limit = 255} /
                    Icmp{.type = 136, .rest = 0xa0000000} / Payload(address_bytes(n.vip)))
                       .build());
  }
  for (const Bytes& bytes : told) EXPECT_UNTOUCHED(x.run(bytes), XDP_PASS, bytes);
}

TEST_P(Fence, WhatIsCutShortPasses) {
  x.fence_address(n.vip);
  for (std::size_t size = 14; size < asked.size(); ++size) {
    const Bytes cut(asked.begin(), asked.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_UNTOUCHED(x.run(cut), XDP_PASS, cut);
  }
}

}  // namespace
}  // namespace xlvs::test
