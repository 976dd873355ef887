// SPDX-License-Identifier: Apache-2.0
// Backends given by DNS name: when names are asked for, what answers do to a pool, and what happens to addresses that a
// name has lost. The clock is a number.
#include "core/names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace xlvs {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

const Name kWeb{"web.example.com", Family::ipv4};

IpAddress address(const std::string& text) {
  return IpAddress::parse(text).value();
}

NameReply reply(std::initializer_list<const char*> texts, std::chrono::seconds ttl = 30s) {
  NameReply out;
  for (const char* text : texts) out.addresses.insert(address(text));
  out.ttl = ttl;
  return out;
}

Result<NameReply> failure() {
  return fail(ErrorKind::unavailable, "web.example.com has no IPv4 address: no server answered");
}

class Book : public ::testing::Test {
 protected:
  Book() { book.follow({kWeb}, rules, now); }

  void ask() { ASSERT_THAT(book.take_due(now, 10), ElementsAre(kWeb)); }
  bool answer(const Result<NameReply>& result) { return book.answer(kWeb, result, now); }
  [[nodiscard]] const NameBook::Entry& entry() const { return book.entries().at(kWeb); }
  [[nodiscard]] std::vector<std::string> addresses() const {
    std::vector<std::string> out;
    for (const IpAddress& known : entry().addresses) out.push_back(known.to_string());
    return out;
  }
  [[nodiscard]] std::vector<std::string> leaving() const {
    std::vector<std::string> out;
    for (const auto& [known, until] : entry().leaving) out.push_back(known.to_string());
    return out;
  }

  NameRules rules;
  NameBook::Time now{1000s};
  NameBook book;
};

TEST_F(Book, ANewNameIsAskedForAtOnceAndOnce) {
  ask();
  EXPECT_THAT(book.take_due(now + 1h, 10), IsEmpty()) << "it is being asked for";
  EXPECT_EQ(book.next_due(), std::nullopt);
}

TEST_F(Book, TheNextQuestionFollowsTheTtlWithinItsBounds) {
  const std::pair<std::chrono::seconds, std::chrono::seconds> kCases[] = {
      {0s, 5s}, {4s, 5s}, {30s, 30s}, {300s, 300s}, {24h, 300s}};
  for (const auto& [ttl, wait] : kCases) {
    ask();
    answer(reply({"192.0.2.1"}, ttl));
    EXPECT_EQ(book.next_due(), now + wait) << ttl.count();
    EXPECT_THAT(book.take_due(now + wait - 1ms, 10), IsEmpty());
    now += wait;
  }
}

TEST_F(Book, AFailureKeepsWhatIsKnownAndIsTriedAgainSoon) {
  ask();
  EXPECT_TRUE(answer(reply({"192.0.2.1", "192.0.2.2"})));
  now += 30s;
  ask();
  EXPECT_FALSE(answer(failure()));
  EXPECT_THAT(addresses(), ElementsAre("192.0.2.1", "192.0.2.2"));
  EXPECT_EQ(entry().error, failure().error().message);
  EXPECT_EQ(book.next_due(), now + rules.min_ttl);
  now += rules.min_ttl;
  ask();
  EXPECT_FALSE(answer(reply({"192.0.2.1", "192.0.2.2"}))) << "nothing is new";
  EXPECT_EQ(entry().error, "");
  EXPECT_EQ(entry().resolved, 2U);
  EXPECT_EQ(entry().failed, 1U);
}

TEST_F(Book, WhatTheNameLosesDrainsAndMayComeBack) {
  ask();
  answer(reply({"192.0.2.1", "192.0.2.2"}));
  now += 30s;
  ask();
  EXPECT_TRUE(answer(reply({"192.0.2.2", "192.0.2.3"})));
  EXPECT_THAT(addresses(), ElementsAre("192.0.2.2", "192.0.2.3"));
  EXPECT_THAT(leaving(), ElementsAre("192.0.2.1"));
  now += 30s;
  ask();
  EXPECT_TRUE(answer(reply({"192.0.2.1", "192.0.2.2", "192.0.2.3"})));
  EXPECT_THAT(leaving(), IsEmpty());
}

