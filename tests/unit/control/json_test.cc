// SPDX-License-Identifier: Apache-2.0
#include "control/json.h"

#include <gmock/gmock.h>
#include <boost/pfr.hpp>

#include "tests/support/fake_operations.h"

namespace xlvs::control {
namespace {

using testing::HasSubstr;

// Every scalar of `json` that is still what a default-made struct has: a field that a round trip might lose unseen.
template <typename T>
void expect_round_trip(const T& value) {
  const Json json = value;
  EXPECT_EQ(json.size(), boost::pfr::tuple_size_v<T>) << "a field has no JSON form: " << json;
  const Json defaults = T{};
  for (const auto& [key, field] : json.items()) EXPECT_NE(field, defaults.at(key)) << "the test must set " << key;
  const auto text = parse_json(dump(json));
  ASSERT_TRUE(text);
  const auto back = decode<T>(*text);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(Json(*back), json);
}

constexpr std::uint64_t kBig = 18'446'744'073'709'551'615U;

Traffic traffic() {
  return {1, 2, kBig, 4, 5};
}
CheckReport check() {
  return {"http/health", "up", "ok", "fine", 0.25, 1.5, 3, 4, 2, 3, {{"ok", 7}, {"timeout", 8}}, 1e9};
}
HealthReport health() {
  return {"up", "slow-start", 2.5, 1.5, "ok", "fine", 0.25, 7, 8, {check()}};
}
BackendReport backend() {
  return {"web",     "10.0.0.1:80",
          "nat",     1,
          0.5,       2,
          true,      true,
          3,         "down",
          "disk",    "10.0.0.1",
          "up",      "because",
          1,         "www.example.com",
          true,      health(),
          4,         5,
          traffic(), "02:00:00:00:00:01 dev lan0"};
}
ServiceReport service() {
  return {
      "web", {"192.0.2.1:80/tcp"}, "nat", "wrr", "http", traffic(), {backend()}, {"panic", 1, true, false, true, 9, 2}};
}
InterfaceReport interface() {
  return {"lan0", 2, "generic", "no XDP", 9, false};
}
FlowTableReport table() {
  return {"ipv4", 1, 2, 3, 4};
}
ReasonReport reason() {
  return {"no_backend", "drop", "text", 6};
}
ConfigReport config() {
  return {"/etc/lvs/lvs.yaml", "abc", 2, 3.5, true, "bad"};
}
Version version() {
  return {"1.2", "default", -1};
}
HaInstanceReport ha_instance() {
  return {"outside",
          "wan0",
          51,
          150,
          false,
          1,
          2,
          3,
          4,
          {{"checksum", 5}, {"ttl", 6}},
          "198.51.100.2",
          100,
          0.25,
          7,
          "198.51.100.10 is claimed by 02:00:00:00:00:07",
          1.5,
          true};
}
HaTrackReport ha_track() {
  return {"uplink", false, "eth2 is down", 60, 1.5};
}
HaPeerReport ha_peer() {
  return {"192.168.7.2",
          "up",
          "vrrp",
          "backup",
          100,
          true,
          0.5,
          "same",
          1,
          2,
          3,
          4,
          5,
          6,
          7,
          8,
          {{"key", 9}},
          {{"applied", 10}},
          {{"refused", 11}}};
}
HaFlowsReport ha_flows() {
  return {true,          true, "in-step", 1,  2,  3, 4, 5, 6, 7, {{"created", 8}}, {{"no_backend", 9}},
          {{"key", 10}}, 11,   12,        13, 0.5};
}
HaReport ha() {
  return {"active",
          "because",
          1.5,
          7,
          true,
          true,
          0.125,
          {ha_instance()},
          "anycast",
          100,
          {{"192.0.2.1", false, "released"}, {"2001:db8::1", true, ""}},
          ha_flows(),
          {ha_track()},
          ha_peer()};
}
NameReport name() {
  return {"www.example.com", "ipv4", {"192.0.2.7"}, {"192.0.2.8"}, "timed out", 5, 6, 7, {"127.0.0.1"}};
}
FlowReport flow() {
  return {"tcp", "192.0.2.9:1", "192.0.2.1:80", "web", "10.0.0.1:80", "ESTABLISHED", 900};
}

TEST(Json, RoundTripOfEveryStruct) {
  expect_round_trip(traffic());
  expect_round_trip(check());
  expect_round_trip(health());
  expect_round_trip(backend());
  expect_round_trip(service());
  expect_round_trip(interface());
  expect_round_trip(table());
  expect_round_trip(reason());
  expect_round_trip(config());
  expect_round_trip(version());
  expect_round_trip(Status{version(),
                           1.5,
                           config(),
                           {interface()},
                           {"192.0.2.1"},
                           ha(),
                           {table()},
                           {service()},
                           {name()},
                           {reason()},
                           {"look here"},
                           {"192.0.2.2"}});
  expect_round_trip(ha_instance());
  expect_round_trip(ha_peer());
  expect_round_trip(ha());
  expect_round_trip(name());
  expect_round_trip(flow());
  expect_round_trip(ConfigPushRequest{true});
  expect_round_trip(ConfigPush{"failed", "192.168.7.2", true, {"lvs.yaml"}, 2, 1, 3, {"changed"}, "invalid", {"bad"}});
  expect_round_trip(FlowList{2, {flow()}});
  expect_round_trip(StatsReport{1.5, {service()}, {reason()}, 3, 4, {{0.1}, {1, 2}, 0.5}, {{"late", 1}}, {{"vip", 2}}});
  expect_round_trip(BackendChange{"web", "10.0.0.1", 4, "up", "because"});
  expect_round_trip(BackendChangeResult{{backend()}, true, "no space"});
  expect_round_trip(ConfigText{"a.yaml", "x: 1\n"});
  expect_round_trip(ConfigCheck{true, {"e"}, {"c"}});
  expect_round_trip(ConfigDiff{true, {"e"}, {"c"}});
  expect_round_trip(ConfigApplied{3, {"c"}});
}

TEST(Json, KeepsTheOrderOfFields) {
  EXPECT_EQ(dump(Json(version())), R"({"version":"1.2","instance":"default","pid":-1})");
  EXPECT_EQ(dump(Json(BackendChange{})), R"({"service":null,"address":"","weight":null,"forced":null,"reason":""})");
}

TEST(Json, IgnoresUnknownFieldsAndLeavesAbsentOnesAlone) {
  const auto change = decode<BackendChange>(*parse_json(R"({"address": "10.0.0.1", "weight": null, "new": [1, {}]})"));
  ASSERT_TRUE(change) << change.error().message;
  EXPECT_EQ(change->address, "10.0.0.1");
  EXPECT_FALSE(change->service);
  EXPECT_FALSE(change->weight);
}

struct BadValue {
  const char* text;
  const char* message;
};

class JsonRefuses : public testing::TestWithParam<BadValue> {};

TEST_P(JsonRefuses, AndNamesTheField) {
  const auto json = parse_json(GetParam().text);
  ASSERT_TRUE(json) << json.error().message;
  const auto status = decode<ServiceReport>(*json);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().kind, ErrorKind::invalid);
  EXPECT_EQ(status.error().message, GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    Fields, JsonRefuses,
    testing::Values(BadValue{"[]", "expected an object, found array"},
                    BadValue{R"({"name": 5})", "name: expected a string, found 5"},
                    BadValue{R"({"listeners": "x"})", "listeners: expected an array, found string"},
                    BadValue{R"({"listeners": ["a", 7]})", "listeners[1]: expected a string, found 7"},
                    BadValue{R"({"traffic": {"flows": -1}})",
                             "traffic.flows: expected an integer 0..18446744073709551615, found -1"},
                    BadValue{R"({"backends": [{}, {"weight": 4294967296}]})",
                             "backends[1].weight: expected an integer 0..4294967295, found 4294967296"},
                    BadValue{R"({"backends": [{"weight": 2.5}]})",
                             "backends[0].weight: expected an integer 0..4294967295, found 2.5"},
                    BadValue{R"({"backends": [{"drained": 1}]})",
                             "backends[0].drained: expected true or false, found 1"},
                    BadValue{R"({"backends": [{"health": {"since": "now"}}]})",
                             "backends[0].health.since: expected a number, found string"}));

TEST(Json, RefusesWhatIsNotJson) {
  for (const char* text : {"", "{", "{}x", "{'a': 1}", "{\"a\": NaN}", "\"\xff\""}) {
    const auto json = parse_json(text);
    ASSERT_FALSE(json) << text;
    EXPECT_EQ(json.error().kind, ErrorKind::invalid);
    EXPECT_THAT(json.error().message, HasSubstr("not JSON: "));
  }
}

TEST(Json, RefusesDeepNesting) {
  EXPECT_TRUE(parse_json(std::string(32, '[') + std::string(32, ']')));
  EXPECT_FALSE(parse_json(std::string(34, '[') + std::string(34, ']')));
  EXPECT_FALSE(parse_json(std::string(1'000'000, '[')));
}

TEST(Json, WritesBytesThatAreNotUtf8AsReplacement) {
  const std::string text = dump(Json(ConfigText{"name", "a\xff z"}));
  EXPECT_EQ(text, "{\"name\":\"name\",\"text\":\"a\xef\xbf\xbd z\"}");
}

TEST(Json, ErrorKindsHaveNames) {
  for (const auto kind : {ErrorKind::invalid, ErrorKind::not_found, ErrorKind::conflict, ErrorKind::permission,
                          ErrorKind::unsupported, ErrorKind::unavailable}) {
    EXPECT_EQ(parse_error_kind(to_string(kind)), kind);
  }
  EXPECT_FALSE(parse_error_kind("odd"));
}

}  // namespace
}  // namespace xlvs::control
