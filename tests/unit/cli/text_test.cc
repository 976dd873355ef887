// SPDX-License-Identifier: Apache-2.0
#include "cli/text.h"

#include <gmock/gmock.h>
#include <yaml-cpp/yaml.h>

#include "cli/rates.h"
#include "cli/table.h"
#include "cli/yaml.h"
#include "tests/support/fake_operations.h"

namespace xlvs::cli {
namespace {

using control::Json;
using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(Text, HumanisesDurations) {
  EXPECT_EQ(humanise(-5), "0s");
  EXPECT_EQ(humanise(0.9), "0s");
  EXPECT_EQ(humanise(59.9), "59s");
  EXPECT_EQ(humanise(60), "1m");
  EXPECT_EQ(humanise(192), "3m12s");
  EXPECT_EQ(humanise(3600), "1h");
  EXPECT_EQ(humanise(3605), "1h");
  EXPECT_EQ(humanise(7500), "2h5m");
  EXPECT_EQ(humanise(90061), "1d1h");
  EXPECT_EQ(humanise(864000), "10d");
}

TEST(Text, HumanisesLatencies) {
  EXPECT_EQ(humanise_latency(0.00035), "350us");
  EXPECT_EQ(humanise_latency(0.0023), "2.3ms");
  EXPECT_EQ(humanise_latency(1.2), "1.20s");
}

TEST(Text, ParsesDurations) {
  EXPECT_EQ(parse_duration("1s"), milliseconds(1000));
  EXPECT_EQ(parse_duration("500ms"), milliseconds(500));
  EXPECT_EQ(parse_duration("1.5s"), milliseconds(1500));
  EXPECT_EQ(parse_duration("2m"), milliseconds(120'000));
  EXPECT_EQ(parse_duration("24h"), milliseconds(86'400'000));
  for (const char* text : {"", "s", "1", "1 s", "1S", "-1s", "9ms", "25h", "nan", "infs", "1e3s", "1sx", "0x1s"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
}

TEST(Text, MakesControlCharactersVisible) {
  EXPECT_EQ(printable("a\x1b[31mb\tc\x7f"), "a\\x1b[31mb\\x09c\\x7f");
  EXPECT_EQ(printable("a\nb"), "a\nb");
  EXPECT_EQ(printable("a\nb", false), "a\\x0ab");
  EXPECT_EQ(printable("gr\xc3\xbc\xc3\x9f"), "gr\xc3\xbc\xc3\x9f");
}

TEST(Text, FindsWhatMayHaveBeenMeant) {
  EXPECT_THAT(closest("wbe", {"mail", "web", "dns"}), ElementsAre("web"));
  EXPECT_THAT(closest("10.0.0.11", {"10.0.0.11:80", "192.0.2.200:443"}), ElementsAre("10.0.0.11:80"));
  EXPECT_TRUE(closest("completely", {"different"}).empty());
  EXPECT_EQ(did_you_mean("web1", {"web2", "web3", "dns"}), "; did you mean web2, web3?");
  EXPECT_EQ(did_you_mean("zzzz", {"web"}), "");
  EXPECT_EQ(closest("b", std::vector<std::string>(20, "b")).size(), 1U);
}

TEST(Table, AlignsAndNeverCuts) {
  Table table({left("Name"), right("Count"), left("Last")});
  table.row({"a", std::uint64_t{18'446'744'073'709'551'615U}, "x"});
  table.line("between");
  table.row({"longer name", 7U, ""});
  EXPECT_EQ(table.to_string(false),
            "Name                        Count  Last\n"
            "a            18446744073709551615  x\n"
            "between\n"
            "longer name                     7\n");
}

TEST(Table, CountsCharactersNotBytes) {
  Table table({left("Name"), left("Next")});
  table.row({"gr\xc3\xbc\xc3\x9f", "x"});
  table.row({"abcde", "y"});
  EXPECT_EQ(table.to_string(false), "Name   Next\ngr\xc3\xbc\xc3\x9f   x\nabcde  y\n");
}

// yaml-cpp's own reader must find the strings that were written, as strings.
TEST(Yaml, IsReadBack) {
  const Json json = control::canned_status();
  const YAML::Node node = YAML::Load(to_yaml(json));
  EXPECT_EQ(node["version"]["pid"].as<int>(), 4242);
  EXPECT_EQ(node["services"][0]["listeners"][1].as<std::string>(), "198.51.100.11:80/tcp");
  EXPECT_EQ(node["services"][0]["traffic"]["in_bytes"].as<std::uint64_t>(), 1'234'567'890'123U);
  EXPECT_TRUE(node["services"][0]["backends"][0]["weight_override"].IsNull());
}

TEST(Yaml, QuotesWhatIsNoPlainString) {
  for (const char* text :
       {"true", "No", "null", "~",           "1",           "1e3",  "0x10",  ".5",       "",    " a", "a: b",
        "a #b", "-",  "[x]",  "2001:db8::1", "10.0.0.1:80", "a\nb", "\"q\"", "12:30:45", "NaN", "off"}) {
    EXPECT_THAT(to_yaml(Json{{"k", text}}), HasSubstr("k: \"")) << text;
    EXPECT_EQ(YAML::Load(to_yaml(Json{{"k", text}}))["k"].as<std::string>(), text);
  }
  EXPECT_THAT(to_yaml(Json{{"k", "web-1.example/x_y"}}), HasSubstr("k: web-1.example/x_y\n"));
}

TEST(Rates, AreDifferencesOverTime) {
  control::StatsReport before = control::canned_stats(), after = before;
  after.at += 0.5;
  after.services[0].backends[0].traffic.out_bytes += 10;
  after.reasons[1].packets += 3;
  const auto rates = rates_between(before, after);
  ASSERT_TRUE(rates);
  EXPECT_EQ(rates->services[0].backends[0].rate.out_bytes, 20.0);
  EXPECT_EQ(rates->services[0].backends[0].rate.in_bytes, 0.0);
  EXPECT_EQ(rates->reasons[1].packets, 6.0);
}

TEST(Rates, AreExactForCountersThatADoubleCanNotHold) {
  control::StatsReport before = control::canned_stats();
  before.services[0].traffic.in_bytes = (std::uint64_t{1} << 60U) + 1;
  control::StatsReport after = before;
  after.at += 1;
  after.services[0].traffic.in_bytes += 1;
  EXPECT_EQ(rates_between(before, after)->services[0].rate.in_bytes, 1.0);
}

TEST(Rates, AreUnknownForWhatIsNewOrWentBack) {
  control::StatsReport before = control::canned_stats(), after = before;
  after.at += 1;
  after.services[0].traffic.flows -= 1;
  before.services[0].backends.erase(before.services[0].backends.begin());
  before.services.pop_back();
  before.reasons.clear();
  const auto rates = rates_between(before, after);
  ASSERT_TRUE(rates);
  EXPECT_FALSE(rates->services[0].rate.flows);
  EXPECT_TRUE(rates->services[0].rate.in_bytes);
  EXPECT_FALSE(rates->services[0].backends[0].rate.flows);
  EXPECT_TRUE(rates->services[0].backends[1].rate.flows);
  EXPECT_FALSE(rates->services[1].rate.flows);
  EXPECT_FALSE(rates->reasons[0].packets);
  EXPECT_EQ(to_json(*rates)["services"][0]["per_second"]["flows"], Json(nullptr));
}

}  // namespace
}  // namespace xlvs::cli
