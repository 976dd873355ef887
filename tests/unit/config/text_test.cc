// SPDX-License-Identifier: Apache-2.0
#include "config/diagnostics.h"
#include "config/reader.h"
#include "config/utf8.h"
#include "tests/unit/config/support.h"

namespace xlvs::config {
namespace {

TEST(Utf8, FindsWhatIsNoText) {
  struct Case {
    std::string text;
    std::optional<std::size_t> at;
  };
  const std::vector<Case> cases{
      {"", std::nullopt},
      {"plain\ttext\r\n", std::nullopt},
      {"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", std::nullopt},
      {"\xef\xbb\xbf# with a byte order mark", std::nullopt},
      {"ab\x01", 2},
      {"ab\x7f", 2},
      {"ab\xc2\x85", 2},              // a C1 control
      {"ab\x80", 2},                  // a continuation without a lead
      {"ab\xc3", 2},                  // cut short
      {"ab\xc3(", 2},                 // not continued
      {"ab\xc0\xaf", 2},              // overlong
      {"ab\xe0\x80\xaf", 2},          // overlong
      {"ab\xed\xa0\x80", 2},          // a surrogate
      {"ab\xf4\x90\x80\x80", 2},      // beyond Unicode
      {"ab\xf8\x88\x80\x80\x80", 2},  // five bytes
      {std::string("ab\0", 3), 2},
  };
  for (const Case& c : cases) EXPECT_EQ(first_non_text(c.text), c.at) << testing::PrintToString(c.text);
}

TEST(Suggestion, NearestWithinTwoSteps) {
  const std::vector<std::string_view> valid{"weight", "address", "port", "forward", "rr"};
  EXPECT_EQ(suggestion("wieght", valid), " (did you mean 'weight'?)");
  EXPECT_EQ(suggestion("adress", valid), " (did you mean 'address'?)");
  EXPECT_EQ(suggestion("prot", valid), " (did you mean 'port'?)");
  EXPECT_EQ(suggestion("wrr", valid), " (did you mean 'rr'?)");
  EXPECT_EQ(suggestion("intrefaec", std::vector<std::string_view>{"interface"}), " (did you mean 'interface'?)");
  EXPECT_EQ(suggestion("xr", valid), " (did you mean 'rr'?)");
  EXPECT_EQ(suggestion("xy", valid), "");
  EXPECT_EQ(suggestion("smtp", std::vector<std::string_view>{"http"}), "") << "half of it replaced is not near";
  EXPECT_EQ(suggestion("persistence", valid), "");
  EXPECT_EQ(suggestion("", valid), "");
}

TEST(Quote, ShortensAtACharacter) {
  EXPECT_EQ(quote("a\x1b[0m\nb"), "'a?[0m?b'");
  const std::string text = quote(std::string(79, 'x') + "\xc3\xa9 and more");
  EXPECT_EQ(text, "'" + std::string(79, 'x') + "...'");
}

TEST(Duration, GreatestUnitThatIsWhole) {
  const std::vector<std::pair<int, std::string>> cases{{0, "0ms"},      {1, "1ms"},        {999, "999ms"},
                                                       {1000, "1s"},    {1500, "1500ms"},  {60'000, "1m"},
                                                       {61'000, "61s"}, {3'600'000, "1h"}, {5'400'000, "90m"}};
  for (const auto& [milliseconds, text] : cases) EXPECT_EQ(duration_text(Milliseconds{milliseconds}), text);
}

}  // namespace
}  // namespace xlvs::config
