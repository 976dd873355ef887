// SPDX-License-Identifier: Apache-2.0
// The model as abi.h lays it out. No root needed.
#include "dataplane/encode.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cstring>
#include <random>

namespace xlvs::dataplane {
namespace {

Endpoint endpoint(const char* text) {
  return Endpoint::parse(text).value();
}

// RFC 1071 by the book, over the bytes as they lie in a packet.
std::uint16_t checksum(const std::vector<std::uint8_t>& bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) sum += static_cast<std::uint32_t>(bytes[i] << 8 | bytes[i + 1]);
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

std::vector<std::uint8_t> bytes_of(const Endpoint& endpoint) {
  std::vector<std::uint8_t> out(endpoint.address.bytes().begin(), endpoint.address.bytes().end());
  out.push_back(static_cast<std::uint8_t>(endpoint.port >> 8));
  out.push_back(static_cast<std::uint8_t>(endpoint.port));
  return out;
}

// RFC 1624, equation 3, with our sums: what the XDP program does to a checksum when it rewrites old to now.
std::uint16_t rewritten(std::uint16_t check, const Endpoint& old, const Endpoint& now) {
  std::uint64_t sum = static_cast<std::uint16_t>(~htons(check));
  sum += static_cast<std::uint32_t>(~address_sum(old.address, old.port));
  sum += address_sum(now.address, now.port);
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return ntohs(static_cast<std::uint16_t>(~sum));
}

TEST(Encode, SumsChangeAChecksumFromOneAddressToAnother) {
  std::mt19937 random(1071);
  for (int i = 0; i < 1000; ++i) {
    std::vector<std::uint8_t> rest(20);
    for (auto& byte : rest) byte = static_cast<std::uint8_t>(random());
    const bool v6 = i % 2 == 1;
    Endpoint ends[2];
    for (Endpoint& end : ends) {
      std::array<std::uint8_t, 16> bytes{};
      for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
      end.address = v6 ? IpAddress::v6(bytes) : IpAddress::v4({bytes[0], bytes[1], bytes[2], bytes[3]});
      end.port = static_cast<std::uint16_t>(random());
    }
    auto before = bytes_of(ends[0]);
    auto after = bytes_of(ends[1]);
    before.insert(before.end(), rest.begin(), rest.end());
    after.insert(after.end(), rest.begin(), rest.end());
    ASSERT_EQ(rewritten(checksum(before), ends[0], ends[1]), checksum(after)) << ends[0].to_string();
  }
}

TEST(Encode, ListenersComeBack) {
  for (const char* text : {"198.51.100.10:80/tcp", "[2001:db8::10]:53/udp"}) {
    const Listener listener = Listener::parse(text).value();
    EXPECT_EQ(decode_vip(encode_vip(listener, 3, 5)), listener);
  }
}

TEST(Encode, KeysAreInNetworkOrder) {
  const lvs_key4 key = key4(IpAddress::parse("198.51.100.10").value(), 80, 6);
  const std::uint8_t expected[] = {198, 51, 100, 10, 0, 80, 6, 0};
  EXPECT_EQ(std::memcmp(&key, expected, sizeof(key)), 0);
}

TEST(Encode, AHopIsMacThenPort) {
  const MacAddress mac{{2, 1, 2, 3, 4, 5}};
  const std::uint64_t hop = encode_hop(mac, 63);
  EXPECT_EQ(std::memcmp(&hop, mac.bytes.data(), 6), 0);
  EXPECT_EQ(LVS_HOP_PORT(hop), 63U);
  EXPECT_EQ(hop_mac(hop), mac);
}

TEST(Encode, TheBackendWordCoversPortMethodAndFlags) {
  lvs_backend record = encode_backend(endpoint("10.0.0.11:8080"), 5);
  const std::uint32_t word = backend_word(8080, LVS_METHOD_DR, LVS_BACKEND_VALID);
  std::memcpy(reinterpret_cast<char*>(&record) + offsetof(lvs_backend, port), &word, sizeof(word));
  EXPECT_EQ(decode_port(record.port), 8080);
  EXPECT_EQ(record.method, LVS_METHOD_DR);
  EXPECT_EQ(record.flags, LVS_BACKEND_VALID);
  EXPECT_EQ(backend_word(record), word);
}

TEST(Encode, TicksAreRoundedUpAndBounded) {
  EXPECT_EQ(ticks(std::chrono::seconds(0)), 1);
  EXPECT_EQ(ticks(std::chrono::seconds(1)), 1);
  EXPECT_EQ(ticks(std::chrono::seconds(2)), 2);
  EXPECT_EQ(ticks(std::chrono::seconds(120)), 112);  // 111.76
  EXPECT_EQ(ticks(std::chrono::seconds(30'000)), 27940);
  EXPECT_EQ(ticks(std::chrono::seconds(1'000'000)), LVS_MAX_TIMEOUT);
}

TEST(Encode, AgesSurviveTheWrapOfTheClock) {
  const auto word = [](std::uint32_t time) { return LVS_WORD(1, 1, 0, LVS_STATE_ESTABLISHED, time); };
  EXPECT_EQ(slot_age(word(10), 15), 5U);
  EXPECT_EQ(slot_age(word(0xfffe), 3), 5U);
  EXPECT_EQ(slot_age(word(11), 10), 0U) << "written by a CPU whose clock had ticked already";
  EXPECT_EQ(slot_age(word(0), 40'000), 40'000U) << "idle while lvsd was away for half a day";
}

TEST(Encode, ServicesCarryTheirOptions) {
  DesiredService service;
  service.scheduler = Scheduler::mh;
  service.hash_port = service.sloppy_tcp = true;
  service.no_flow = NoFlowPolicy::drop;
  const lvs_service record = encode_service(service);
  EXPECT_EQ(record.pick, LVS_PICK_SOURCE_HASH);
  EXPECT_EQ(record.flags, static_cast<__u32>(LVS_SERVICE_HASH_PORT | LVS_SERVICE_SLOPPY_TCP | LVS_SERVICE_DROP_NOFLOW));
}

TEST(Encode, NamesFillTheirFieldAtMost) {
  const std::string longest(63, 'x');
  EXPECT_EQ(decode_name(encode_name(longest)), longest);
  EXPECT_EQ(decode_name(encode_name("web")), "web");
}

}  // namespace
}  // namespace xlvs::dataplane
