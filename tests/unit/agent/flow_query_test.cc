// SPDX-License-Identifier: Apache-2.0
#include "agent/flow_query.h"

#include <gmock/gmock.h>

namespace xlvs::agent {
namespace {

using ::testing::HasSubstr;

TEST(FlowQuery, EmptyMeansAll) {
  const auto query = parse_flow_query({});
  ASSERT_TRUE(query);
  EXPECT_FALSE(query->filter.service || query->filter.backend || query->filter.client || query->filter.state ||
               query->filter.protocol);
  EXPECT_EQ(query->limit, 1000U);
}

TEST(FlowQuery, TakesEveryFilter) {
  const auto query = parse_flow_query({{"service", "web"},
                                       {"backend", "10.0.0.11:8080"},
                                       {"client", "2001:db8::1"},
                                       {"state", "established"},
                                       {"protocol", "udp"},
                                       {"limit", "7"}});
  ASSERT_TRUE(query);
  EXPECT_EQ(query->filter.service, "web");
  EXPECT_EQ(query->filter.backend, *Endpoint::parse("10.0.0.11:8080"));
  EXPECT_EQ(query->filter.client, (Endpoint{*IpAddress::parse("2001:db8::1"), 0}));
  EXPECT_EQ(query->filter.state, "ESTABLISHED");
  EXPECT_EQ(query->filter.protocol, Protocol::udp);
  EXPECT_EQ(query->limit, 7U);
}

struct Bad {
  std::string name, value, expected;
};
class BadFlowQuery : public ::testing::TestWithParam<Bad> {};

TEST_P(BadFlowQuery, NamesTheParameterAndTheValue) {
  const auto query = parse_flow_query({{GetParam().name, GetParam().value}});
  ASSERT_FALSE(query);
  EXPECT_EQ(query.error().kind, ErrorKind::invalid);
  EXPECT_THAT(query.error().message, HasSubstr(GetParam().expected));
  EXPECT_THAT(query.error().message, HasSubstr(GetParam().name));
}

INSTANTIATE_TEST_SUITE_P(All, BadFlowQuery,
                         ::testing::Values(Bad{"backend", "10.0.0.300", "'10.0.0.300'"},
                                           Bad{"client", "10.0.0.1:99999", "'10.0.0.1:99999'"}, Bad{"client", "", "''"},
                                           Bad{"state", "OPEN", "ESTABLISHED"}, Bad{"protocol", "sctp", "'sctp'"},
                                           Bad{"limit", "-1", "'-1'"}, Bad{"limit", "10x", "'10x'"},
                                           Bad{"limit", "100001", "100000"},
                                           Bad{"colour", "red", "unknown parameter"}));

}  // namespace
}  // namespace xlvs::agent