TEST_F(Book, AnAddressGoesWhenItIsIdleOrItsTimeIsUp) {
  ask();
  answer(reply({"192.0.2.1", "192.0.2.2", "192.0.2.3"}));
  now += 30s;
  ask();
  answer(reply({"192.0.2.3"}));
  const auto one_idle = [](const Name&, const IpAddress& known) { return known == address("192.0.2.1"); };
  const auto none_idle = [](const Name&, const IpAddress&) { return false; };
  EXPECT_FALSE(book.forget_drained(none_idle, now));
  EXPECT_TRUE(book.forget_drained(one_idle, now));
  EXPECT_THAT(leaving(), ElementsAre("192.0.2.2"));
  EXPECT_FALSE(book.forget_drained(none_idle, now + rules.drain - 1ms));
  EXPECT_TRUE(book.forget_drained(none_idle, now + rules.drain));
  EXPECT_FALSE(book.has_leaving());
}

TEST_F(Book, TooManyAddressesAreLeftOutAndCounted) {
  rules.max_addresses = 2;
  book.follow({kWeb}, rules, now);
  ask();
  answer(reply({"192.0.2.3", "192.0.2.1", "192.0.2.2"}));
  EXPECT_THAT(addresses(), ElementsAre("192.0.2.1", "192.0.2.2"));
  EXPECT_EQ(entry().surplus, 1U);
  now += 30s;
  ask();
  answer(reply({"192.0.2.1"}));
  EXPECT_EQ(entry().surplus, 0U);
}

TEST_F(Book, AnAnswerForANameThatIsNotFollowedAnyMoreIsIgnored) {
  ask();
  book.follow({}, rules, now);
  EXPECT_FALSE(answer(reply({"192.0.2.1"})));
  book.follow({kWeb}, rules, now);
  EXPECT_FALSE(answer(reply({"192.0.2.1"}))) << "nobody asked since it is followed again";
  EXPECT_THAT(addresses(), IsEmpty());
}

TEST_F(Book, AReloadKeepsWhatIsKnownAndWhenItIsDue) {
  ask();
  answer(reply({"192.0.2.1"}));
  const Name other{"other.example.com", Family::ipv4};
  now += 1s;
  book.follow({kWeb, other}, rules, now);
  EXPECT_THAT(addresses(), ElementsAre("192.0.2.1"));
  EXPECT_THAT(book.take_due(now, 10), ElementsAre(other));
}

TEST_F(Book, WhatAnEarlierLvsdKnewCountsUntilTheFirstAnswer) {
  NameBook later;
  later.follow({kWeb}, rules, now, {{kWeb, {{address("192.0.2.1")}, {address("192.0.2.9")}}}});
  EXPECT_THAT(later.take_due(now, 10), ElementsAre(kWeb));
  EXPECT_FALSE(later.answer(kWeb, failure(), now));
  EXPECT_EQ(later.memories().at(kWeb), (NameMemory{{address("192.0.2.1")}, {address("192.0.2.9")}}));
}

TEST_F(Book, AsksForNoMoreAtOnceThanThereIsRoomFor) {
  const Name other{"other.example.com", Family::ipv4};
  book.follow({kWeb, other}, rules, now);
  EXPECT_EQ(book.take_due(now, 1).size(), 1U);
  EXPECT_EQ(book.take_due(now, 10).size(), 1U);
}

// ---- from names to backends ----------------------------------------------------------------------------------------

Config web() {
  Config config;
  ServiceConfig& service = config.services.emplace_back();
  service.name = "web";
  service.listeners = {Listener::parse("198.51.100.10:80/tcp").value()};
  BackendConfig fixed;
  fixed.address = address("10.0.0.1");
  fixed.port = 8080;
  service.backends = {fixed};
  BackendConfig named;
  named.host = "web.example.com";
  named.port = 8080;
  named.weight = 7;
  service.named = {named};
  return config;
}

