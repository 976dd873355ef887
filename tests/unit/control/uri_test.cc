// SPDX-License-Identifier: Apache-2.0
#include "control/uri.h"

#include <gmock/gmock.h>

#include "control/client.h"

namespace xlvs::control {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

TEST(Uri, EncodesAllButUnreserved) {
  EXPECT_EQ(percent_encode("aZ9-._~"), "aZ9-._~");
  EXPECT_EQ(percent_encode("[2001:db8::1]:80 &\xff"), "%5B2001%3Adb8%3A%3A1%5D%3A80%20%26%FF");
}

TEST(Uri, DecodesWhatItEncodes) {
  std::string all;
  for (int c = 1; c < 256; ++c) all += static_cast<char>(c);
  const auto decoded = percent_decode(percent_encode(all));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(*decoded, all);
  EXPECT_EQ(percent_decode("a+b").value(), "a+b");
}

TEST(Uri, RefusesBadEncoding) {
  for (const char* text : {"%", "%4", "a%4", "%zz", "%4g", "%00"}) EXPECT_FALSE(percent_decode(text)) << text;
  EXPECT_FALSE(percent_decode(std::string_view("a\0b", 3)));  // found by fuzzing: what decodes must encode again
}

TEST(Uri, TakesATargetApart) {
  const auto target = parse_target("/v1/services/a%2Fb?x=1&y=%20&x=2&empty=&flag&&");
  ASSERT_TRUE(target) << target.error().message;
  EXPECT_THAT(target->segments, ElementsAre("v1", "services", "a/b"));
  EXPECT_THAT(target->query,
              ElementsAre(Pair("x", "1"), Pair("y", " "), Pair("x", "2"), Pair("empty", ""), Pair("flag", "")));
  EXPECT_THAT(parse_target("/")->segments, IsEmpty());
  EXPECT_THAT(parse_target("/?a=b")->query, ElementsAre(Pair("a", "b")));
}

TEST(Uri, RefusesOddTargets) {
  for (const char* text : {"", "v1", "http://x/v1", "*", "//", "/v1/", "/v1//x", "/../etc", "/v1/%2e%2e/x", "/a?%"}) {
    EXPECT_FALSE(parse_target(text)) << text;
  }
}

TEST(Uri, WithQueryIsReadBack) {
  const Query query{{"client", "[2001:db8::1]:80"}, {"state", "A&B=C"}};
  EXPECT_EQ(parse_target(with_query("/v1/flows", query))->query, query);
  EXPECT_EQ(with_query("/v1/flows", {}), "/v1/flows");
}

}  // namespace
}  // namespace xlvs::control
