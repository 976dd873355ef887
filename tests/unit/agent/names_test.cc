// SPDX-License-Identifier: Apache-2.0
// A service whose backends are given by DNS name, on a DNS in memory.
#include "tests/unit/agent/harness.h"

namespace xlvs::agent {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

NameReply reply(std::initializer_list<const char*> texts) {
  NameReply out;
  for (const char* text : texts) out.addresses.insert(*IpAddress::parse(text));
  out.ttl = 0s;  // which min_ttl makes 1 s
  return out;
}

class NamesTest : public AgentTest {
 protected:
  NamesTest() {
    configure(named());
    machine_.dns["web.test"] = reply({"192.0.2.1", "192.0.2.2"});
  }
  static std::string named(const std::string& more = "") {
    return "interfaces: [lan0]\nmetrics: {listen: off}\nnames: {min_ttl: 1s, max_ttl: 1s" + more +
           "}\nservices:\n  - name: web\n    listen: [\"198.51.100.10:80/tcp\"]\n    check: {type: none}\n"
           "    backends: [{address: web.test, port: 8080}]\n";
  }
  // Those in the data plane, with their weights.
  [[nodiscard]] std::vector<std::string> installed() const {
    std::vector<std::string> out;
    for (const DesiredService& service : machine_.desired().services)
      for (const DesiredBackend& backend : service.backends)
        out.push_back(fmt::format("{} {}", backend.endpoint.to_string(), backend.weight));
    return out;
  }
  [[nodiscard]] bool wait_until_installed(std::initializer_list<std::string> wanted) {
    return wait_for([&] { return installed() == std::vector<std::string>(wanted); });
  }
  void give_flows(const std::string& endpoint, std::uint32_t flows) {
    machine_.maps.connections[{"web", *Endpoint::parse(endpoint)}] = {flows, 0};
  }
};

TEST_F(NamesTest, StartsWithoutThemAndFollowsThem) {
  ASSERT_TRUE(ok(start()));
  EXPECT_THAT(installed(), IsEmpty());
  ASSERT_TRUE(wait_until_installed({"192.0.2.1:8080 1", "192.0.2.2:8080 1"}));
  EXPECT_THAT(machine_.followed, UnorderedElementsAre(*IpAddress::parse("192.0.2.1"), *IpAddress::parse("192.0.2.2")));
  EXPECT_EQ(operations().services().at(0).backends.at(0).host, "web.test");
}

TEST_F(NamesTest, AnAddressThatIsGoneDrainsUntilItsFlowsHaveEnded) {
  ASSERT_TRUE(ok(start()));
  ASSERT_TRUE(wait_until_installed({"192.0.2.1:8080 1", "192.0.2.2:8080 1"}));
  give_flows("192.0.2.1:8080", 1);
  machine_.dns["web.test"] = reply({"192.0.2.2", "192.0.2.3"});
  ASSERT_TRUE(wait_until_installed({"192.0.2.2:8080 1", "192.0.2.3:8080 1", "192.0.2.1:8080 0"}));
  const control::BackendReport left = operations().services().at(0).backends.at(2);
  EXPECT_EQ(left.state, "drained");
  EXPECT_THAT(left.why, HasSubstr("web.test is not at this address any more"));
  give_flows("192.0.2.1:8080", 0);
  ASSERT_TRUE(wait_until_installed({"192.0.2.2:8080 1", "192.0.2.3:8080 1"}));
}

TEST_F(NamesTest, WhatIsKnownOutlivesDnsAndLvsd) {
  ASSERT_TRUE(ok(start()));
  ASSERT_TRUE(wait_until_installed({"192.0.2.1:8080 1", "192.0.2.2:8080 1"}));
  machine_.dns.clear();
  ASSERT_TRUE(wait_for([&] { return operations().status().names.at(0).failed > 0; }));
  EXPECT_THAT(installed(), ElementsAre("192.0.2.1:8080 1", "192.0.2.2:8080 1"));
  EXPECT_THAT(operations().status().warnings, Contains(AllOf(HasSubstr("web.test"), HasSubstr("stay in use"))));
  ASSERT_TRUE(ok(restart()));
  EXPECT_THAT(installed(), ElementsAre("192.0.2.1:8080 1", "192.0.2.2:8080 1"));
  ASSERT_TRUE(wait_for([&] { return operations().status().names.at(0).failed > 0; }));
  EXPECT_THAT(installed(), ElementsAre("192.0.2.1:8080 1", "192.0.2.2:8080 1"));
}

TEST_F(NamesTest, AReloadKeepsThemAndSpeaksOfTheName) {
  ASSERT_TRUE(ok(start()));
  ASSERT_TRUE(wait_until_installed({"192.0.2.1:8080 1", "192.0.2.2:8080 1"}));
  configure(named(", drain: 1m"));
  const auto applied = operations().apply_config();
  ASSERT_TRUE(ok(applied));
  EXPECT_THAT(applied->changes, ElementsAre("names.drain unset -> 1m"));
  EXPECT_THAT(installed(), ElementsAre("192.0.2.1:8080 1", "192.0.2.2:8080 1"));
  EXPECT_THAT(operations().diff_config().changes, IsEmpty());
}

TEST_F(NamesTest, WhatTheDataPlaneRefusesIsSaidAndTriedAgain) {
  ASSERT_TRUE(ok(start()));
  ASSERT_TRUE(wait_until_installed({"192.0.2.1:8080 1", "192.0.2.2:8080 1"}));
  machine_.maps.apply_error = Error{ErrorKind::unavailable, "too many backends"};
  machine_.dns["web.test"] = reply({"192.0.2.3"});
  ASSERT_TRUE(wait_for([&] { return !agent_->names_error().empty(); }));
  EXPECT_THAT(operations().status().warnings, Contains(HasSubstr("too many backends")));
  EXPECT_THAT(installed(), ElementsAre("192.0.2.1:8080 1", "192.0.2.2:8080 1"));
  machine_.maps.apply_error.reset();
  ASSERT_TRUE(wait_for([&] { return agent_->names_error().empty(); }));
  EXPECT_THAT(installed(), Contains("192.0.2.3:8080 1"));
}

}  // namespace
}  // namespace xlvs::agent