std::vector<std::string> backends_of(const Config& config) {
  std::vector<std::string> out;
  for (const BackendConfig& backend : config.services[0].backends)
    out.push_back(
        fmt::format("{} {}{}", backend.endpoint().to_string(), backend.weight, backend.leaving ? " leaving" : ""));
  return out;
}

TEST(Names, BecomeBackendsAfterThoseThatAreFixed) {
  const NameMemories names{{kWeb, {{address("192.0.2.2"), address("192.0.2.1")}, {address("192.0.2.3")}}}};
  const Config config = with_names(web(), names);
  EXPECT_THAT(backends_of(config),
              ElementsAre("10.0.0.1:8080 1", "192.0.2.1:8080 7", "192.0.2.2:8080 7", "192.0.2.3:8080 0 leaving"));
  EXPECT_EQ(without_names(config), web());
}

TEST(Names, AreNoBackendsWhereTheyAreVipsOrBackendsAlready) {
  const NameMemories names{{kWeb, {{address("10.0.0.1"), address("198.51.100.10"), address("192.0.2.1")}, {}}}};
  EXPECT_THAT(backends_of(with_names(web(), names)), ElementsAre("10.0.0.1:8080 1", "192.0.2.1:8080 7"));
}

TEST(Names, MayHaveTheSorryServersAddress) {
  Config config = web();
  BackendConfig sorry;
  sorry.address = address("192.0.2.1");
  sorry.port = 8080;
  sorry.tier = kSorryTier;
  sorry.checks = CheckList{};
  config.services[0].backends.insert(config.services[0].backends.begin(), sorry);
  const Config with = with_names(config, {{kWeb, {{address("192.0.2.1"), address("192.0.2.2")}, {}}}});
  EXPECT_THAT(backends_of(with), ElementsAre("192.0.2.1:8080 7", "10.0.0.1:8080 1", "192.0.2.2:8080 7"));
  EXPECT_TRUE(with.services[0].backends[0].sorry);
  EXPECT_EQ(with.services[0].backends[0].tier, 0U);
  EXPECT_EQ(without_names(with), config);
  const Config lost = with_names(config, {{kWeb, {{}, {address("192.0.2.1")}}}});
  EXPECT_EQ(lost.services[0].backends[0], sorry);
}

TEST(Names, WhatOneHasLostMayBeAnothers) {
  Config config = web();
  BackendConfig other = config.services[0].named[0];
  other.host = "a.example.com";
  config.services[0].named.push_back(other);
  const NameMemories names{{kWeb, {{}, {address("192.0.2.1")}}},
                           {{"a.example.com", Family::ipv4}, {{address("192.0.2.1")}, {}}}};
  EXPECT_THAT(backends_of(with_names(config, names)), ElementsAre("10.0.0.1:8080 1", "192.0.2.1:8080 7"));
}

TEST(Names, AreThoseOfTheServicesFamily) {
  Config config = web();
  EXPECT_THAT(names_of(config), UnorderedElementsAre(kWeb));
  config.services[0].listeners = {Listener::parse("[2001:db8::10]:80/tcp").value()};
  EXPECT_THAT(names_of(config), UnorderedElementsAre(Name{"web.example.com", Family::ipv6}));
}

TEST(Names, AnAddressWithATypingErrorIsNone) {
  for (const char* good : {"web", "web.example.com", "web.example.com.", "10.example", "_http._tcp.example", "x-1.y"})
    EXPECT_TRUE(is_host_name(good)) << good;
  for (const char* bad : {"", ".", "10.0.0", "10.0.0.300", "1", "a..b", ".a", "a b", "a:80", "web.example.1", "[::1]"})
    EXPECT_FALSE(is_host_name(bad)) << bad;
  EXPECT_FALSE(is_host_name(std::string(64, 'a')));
  EXPECT_FALSE(is_host_name(std::string(254, 'a')));
}

}  // namespace
}  // namespace xlvs
